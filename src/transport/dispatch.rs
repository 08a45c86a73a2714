//! Brings each session's events to its leg without ever waiting for it.
//! What may be missed (progress, INFO) is dropped and counted when a leg is slow; its last event always finds room.

use std::collections::HashMap;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, OwnedPermit, Receiver, Sender};

use crate::sip::stack::{SessionEvent, SessionId};

/// Room kept for events that must arrive, so that those that need not cannot take it.
const KEPT: usize = 8;

/// The sending end of one session's events.
pub(super) struct Outlet {
    events: Sender<SessionEvent>,
    /// The place of the last event.
    last: OwnedPermit<SessionEvent>,
}

/// Makes both ends; `capacity` events may wait, beside those that must arrive.
pub(super) fn outlet(capacity: usize) -> (Option<Outlet>, Receiver<SessionEvent>) {
    let (events, receiver) = mpsc::channel(capacity + KEPT + 1);
    let last = events.clone().try_reserve_owned().ok();
    (last.map(|last| Outlet { events, last }), receiver)
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It is with its leg.
    Done,
    /// The leg is slow and the event was one it can miss.
    Dropped,
    /// The leg is gone, or so slow that it missed what it must not: the session has to end.
    Lost,
}

/// All outlets.
#[derive(Default)]
pub(super) struct Outlets {
    open: HashMap<SessionId, Outlet>,
}

impl Outlets {
    pub(super) fn insert(&mut self, id: SessionId, outlet: Outlet) {
        self.open.insert(id, outlet);
    }

    pub(super) fn remove(&mut self, id: SessionId) {
        self.open.remove(&id);
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.open.keys().copied().collect()
    }

    pub(super) fn deliver(&mut self, id: SessionId, event: SessionEvent) -> Delivery {
        if is_last(&event) {
            if let Some(outlet) = self.open.remove(&id) {
                outlet.last.send(event);
            }
            return Delivery::Done;
        }
        let Some(outlet) = self.open.get(&id) else { return Delivery::Lost };
        let may_miss = matches!(event, SessionEvent::Progress { .. } | SessionEvent::Info { .. });
        if may_miss && outlet.events.capacity() <= KEPT && !outlet.events.is_closed() {
            return Delivery::Dropped;
        }
        match outlet.events.try_send(event) {
            Ok(()) => Delivery::Done,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => Delivery::Lost,
        }
    }
}

fn is_last(event: &SessionEvent) -> bool {
    matches!(event, SessionEvent::Refused { .. } | SessionEvent::Cancelled { .. } | SessionEvent::Ended { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::stack::EndedBy;

    fn ended() -> SessionEvent {
        SessionEvent::Ended { by: EndedBy::Peer, reason: None }
    }

    fn progress() -> SessionEvent {
        SessionEvent::Progress { status: 180, reason: String::new(), description: None }
    }

    #[test]
    fn a_slow_leg_misses_progress_but_not_the_answer_and_the_end() {
        let (outlet, mut receiver) = outlet(2);
        let mut outlets = Outlets::default();
        let id = SessionId(1);
        outlets.insert(id, outlet.unwrap());
        let delivered: Vec<_> = (0..4).map(|_| outlets.deliver(id, progress())).collect();
        assert_eq!(delivered, [Delivery::Done, Delivery::Done, Delivery::Dropped, Delivery::Dropped]);
        assert_eq!(outlets.deliver(id, SessionEvent::Acked { description: None }), Delivery::Done);
        assert_eq!(outlets.deliver(id, ended()), Delivery::Done);
        let taken: Vec<_> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
        assert_eq!(taken.len(), 4);
        assert!(matches!(taken.last(), Some(SessionEvent::Ended { .. })));
        assert!(receiver.is_closed());
    }

    #[test]
    fn a_leg_that_is_gone_loses_its_session() {
        let (outlet, receiver) = outlet(2);
        let mut outlets = Outlets::default();
        outlets.insert(SessionId(1), outlet.unwrap());
        drop(receiver);
        assert_eq!(outlets.deliver(SessionId(1), progress()), Delivery::Lost);
        assert_eq!(outlets.deliver(SessionId(2), progress()), Delivery::Lost);
    }

    #[test]
    fn the_last_event_finds_room_however_full_it_is() {
        let (outlet, mut receiver) = outlet(1);
        let mut outlets = Outlets::default();
        outlets.insert(SessionId(1), outlet.unwrap());
        while outlets.deliver(SessionId(1), SessionEvent::Acked { description: None }) == Delivery::Done {}
        assert_eq!(outlets.deliver(SessionId(1), ended()), Delivery::Done);
        let taken: Vec<_> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
        assert!(matches!(taken.last(), Some(SessionEvent::Ended { .. })));
    }
}
