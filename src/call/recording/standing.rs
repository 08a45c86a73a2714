//! What a party was told of being recorded, and what it said to that: once for as long as its leg lives, whoever records it.
//! Above: `consent` tells and asks. Below: the leg's own task brings the key that was pressed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

/// What came of telling a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// What was played.
    pub(super) announcement: String,
    /// When it was over, or answered.
    pub(super) at: Timestamp,
    /// Whether it was played to its end.
    pub(super) is_whole: bool,
    /// What the party said.
    pub(super) answer: Answer,
}

/// What a party says to being recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was not asked.
    NotAsked,
    /// It agrees, by this key.
    Agreed(char),
    /// It does not, by this key.
    Refused(char),
    /// It said nothing in the time given, which is a refusal.
    Nothing,
}

impl Answer {
    /// It must not be recorded.
    pub(super) fn is_refusal(self) -> bool {
        matches!(self, Self::Refused(_) | Self::Nothing)
    }
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Untold,
    /// Somebody is telling it.
    Listening,
    Told(Arc<Told>),
}

/// Where a leg's party stands.
#[derive(Debug, Default)]
pub(in crate::call) struct Standing {
    state: watch::Sender<State>,
    /// Takes its keys while it is asked.
    keys: Mutex<Option<mpsc::UnboundedSender<char>>>,
}

impl Standing {
    /// A key that its phone has pressed: whether it is the answer to a question.
    pub(in crate::call) fn takes(&self, key: char) -> bool {
        self.keys().as_ref().is_some_and(|keys| keys.send(key).is_ok())
    }

    /// It does not agree to be recorded.
    pub(super) fn has_refused(&self) -> bool {
        matches!(&*self.state.borrow(), State::Told(told) if told.answer.is_refusal())
    }

    /// It was asked, and agrees to be recorded.
    pub(super) fn has_agreed(&self) -> bool {
        matches!(&*self.state.borrow(), State::Told(told) if matches!(told.answer, Answer::Agreed(_)))
    }

    /// It was told and not asked, as somebody who takes no part.
    pub(super) fn was_not_asked(&self) -> bool {
        matches!(&*self.state.borrow(), State::Told(told) if told.answer == Answer::NotAsked)
    }

    /// What came of telling it: waits for whoever tells it now; one who is to do so himself is given the right to.
    pub(super) async fn told(&self, is_enough: impl Fn(&Told) -> bool) -> Result<Arc<Told>, Telling<'_>> {
        let mut state = self.state.subscribe();
        loop {
            let mut is_mine = false;
            self.state.send_if_modified(|state| {
                is_mine = match state {
                    State::Untold => true,
                    State::Listening => false,
                    State::Told(told) => !is_enough(told),
                };
                if is_mine {
                    *state = State::Listening;
                }
                is_mine
            });
            if is_mine {
                return Err(Telling { standing: self });
            }
            if let State::Told(told) = &*state.borrow_and_update() {
                return Ok(told.clone());
            }
            // The sender lives as long as this does.
            let _ = state.changed().await;
        }
    }

    fn keys(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<char>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to tell a party, which nobody else has meanwhile. Dropped, it was not told.
pub(super) struct Telling<'a> {
    standing: &'a Standing,
}

impl Telling<'_> {
    /// From now on its keys are answers.
    pub(super) fn asks(&self) -> mpsc::UnboundedReceiver<char> {
        let (keys, pressed) = mpsc::unbounded_channel();
        *self.standing.keys() = Some(keys);
        pressed
    }

    /// It has been told.
    pub(super) fn ends(self, told: Told) -> Arc<Told> {
        let told = Arc::new(told);
        self.standing.state.send_replace(State::Told(told.clone()));
        told
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        *self.standing.keys() = None;
        self.standing.state.send_if_modified(|state| {
            let is_given_up = matches!(state, State::Listening);
            if is_given_up {
                *state = State::Untold;
            }
            is_given_up
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answer: Answer) -> Told {
        Told { announcement: "told".into(), at: Timestamp::UNIX_EPOCH, is_whole: true, answer }
    }

    #[tokio::test]
    async fn a_party_is_told_once_and_anew_only_when_that_was_given_up_or_is_not_enough() {
        let standing = Standing::default();
        let Err(telling) = standing.told(|_| true).await else { panic!("nobody has told it") };
        drop(telling);
        let Err(telling) = standing.told(|_| true).await else { panic!("that was given up") };
        let waits = standing.told(|_| true);
        let done = async { telling.ends(told(Answer::NotAsked)) };
        let (heard, done) = tokio::join!(waits, done);
        assert_eq!(heard.ok(), Some(done), "whoever came second heard of it");
        let asks = |told: &Told| told.answer != Answer::NotAsked;
        assert!(standing.was_not_asked() && !standing.has_agreed(), "who was only told has not agreed");
        assert!(standing.told(asks).await.is_err(), "one who is to be asked must be asked");
    }

    #[tokio::test]
    async fn keys_are_answers_only_while_it_is_asked() {
        let standing = Standing::default();
        assert!(!standing.takes('1'));
        let Err(telling) = standing.told(|_| true).await else { panic!("nobody has told it") };
        assert!(!standing.takes('1'), "told, not asked");
        let mut keys = telling.asks();
        assert!(standing.takes('2'));
        assert_eq!(keys.recv().await, Some('2'));
        telling.ends(told(Answer::Refused('2')));
        assert!(!standing.takes('1') && standing.has_refused());
    }
}
