//! A self-test's supervisor: attends a call by the control socket, as `spy` does, says its tone and keeps all that it hears.
//! Above: `scene`. Below: the control socket's client.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::{SelfTestError, script::sample};
use crate::control::{
    client::{Client, SpyEvent, SpyLink},
    protocol::{SpyRequest, SpyTarget},
    supervision::{FRAME_SAMPLES, Hear, Mode, Party},
};

/// How long it waits for the server's word.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it hears: the customer, the agent, other supervisors.
pub(super) type Ears = [Vec<i16>; 3];

/// A change of mode, or of the parties heard.
enum Wish {
    Mode(Mode, Option<Party>),
    Hear(Hear),
}

/// A supervisor at a call; dropping it ends its session.
pub(super) struct Supervisor {
    wishes: mpsc::UnboundedSender<Wish>,
    answers: mpsc::UnboundedReceiver<Result<(), String>>,
    heard: Arc<Mutex<Ears>>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Listens to the call of a leg, with a voice of `hz`.
    pub(super) async fn attach(socket: &Path, uuid: &str, hz: f32) -> Result<Self, SelfTestError> {
        let request = SpyRequest::new(SpyTarget::Uuid(uuid.to_owned()));
        let link = Client::connect(socket).await?.spy(&request).await?;
        let (wishes, wanted) = mpsc::unbounded_channel();
        let (answer, answers) = mpsc::unbounded_channel();
        let heard = Arc::new(Mutex::new(Ears::default()));
        let task = tokio::spawn(attend(link, (wanted, answer), heard.clone(), hz));
        Ok(Self { wishes, answers, heard, task })
    }

    /// Goes into another mode.
    pub(super) async fn set_mode(&mut self, mode: Mode, to: Option<Party>) -> Result<(), SelfTestError> {
        self.ask(Wish::Mode(mode, to)).await
    }

    /// Hears other parties.
    pub(super) async fn set_hear(&mut self, hear: Hear) -> Result<(), SelfTestError> {
        self.ask(Wish::Hear(hear)).await
    }

    async fn ask(&mut self, wish: Wish) -> Result<(), SelfTestError> {
        let silent = || SelfTestError::Silent("server".to_owned());
        self.wishes.send(wish).map_err(|_| silent())?;
        let answer = timeout(PATIENCE, self.answers.recv()).await.map_err(|_| silent())?;
        answer.ok_or_else(silent)?.map_err(SelfTestError::Session)
    }

    /// Samples heard so far.
    pub(super) fn count(&self) -> usize {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)[0].len()
    }

    /// What was heard from that sample on.
    pub(super) fn since(&self, mark: usize) -> Ears {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.each_ref().map(|samples| samples.get(mark..).unwrap_or_default().to_vec())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn attend(
    link: SpyLink,
    (mut wanted, answer): (mpsc::UnboundedReceiver<Wish>, mpsc::UnboundedSender<Result<(), String>>),
    heard: Arc<Mutex<Ears>>,
    hz: f32,
) {
    let (mut incoming, mut outgoing) = (link.incoming, link.outgoing);
    let mut spoken = 0;
    loop {
        let event = tokio::select! {
            Some(wish) = wanted.recv() => {
                let asked = match wish {
                    Wish::Mode(mode, to) => outgoing.set_mode(mode, to),
                    Wish::Hear(hear) => outgoing.set_hear(hear),
                };
                match asked {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            event = incoming.next() => event,
        };
        match event {
            Ok(SpyEvent::Heard(frame)) => {
                // What is heard is also the pace to speak at.
                outgoing.say(&std::array::from_fn(|at| sample(hz, spoken + at as u64)));
                spoken += FRAME_SAMPLES as u64;
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                for (ear, part) in heard.iter_mut().zip(frame.chunks_exact(FRAME_SAMPLES)) {
                    ear.extend_from_slice(part);
                }
            }
            Ok(SpyEvent::Changed(_)) => {
                let _ = answer.send(Ok(()));
            }
            Ok(SpyEvent::Refused(fault)) => {
                let _ = answer.send(Err(fault.message));
            }
            Ok(SpyEvent::Facts(_)) => {}
            Ok(SpyEvent::Ended(_)) | Err(_) => return,
        }
    }
}
