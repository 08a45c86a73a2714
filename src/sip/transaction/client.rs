//! Client transaction for all requests but INVITE (RFC 3261 §17.1.2 figure 6).
//! Above: `session` or the sender of a request gets what is passed up. Below: the table sends and runs the timers.

use super::{Action, Input};
use crate::sip::timer::Timer;

/// Where our request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Sent, nothing came back.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// The final response came; repeats of it are absorbed.
    Completed,
    /// To be removed.
    Terminated,
}

impl State {
    pub(crate) fn step(self, input: Input) -> (Self, Action) {
        use State::{Completed, Proceeding, Terminated, Trying};
        match (self, input) {
            (Trying | Proceeding, Input::Fired(Timer::E)) => (self, Action::Retransmit),
            (Trying | Proceeding, Input::Fired(Timer::F)) => (Terminated, Action::TimedOut),
            (Trying | Proceeding, Input::Failed) => (Terminated, Action::Unreachable),
            (Trying | Proceeding, Input::Provisional) => (Proceeding, Action::PassUp),
            (Trying | Proceeding, Input::Success | Input::Failure) => (Completed, Action::PassUp),
            (Completed, Input::Fired(Timer::K)) => (Terminated, Action::Nothing),
            (state, _) => (state, Action::Nothing),
        }
    }

    /// The timer that repeats what was sent, over UDP.
    pub(crate) fn repeats(self) -> Option<Timer> {
        matches!(self, Self::Trying | Self::Proceeding).then_some(Timer::E)
    }

    /// The timer that ends this state.
    pub(crate) fn ends(self) -> Option<Timer> {
        match self {
            Self::Trying | Self::Proceeding => Some(Timer::F),
            Self::Completed => Some(Timer::K),
            Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_repeated_even_after_a_provisional_response() {
        let (state, _) = State::Trying.step(Input::Provisional);
        assert_eq!(state.step(Input::Fired(Timer::E)), (State::Proceeding, Action::Retransmit));
        assert_eq!(state.step(Input::Fired(Timer::F)), (State::Terminated, Action::TimedOut));
    }

    #[test]
    fn the_final_response_is_passed_up_once() {
        for answer in [Input::Success, Input::Failure] {
            let (state, action) = State::Trying.step(answer);
            assert_eq!((state, action), (State::Completed, Action::PassUp));
            assert_eq!(state.step(answer), (State::Completed, Action::Nothing));
            assert_eq!(state.step(Input::Fired(Timer::K)), (State::Terminated, Action::Nothing));
        }
    }

    #[test]
    fn a_broken_transport_is_told_while_waiting_only() {
        assert_eq!(State::Proceeding.step(Input::Failed), (State::Terminated, Action::Unreachable));
        assert_eq!(State::Completed.step(Input::Failed), (State::Completed, Action::Nothing));
    }
}
