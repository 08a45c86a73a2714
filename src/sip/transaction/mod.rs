//! Transactions (RFC 3261 §17): the four machines, one file each, and the words they share.
//! Above: `stack` and `session` start them in the `table` and get what they pass up. Below: nothing but timers' names.

pub(crate) mod client;
pub(crate) mod invite_client;
pub(crate) mod invite_server;
pub(crate) mod key;
pub(crate) mod server;
pub(crate) mod table;

use super::stack::{RequestId, SessionId};
use super::timer::Timer;

/// Names one transaction as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TransactionId(u64);

/// What can happen to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A 1xx: received by a client, to be sent by a server.
    Provisional,
    /// A 2xx: received by a client, to be sent by a server.
    Success,
    /// A 3xx–6xx: received by a client, to be sent by a server.
    Failure,
    /// The request came again.
    Repeat,
    /// The ACK of a refusal came.
    Ack,
    /// A timer ran out.
    Fired(Timer),
    /// The transport could not deliver.
    Failed,
}

impl Input {
    fn of_status(status: u16) -> Self {
        match status {
            ..200 => Self::Provisional,
            200..300 => Self::Success,
            300.. => Self::Failure,
        }
    }
}

/// What a machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing leaves.
    Nothing,
    /// Send the last message again.
    Retransmit,
    /// Send the response that is the input.
    Send,
    /// Give the response to the user.
    PassUp,
    /// Send the ACK of the refusal.
    Acknowledge,
    /// Both of these.
    AcknowledgeAndPassUp,
    /// Tell the user that no response came (408, §8.1.3.1).
    TimedOut,
    /// Tell the user that the request could not be sent (503, §8.1.3.1).
    Unreachable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    InviteClient(invite_client::State),
    Client(client::State),
    InviteServer(invite_server::State),
    Server(server::State),
}

impl Machine {
    fn step(self, input: Input) -> (Self, Action) {
        match self {
            Self::InviteClient(state) => on_first(state.step(input), Self::InviteClient),
            Self::Client(state) => on_first(state.step(input), Self::Client),
            Self::InviteServer(state) => on_first(state.step(input), Self::InviteServer),
            Self::Server(state) => on_first(state.step(input), Self::Server),
        }
    }

    fn repeats(self) -> Option<Timer> {
        match self {
            Self::InviteClient(state) => state.repeats(),
            Self::Client(state) => state.repeats(),
            Self::InviteServer(state) => state.repeats(),
            Self::Server(_) => None,
        }
    }

    fn ends(self) -> Option<Timer> {
        match self {
            Self::InviteClient(state) => state.ends(),
            Self::Client(state) => state.ends(),
            Self::InviteServer(state) => state.ends(),
            Self::Server(state) => state.ends(),
        }
    }

    fn is_terminated(self) -> bool {
        matches!(
            self,
            Self::InviteClient(invite_client::State::Terminated)
                | Self::Client(client::State::Terminated)
                | Self::InviteServer(invite_server::State::Terminated)
                | Self::Server(server::State::Terminated)
        )
    }

    /// Whether the request itself can still be needed: to repeat it, to cancel it or to acknowledge a refusal.
    fn needs_last(self) -> bool {
        !matches!(self, Self::InviteClient(invite_client::State::Accepted) | Self::Client(client::State::Completed))
    }
}

fn on_first<S>((state, action): (S, Action), wrap: fn(S) -> Machine) -> (Machine, Action) {
    (wrap(state), action)
}

/// Which of the two kinds of machine a transaction needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// INVITE.
    Invite,
    /// Any other request.
    Other,
}

/// What a session started a client transaction for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The first INVITE, either way.
    Invite,
    /// A re-INVITE or UPDATE.
    Offer,
    /// A PRACK.
    Prack,
    /// An INFO.
    Info,
    /// The BYE.
    Bye,
}

/// Who hears of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// Nobody: it is sent for politeness.
    Nobody,
    /// The sender of a request outside any session.
    Request(RequestId),
    /// Whoever answers a request outside any session.
    Asked(RequestId),
    /// A session.
    Session(SessionId, Purpose),
}

/// Why a client transaction ended without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocalFailure {
    /// Nothing came within 64·T1.
    TimedOut,
    /// The transport could not deliver.
    Unreachable,
}

impl LocalFailure {
    /// The status this counts as (§8.1.3.1).
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::TimedOut => 408,
            Self::Unreachable => 503,
        }
    }
}
