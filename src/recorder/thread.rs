//! The recorder's thread: wakes a few times a second while anything is recorded, and sleeps otherwise.
//! Above: `handle`. Below: `work`.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::handle::{Wish, now_us};
use super::work::Work;

/// Time between two looks at the rings. With what is waited for stragglers, the file is at most 400 ms behind.
const BEAT: Duration = Duration::from_millis(200);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A recording begins.
    Begin(u64, Box<dyn Work>),
    /// Something is wanted of one, at a time in µs.
    Wish(u64, Wish, u64),
}

/// Runs until nobody has a handle any more.
pub(super) fn run(inbox: &Receiver<Message>) {
    let mut sessions: BTreeMap<u64, Box<dyn Work>> = BTreeMap::new();
    let mut beat = Instant::now() + BEAT;
    loop {
        let message = if sessions.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(beat.saturating_duration_since(Instant::now()))
        };
        match message {
            Ok(message) => obey(&mut sessions, message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= beat {
            for session in sessions.values_mut() {
                session.beat(now_us());
            }
            beat = Instant::now() + BEAT;
        }
    }
    for session in sessions.into_values() {
        session.finish(now_us());
    }
}

fn obey(sessions: &mut BTreeMap<u64, Box<dyn Work>>, message: Message) {
    match message {
        Message::Begin(id, session) => {
            sessions.insert(id, session);
        }
        Message::Wish(id, Wish::Stop(reply), at_us) => {
            let Some(session) = sessions.remove(&id) else { return };
            let finished = session.finish(at_us);
            if let Some(reply) = reply {
                // Who asked may have gone.
                let _ = reply.send(finished);
            }
        }
        Message::Wish(id, wish, at_us) => {
            if let Some(session) = sessions.get_mut(&id) {
                session.obey(&wish, at_us);
            }
        }
    }
}
