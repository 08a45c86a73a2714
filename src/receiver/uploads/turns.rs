//! One request at a time for each upload: the newest one, since the connection of an older one may be dead without knowing it.
//! Above: the handlers. Pure but for its lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::timeout;

/// An older request is over after this time, or nothing more is to be had of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who works on which upload.
#[derive(Debug, Default)]
pub(in super::super) struct Turns(Mutex<HashMap<String, Weak<Slot>>>);

#[derive(Debug)]
struct Slot {
    /// Counts the requests.
    newest: watch::Sender<u64>,
    busy: Arc<tokio::sync::Mutex<()>>,
}

/// The right to work on an upload, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    newest: watch::Receiver<u64>,
    _busy: OwnedMutexGuard<()>,
    _slot: Arc<Slot>,
}

impl Turns {
    /// Asks whoever works on the upload to end, and waits for it; `None`: a newer request came, or it does not end.
    pub(super) async fn take(&self, id: &str) -> Option<Turn> {
        let slot = self.slot(id);
        slot.newest.send_modify(|count| *count += 1);
        let newest = slot.newest.subscribe();
        let busy = timeout(PATIENCE, Arc::clone(&slot.busy).lock_owned()).await.ok()?;
        let is_overtaken = newest.has_changed().unwrap_or(true);
        (!is_overtaken).then_some(Turn { newest, _busy: busy, _slot: slot })
    }

    fn slot(&self, id: &str) -> Arc<Slot> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, slot| slot.strong_count() > 0);
        if let Some(slot) = all.get(id).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(Slot { newest: watch::Sender::new(0), busy: Arc::default() });
        all.insert(id.to_owned(), Arc::downgrade(&slot));
        slot
    }
}

impl Turn {
    /// Done when a newer request wants to go on.
    pub(super) async fn is_asked_for(&mut self) {
        // The sender lives as long as this does.
        let _ = self.newest.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_newest_request_goes_on_and_the_others_end() {
        let turns = Turns::default();
        let mut first = turns.take("a").await.unwrap();
        assert!(turns.take("b").await.is_some(), "another upload is another matter");
        let (second, third, ()) = tokio::join!(turns.take("a"), turns.take("a"), async {
            first.is_asked_for().await;
            drop(first);
        });
        assert!(second.is_none() && third.is_some());
        assert!(turns.take("a").await.is_none(), "the third does not end");
        drop(third);
        assert!(turns.take("a").await.is_some());
    }
}
