//! Server INVITE transaction (RFC 3261 §17.2.1 figure 7, with RFC 6026 §7.1's Accepted).
//! Above: `session` decides the responses, and repeats its 2xx itself. Below: the table sends and runs the timers.

use super::{Action, Input};
use crate::sip::timer::Timer;

/// Where their INVITE stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No final response yet; 100 went out at once.
    Proceeding,
    /// Refused; the refusal is repeated until the ACK.
    Completed,
    /// The ACK of the refusal came.
    Confirmed,
    /// Accepted; repeats of the INVITE are absorbed.
    Accepted,
    /// To be removed.
    Terminated,
}

impl State {
    pub(crate) fn step(self, input: Input) -> (Self, Action) {
        use State::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match (self, input) {
            (Proceeding, Input::Repeat) => (Proceeding, Action::Retransmit),
            (Proceeding, Input::Provisional) => (Proceeding, Action::Send),
            (Proceeding, Input::Success) => (Accepted, Action::Send),
            (Proceeding, Input::Failure) => (Completed, Action::Send),
            (Completed, Input::Repeat | Input::Fired(Timer::G)) => (Completed, Action::Retransmit),
            (Completed, Input::Ack) => (Confirmed, Action::Nothing),
            (Completed, Input::Fired(Timer::H)) => (Terminated, Action::Nothing), // the session ended with the refusal
            (Confirmed, Input::Fired(Timer::I)) => (Terminated, Action::Nothing),
            (Accepted, Input::Success) => (Accepted, Action::Send), // RFC 6026 §7.1: the session's own repeats
            (Accepted, Input::Fired(Timer::L)) => (Terminated, Action::Nothing),
            (state, _) => (state, Action::Nothing),
        }
    }

    /// The timer that repeats what was sent, over UDP.
    pub(crate) fn repeats(self) -> Option<Timer> {
        (self == Self::Completed).then_some(Timer::G)
    }

    /// The timer that ends this state.
    pub(crate) fn ends(self) -> Option<Timer> {
        match self {
            Self::Completed => Some(Timer::H),
            Self::Confirmed => Some(Timer::I),
            Self::Accepted => Some(Timer::L),
            Self::Proceeding | Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_invite_gets_the_last_provisional_response_again() {
        assert_eq!(State::Proceeding.step(Input::Repeat), (State::Proceeding, Action::Retransmit));
    }

    #[test]
    fn a_refusal_is_repeated_until_its_ack() {
        let (state, action) = State::Proceeding.step(Input::Failure);
        assert_eq!((state, action), (State::Completed, Action::Send));
        assert_eq!(state.step(Input::Fired(Timer::G)), (State::Completed, Action::Retransmit));
        let (state, _) = state.step(Input::Ack);
        assert_eq!((state, state.repeats(), state.ends()), (State::Confirmed, None, Some(Timer::I)));
        assert_eq!(state.step(Input::Fired(Timer::I)), (State::Terminated, Action::Nothing));
    }

    #[test]
    fn a_refusal_without_ack_is_given_up() {
        assert_eq!(State::Completed.step(Input::Fired(Timer::H)), (State::Terminated, Action::Nothing));
    }

    #[test]
    fn an_accepted_invite_absorbs_repeats_until_l() {
        let (state, action) = State::Proceeding.step(Input::Success);
        assert_eq!((state, action, state.repeats()), (State::Accepted, Action::Send, None));
        assert_eq!(state.step(Input::Repeat), (State::Accepted, Action::Nothing));
        assert_eq!(state.step(Input::Fired(Timer::L)), (State::Terminated, Action::Nothing));
    }

    #[test]
    fn only_one_final_response_leaves() {
        assert_eq!(State::Completed.step(Input::Success), (State::Completed, Action::Nothing));
        assert_eq!(State::Accepted.step(Input::Failure), (State::Accepted, Action::Nothing));
    }
}
