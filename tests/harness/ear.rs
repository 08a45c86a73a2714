//! A supervisor in a test: hears both parties on the control socket and speaks its tone at their pace.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use wirechief::control::client::{Client, ClientError, SpyEvent};
use wirechief::control::protocol::{SpyFacts, SpyRequest};
use wirechief::control::supervision::{Hear, Mode, Party, SpyEnd};

use super::tone::{self, Sound, Tone, WINDOW};
use super::{PATIENCE, nothing};

#[derive(Default)]
struct Heard {
    left: Vec<i16>,
    right: Vec<i16>,
    others: Vec<i16>,
    told: Vec<SpyFacts>,
    ended: Option<SpyEnd>,
}

/// What a supervisor may ask of his session.
enum Asked {
    Mode(Mode, Option<Party>),
    Hear(Hear),
    NextCall,
}

/// A running session; dropping it ends it.
pub(crate) struct Ear {
    pub(crate) facts: SpyFacts,
    heard: Arc<Mutex<Heard>>,
    arrived: Arc<Notify>,
    wishes: mpsc::UnboundedSender<Asked>,
    changes: mpsc::UnboundedReceiver<SpyEvent>,
    task: AbortHandle,
}

impl Ear {
    pub(crate) async fn attach(client: Client, request: &SpyRequest) -> Result<Self, ClientError> {
        let link = client.spy(request).await?;
        let (heard, arrived) = (Arc::new(Mutex::new(Heard::default())), Arc::new(Notify::new()));
        let (wishes, mut wanted) = mpsc::unbounded_channel();
        let (changed, changes) = mpsc::unbounded_channel();
        let (into, wake) = (Arc::clone(&heard), Arc::clone(&arrived));
        let (facts, mut incoming, mut outgoing) = (link.facts, link.incoming, link.outgoing);
        let task = tokio::spawn(async move {
            let mut spoken = 0_u64;
            loop {
                tokio::select! {
                    Some(wish) = wanted.recv() => {
                        let _ = match wish {
                            Asked::Mode(mode, to) => outgoing.set_mode(mode, to),
                            Asked::Hear(hear) => outgoing.set_hear(hear),
                            Asked::NextCall => outgoing.next_call(),
                        };
                    }
                    event = incoming.next() => {
                        match event {
                            Ok(SpyEvent::Heard(frame)) => {
                                outgoing.say(&std::array::from_fn(|at| Tone::Supervisor.sample(spoken + at as u64)));
                                spoken += 160;
                                let mut heard = into.lock().unwrap();
                                heard.left.extend_from_slice(&frame[..160]);
                                heard.right.extend_from_slice(&frame[160..320]);
                                heard.others.extend_from_slice(&frame[320..]);
                            }
                            Ok(SpyEvent::Facts(facts)) => into.lock().unwrap().told.push(*facts),
                            Ok(SpyEvent::Ended(end)) => into.lock().unwrap().ended = Some(end),
                            Ok(other) => {
                                let _ = changed.send(other);
                            }
                            Err(_) => return,
                        }
                        wake.notify_waiters();
                    }
                }
            }
        });
        Ok(Self { facts, heard, arrived, wishes, changes, task: task.abort_handle() })
    }

    /// Waits until exactly these tones are heard of party A and of party B.
    pub(crate) async fn hears(&self, left: Sound, right: Sound) {
        let mark = self.heard.lock().unwrap().left.len();
        let end = Instant::now() + PATIENCE;
        let mut last = (Err("no audio".to_owned()), Ok(nothing()));
        while Instant::now() < end {
            let notified = self.arrived.notified();
            {
                let heard = self.heard.lock().unwrap();
                if heard.left.len() >= mark + WINDOW {
                    last = (tone::heard(&heard.left[mark..]), tone::heard(&heard.right[mark..]));
                    if last == (Ok(left.clone()), Ok(right.clone())) {
                        return;
                    }
                }
            }
            let _ = timeout(end - Instant::now(), notified).await;
        }
        panic!("the supervisor should hear {left:?} and {right:?}, but: {last:?}");
    }

    /// Asks for another mode; the server's word about it.
    pub(crate) async fn changes_to(&mut self, mode: Mode, to: Option<Party>) -> SpyEvent {
        self.asks(Asked::Mode(mode, to)).await
    }

    /// Asks to hear other parties; the server's word about it.
    pub(crate) async fn listens_to(&mut self, hear: Hear) -> SpyEvent {
        self.asks(Asked::Hear(hear)).await
    }

    /// Asks for the next call.
    pub(crate) async fn goes_on(&mut self) {
        let event = self.asks(Asked::NextCall).await;
        assert!(matches!(event, SpyEvent::Changed(_)), "{event:?}");
    }

    async fn asks(&mut self, wish: Asked) -> SpyEvent {
        self.wishes.send(wish).expect("a running session");
        let event = timeout(PATIENCE, self.changes.recv()).await;
        let event = event.expect("an answer in time").expect("a running session");
        if let SpyEvent::Changed(facts) = &event {
            self.facts = (**facts).clone();
        }
        event
    }

    /// Waits until exactly these tones are heard of other supervisors.
    pub(crate) async fn hears_of_others(&self, wanted: Sound) {
        let mark = self.heard.lock().unwrap().others.len();
        let end = Instant::now() + PATIENCE;
        let mut last = Err("no audio".to_owned());
        while Instant::now() < end {
            let notified = self.arrived.notified();
            {
                let heard = self.heard.lock().unwrap();
                if heard.others.len() >= mark + WINDOW {
                    last = tone::heard(&heard.others[mark..]);
                    if last == Ok(wanted.clone()) {
                        return;
                    }
                }
            }
            let _ = timeout(end - Instant::now(), notified).await;
        }
        panic!("the supervisor should hear {wanted:?} of others, but: {last:?}");
    }

    /// Waits until the server tells facts that are right, from the first word on.
    pub(crate) async fn is_told(&self, what: &str, right: impl Fn(&SpyFacts) -> bool) -> SpyFacts {
        let end = Instant::now() + PATIENCE;
        loop {
            let notified = self.arrived.notified();
            if let Some(facts) = self.heard.lock().unwrap().told.iter().rev().find(|facts| right(facts)) {
                return facts.clone();
            }
            let told = timeout(end - Instant::now(), notified).await.is_ok();
            assert!(told, "waits in vain to be told {what}: {:?}", self.heard.lock().unwrap().told);
        }
    }

    /// Whether a tone was heard for a frame or more since the session began.
    pub(crate) fn ever_heard(&self, wanted: Tone) -> bool {
        let heard = self.heard.lock().unwrap();
        let sides = [&heard.left, &heard.right];
        sides.iter().any(|side| side.chunks_exact(WINDOW).any(|part| tone::strength(wanted, part) > 0.1))
    }

    /// Waits for the server to end the session.
    pub(crate) async fn is_ended(&self) -> SpyEnd {
        let end = Instant::now() + PATIENCE;
        loop {
            let notified = self.arrived.notified();
            if let Some(end) = self.heard.lock().unwrap().ended.clone() {
                return end;
            }
            assert!(timeout(end - Instant::now(), notified).await.is_ok(), "the session goes on");
        }
    }

    pub(crate) fn leaves(self) {}
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}
