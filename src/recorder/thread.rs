//! The recorder's thread: wakes a few times a second while anything is recorded, and sleeps otherwise.
//! Above: `handle`. Below: `work`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use super::handle::{Wish, now_us};
use super::order::{Finished, Notice};
use super::work::{Scratch, Tools, Work};
use crate::media::Intake;

/// Time between two looks at the rings. With what is waited for stragglers, a file is at most 350 ms behind.
const BEAT: Duration = Duration::from_millis(250);

/// Recordings that have their turn between two looks at the rings, at most.
const FEW: usize = 64;

/// What nobody has taken for so long, in µs, is nobody's. A media thread may be late with what it has copied, and its recording has had
/// its turn by then.
const NOBODYS_AFTER_US: u64 = 1_000_000;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A recording begins, and who is told of it.
    Begin(u64, Box<dyn Work>, Option<Sender<Notice>>),
    /// Something is wanted of one, at a time in µs.
    Wish(u64, Wish, u64),
}

/// A recording, by its number.
type Sessions = BTreeMap<u64, Session>;

#[derive(Debug)]
struct Session {
    state: State,
    notices: Option<Sender<Notice>>,
}

#[derive(Debug)]
enum State {
    Runs(Box<dyn Work>),
    /// It could not go on, by a fault of ours; what came of it, as far as that is known.
    Failed(Option<Box<Finished>>),
}

/// Runs until nobody has a handle any more.
pub(super) fn run(inbox: &Receiver<Message>, intake: Intake) {
    let (mut sessions, mut tools) = (Sessions::new(), Tools { intake, scratch: Scratch::default() });
    let mut beat = Instant::now() + BEAT;
    loop {
        let message = if sessions.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(beat.saturating_duration_since(Instant::now()))
        };
        match message {
            Ok(message) => obey(&mut sessions, message, &mut tools),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= beat {
            turn(&mut sessions, inbox, (now_us(), &mut tools));
            beat = Instant::now() + BEAT;
        }
    }
    tools.intake.gather();
    for session in sessions.into_values() {
        session.finish(now_us(), &mut tools);
    }
}

/// Lets all recordings write what came until a time. However long one of them takes, none writes what was said after that time, and so
/// nothing that a mask covers which is still in the inbox: everything that was asked for before is done first.
fn turn(sessions: &mut Sessions, inbox: &Receiver<Message>, (now_us, tools): (u64, &mut Tools)) {
    while let Ok(message) = inbox.try_recv() {
        obey(sessions, message, tools);
    }
    for (nth, session) in sessions.values_mut().enumerate() {
        // Also in between: however slow the disk is, the rings do not overflow.
        if nth.is_multiple_of(FEW) {
            tools.intake.gather();
        }
        session.work((now_us, tools), |work, tools| work.beat(now_us, tools));
    }
    tools.intake.tidy(now_us.saturating_sub(NOBODYS_AFTER_US));
}

fn obey(sessions: &mut Sessions, message: Message, tools: &mut Tools) {
    match message {
        Message::Begin(id, work, notices) => {
            sessions.insert(id, Session { state: State::Runs(work), notices });
        }
        Message::Wish(id, Wish::Stop(reply), at_us) => {
            tools.intake.gather();
            let finished = sessions.remove(&id).and_then(|session| session.finish(at_us, tools));
            if let Some((reply, finished)) = reply.zip(finished) {
                // Who asked may have gone.
                let _ = reply.send(finished);
            }
        }
        Message::Wish(id, wish, at_us) => {
            if let Some(session) = sessions.get_mut(&id) {
                tools.intake.gather();
                session.work((at_us, tools), |work, tools| work.obey(&wish, at_us, tools));
            }
        }
    }
}

impl Session {
    /// Lets it do something. One that panics is closed; the others go on.
    fn work(&mut self, (at_us, tools): (u64, &mut Tools), act: impl FnOnce(&mut dyn Work, &mut Tools)) {
        let State::Runs(work) = &mut self.state else { return };
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| act(work.as_mut(), tools))) else { return };
        let text = format!("the recording was given up by a fault of the recorder: {}", text_of(panic.as_ref()));
        if let State::Runs(work) = std::mem::replace(&mut self.state, State::Failed(None)) {
            let finished = catch_unwind(AssertUnwindSafe(|| work.finish(at_us, tools))).ok();
            let failed = finished.map(|finished| Box::new(Finished { error: Some(text.clone()), ..finished }));
            self.state = State::Failed(failed);
        }
        if let Some(notices) = &self.notices {
            let _ = notices.try_send(Notice::Failing(text));
        }
    }

    /// Ends it; `None` when not even that can be done.
    fn finish(self, at_us: u64, tools: &mut Tools) -> Option<Finished> {
        match self.state {
            State::Runs(work) => catch_unwind(AssertUnwindSafe(|| work.finish(at_us, tools))).ok(),
            State::Failed(finished) => finished.map(|finished| *finished),
        }
    }
}

/// What a panic says.
fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no more is known")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Mutex};

    use tokio::sync::oneshot;

    use super::*;
    use crate::media::{Content, Copied, CopyLink, Origin};
    use crate::recorder::order::{Container, Form, Packets};

    /// A recording that notes what is done with it, and that may panic at each beat.
    #[derive(Debug)]
    struct Spy {
        name: &'static str,
        panics: bool,
        seen: Arc<Mutex<Vec<String>>>,
    }

    impl Spy {
        fn note(&self, what: &str) {
            self.seen.lock().expect("the notes").push(format!("{} {what}", self.name));
        }
    }

    impl Work for Spy {
        fn beat(&mut self, now_us: u64, _: &mut Tools) {
            assert!(!self.panics, "a fault");
            self.note(&format!("beats at {now_us}"));
        }

        fn obey(&mut self, wish: &Wish, at_us: u64, _: &mut Tools) {
            self.note(&format!("{wish:?} at {at_us}"));
        }

        fn finish(self: Box<Self>, at_us: u64, _: &mut Tools) -> Finished {
            self.note(&format!("ends at {at_us}"));
            Finished {
                files: Vec::new(),
                container: Container::Wav,
                form: Form::Pcm16,
                rate_hz: 8_000,
                channels: 2,
                frames: 5,
                gaps: Vec::new(),
                pauses: Vec::new(),
                masks: Vec::new(),
                packets: Packets::default(),
                dropped: 0,
                error: None,
            }
        }
    }

    fn tools() -> Tools {
        Tools { intake: CopyLink::new().1, scratch: Scratch::default() }
    }

    fn begin(id: u64, spy: Spy) -> Message {
        Message::Begin(id, Box::new(spy), None)
    }

    #[test]
    fn what_was_asked_for_is_done_before_anything_is_written_and_all_write_up_to_one_time() {
        let (messages, inbox) = channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let spy = |name| Spy { name, panics: false, seen: Arc::clone(&seen) };
        let wanted = [
            begin(1, spy("a")),
            begin(2, spy("b")),
            Message::Wish(1, Wish::Pause, 900),
            Message::Wish(2, Wish::Mask, 950),
        ];
        wanted.into_iter().for_each(|message| messages.send(message).expect("an inbox"));
        turn(&mut Sessions::new(), &inbox, (1_000, &mut tools()));
        let seen = seen.lock().expect("the notes");
        assert_eq!(*seen, ["a Pause at 900", "b Mask at 950", "a beats at 1000", "b beats at 1000"]);
    }

    /// A recording that does something at each beat.
    struct Acts<A>(A);

    impl<A> std::fmt::Debug for Acts<A> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Acts")
        }
    }

    impl<A: FnMut(u64, &mut Tools) + Send> Work for Acts<A> {
        fn beat(&mut self, now_us: u64, tools: &mut Tools) {
            (self.0)(now_us, tools);
        }

        fn obey(&mut self, _: &Wish, _: u64, _: &mut Tools) {}

        fn finish(self: Box<Self>, _: u64, _: &mut Tools) -> Finished {
            unreachable!("nobody ends it")
        }
    }

    #[test]
    fn what_a_media_thread_copies_late_is_taken_in_the_next_turn() {
        let (link, intake) = CopyLink::new();
        let (mut copies, key) = link.recording(tokio::sync::mpsc::channel(1).0);
        let mut ring = copies.provide(&mut None);
        let (at_us, origin, content) = (990_000, Origin::Left, Content::Digit);
        let said = Copied { at_us, origin, content, sequence: 1, timestamp: 160, ssrc: 7 };
        let (taken, seen) = channel();
        let takes = move |now_us, tools: &mut Tools| {
            while let Some((copied, _)) = tools.intake.of(&key).next_until(now_us) {
                taken.send(copied).expect("the test");
            }
        };
        let copies_late = move |_, _: &mut Tools| copies.put(&said, &[], &mut ring);
        let works: [Box<dyn Work>; 2] = [Box::new(Acts(takes)), Box::new(Acts(copies_late))];
        // So many that the rings are looked at again in the same turn.
        let idle = || Box::new(Acts(|_, _: &mut Tools| {})) as Box<dyn Work>;
        let works = works.into_iter().chain(std::iter::repeat_with(idle).take(FEW));
        let running = works.map(|work| Session { state: State::Runs(work), notices: None });
        let mut sessions: Sessions = (1..).zip(running).collect();
        let (_messages, inbox) = channel();
        let mut tools = Tools { intake, scratch: Scratch::default() };
        turn(&mut sessions, &inbox, (1_000_000, &mut tools));
        assert!(seen.try_recv().is_err(), "the first has had its turn");
        turn(&mut sessions, &inbox, (1_250_000, &mut tools));
        assert_eq!(seen.try_recv(), Ok(said));
    }

    #[test]
    fn a_recording_that_panics_is_closed_as_failed_and_the_others_go_on() {
        let (_messages, inbox) = channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (notices, mut told) = tokio::sync::mpsc::channel(4);
        let mut sessions = Sessions::new();
        let spy = |name, panics| Spy { name, panics, seen: Arc::clone(&seen) };
        obey(&mut sessions, Message::Begin(1, Box::new(spy("a", true)), Some(notices)), &mut tools());
        obey(&mut sessions, begin(2, spy("b", false)), &mut tools());
        turn(&mut sessions, &inbox, (1_000, &mut tools()));
        turn(&mut sessions, &inbox, (1_200, &mut tools()));
        assert_eq!(*seen.lock().expect("the notes"), ["a ends at 1000", "b beats at 1000", "b beats at 1200"]);
        assert!(matches!(told.try_recv(), Ok(Notice::Failing(text)) if text.ends_with("a fault")));
        let (reply, mut finished) = oneshot::channel();
        obey(&mut sessions, Message::Wish(1, Wish::Stop(Some(reply)), 1_300), &mut tools());
        let finished = finished.try_recv().expect("an answer");
        assert!(finished.frames == 5 && finished.error.is_some_and(|error| error.ends_with("a fault")));
    }
}
