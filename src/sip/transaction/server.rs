//! Server transaction for all requests but INVITE and ACK (RFC 3261 §17.2.2 figure 8).
//! Above: `session` or the answerer of a request decides the response. Below: the table sends and runs the timer.

use super::{Action, Input};
use crate::sip::timer::Timer;

/// Where their request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No response yet: repeats are dropped.
    Trying,
    /// A provisional response went out.
    Proceeding,
    /// The final response went out; repeats get it again.
    Completed,
    /// To be removed.
    Terminated,
}

impl State {
    pub(crate) fn step(self, input: Input) -> (Self, Action) {
        use State::{Completed, Proceeding, Terminated, Trying};
        match (self, input) {
            (Trying | Proceeding, Input::Provisional) => (Proceeding, Action::Send),
            (Trying | Proceeding, Input::Success | Input::Failure) => (Completed, Action::Send),
            (Trying | Proceeding, Input::Fired(Timer::F)) => (Terminated, Action::TimedOut), // the peer has given up: its F
            (Proceeding | Completed, Input::Repeat) => (self, Action::Retransmit),
            (Completed, Input::Fired(Timer::J)) => (Terminated, Action::Nothing),
            (state, _) => (state, Action::Nothing),
        }
    }

    /// The timer that ends this state.
    pub(crate) fn ends(self) -> Option<Timer> {
        match self {
            Self::Trying | Self::Proceeding => Some(Timer::F),
            Self::Completed => Some(Timer::J),
            Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_dropped_before_and_answered_after_the_response() {
        assert_eq!(State::Trying.step(Input::Repeat), (State::Trying, Action::Nothing));
        let (state, action) = State::Trying.step(Input::Failure);
        assert_eq!((state, action), (State::Completed, Action::Send));
        assert_eq!(state.step(Input::Repeat), (State::Completed, Action::Retransmit));
        assert_eq!(state.step(Input::Success), (State::Completed, Action::Nothing));
        assert_eq!(state.step(Input::Fired(Timer::J)), (State::Terminated, Action::Nothing));
    }
}
