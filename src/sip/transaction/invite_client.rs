//! Client INVITE transaction (RFC 3261 §17.1.1 figure 5, with RFC 6026 §7.2's Accepted).
//! Above: `session` gets what is passed up. Below: the table sends, and runs the timers that a state names.

use super::{Action, Input};
use crate::sip::timer::Timer;

/// Where our INVITE stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Sent, nothing came back.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// Refused; repeats of the refusal get the ACK again.
    Completed,
    /// Accepted; further 2xx are passed up.
    Accepted,
    /// To be removed.
    Terminated,
}

impl State {
    pub(crate) fn step(self, input: Input) -> (Self, Action) {
        use State::{Accepted, Calling, Completed, Proceeding, Terminated};
        match (self, input) {
            (Calling, Input::Fired(Timer::A)) => (Calling, Action::Retransmit), // §17.1.1.2: A doubles each time
            (Calling, Input::Fired(Timer::B)) => (Terminated, Action::TimedOut),
            (Calling | Proceeding, Input::Fired(Timer::Cancelled)) => (Terminated, Action::TimedOut), // §9.1
            (Calling | Proceeding, Input::Failed) => (Terminated, Action::Unreachable),
            (Calling | Proceeding, Input::Provisional) => (Proceeding, Action::PassUp),
            (Calling | Proceeding, Input::Success) => (Accepted, Action::PassUp),
            (Calling | Proceeding, Input::Failure) => (Completed, Action::AcknowledgeAndPassUp),
            (Completed, Input::Failure) => (Completed, Action::Acknowledge),
            (Completed, Input::Failed) => (Terminated, Action::Nothing), // the refusal itself was passed up already
            (Completed, Input::Fired(Timer::D)) => (Terminated, Action::Nothing),
            (Accepted, Input::Success) => (Accepted, Action::PassUp), // RFC 6026 §7.2: repeats and forks
            (Accepted, Input::Fired(Timer::M)) => (Terminated, Action::Nothing),
            (state, _) => (state, Action::Nothing),
        }
    }

    /// The timer that repeats what was sent, over UDP.
    pub(crate) fn repeats(self) -> Option<Timer> {
        (self == Self::Calling).then_some(Timer::A)
    }

    /// The timer that ends this state.
    pub(crate) fn ends(self) -> Option<Timer> {
        match self {
            Self::Calling => Some(Timer::B),
            Self::Completed => Some(Timer::D),
            Self::Accepted => Some(Timer::M),
            Self::Proceeding | Self::Terminated => None, // §17.1.1.2: ringing may last; the session decides
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unanswered_invite_is_repeated_and_then_given_up() {
        let (state, action) = State::Calling.step(Input::Fired(Timer::A));
        assert_eq!((state, action), (State::Calling, Action::Retransmit));
        assert_eq!(state.step(Input::Fired(Timer::B)), (State::Terminated, Action::TimedOut));
    }

    #[test]
    fn ringing_stops_the_repeats_and_the_give_up_timer() {
        let (state, action) = State::Calling.step(Input::Provisional);
        assert_eq!(action, Action::PassUp);
        assert_eq!((state.repeats(), state.ends()), (None, None));
    }

    #[test]
    fn a_refusal_is_acknowledged_every_time_but_passed_up_once() {
        let (state, action) = State::Proceeding.step(Input::Failure);
        assert_eq!((state, action), (State::Completed, Action::AcknowledgeAndPassUp));
        assert_eq!(state.step(Input::Failure), (State::Completed, Action::Acknowledge));
        assert_eq!(state.step(Input::Success), (State::Completed, Action::Nothing));
        assert_eq!(state.step(Input::Fired(Timer::D)), (State::Terminated, Action::Nothing));
    }

    #[test]
    fn each_2xx_is_passed_up_until_m() {
        let (state, action) = State::Calling.step(Input::Success);
        assert_eq!((state, action, state.ends()), (State::Accepted, Action::PassUp, Some(Timer::M)));
        assert_eq!(state.step(Input::Success), (State::Accepted, Action::PassUp));
        assert_eq!(state.step(Input::Failure), (State::Accepted, Action::Nothing));
        assert_eq!(state.step(Input::Fired(Timer::M)), (State::Terminated, Action::Nothing));
    }

    #[test]
    fn a_cancelled_invite_that_rings_on_is_given_up() {
        assert_eq!(State::Proceeding.step(Input::Fired(Timer::Cancelled)), (State::Terminated, Action::TimedOut));
        assert_eq!(State::Accepted.step(Input::Fired(Timer::Cancelled)), (State::Accepted, Action::Nothing));
    }

    #[test]
    fn a_broken_transport_ends_only_what_still_waits() {
        assert_eq!(State::Calling.step(Input::Failed), (State::Terminated, Action::Unreachable));
        assert_eq!(State::Accepted.step(Input::Failed), (State::Accepted, Action::Nothing));
    }
}
