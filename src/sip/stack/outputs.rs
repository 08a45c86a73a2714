//! What the machines put out: messages, events, timers and figures, drained by the owner of the stack.

use std::collections::VecDeque;

use super::{Counts, Event, SessionEvent, SessionId, Transmit};
use crate::sip::timer::{Timer, Timers};
use crate::sip::transaction::TransactionId;

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A transaction's.
    Transaction(TransactionId, Timer),
    /// A session's.
    Session(SessionId, Timer),
}

/// The outputs of everything in a stack.
pub(crate) struct Outputs {
    pub(crate) timers: Timers<Due>,
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    /// Only the running totals are kept here; what is live is counted when asked.
    pub(crate) counts: Counts,
}

impl Outputs {
    pub(crate) fn new() -> Self {
        Self { timers: Timers::new(), transmits: VecDeque::new(), events: VecDeque::new(), counts: Counts::default() }
    }

    pub(crate) fn transmit(&mut self, transmit: Transmit) {
        self.transmits.push_back(transmit);
    }

    pub(crate) fn emit(&mut self, id: SessionId, event: SessionEvent) {
        self.events.push_back(Event::Session { id, event });
    }
}
