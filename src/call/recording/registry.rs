//! All running recordings: for those who list them, for the bridge, which lets them follow at once, and for the record of a call,
//! which waits for them.
//! Above: `Exchange::recordings`. Below: `core`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use std::sync::OnceLock;

use tokio::sync::{oneshot, watch};

use crate::{
    call::{
        exchange::Exchange,
        live::LegFacts,
        recording::{
            consent::Sounds,
            core::{Core, Follows, Phase},
            session::RecordingHandle,
            spool::Spool,
        },
    },
    media::{PlayId, Source},
    outbox::RecordingId,
};

/// The recordings of the server.
pub struct Recordings {
    spool: Spool,
    /// Finds announcements.
    sounds: OnceLock<Sounds>,
    table: Mutex<Table>,
    /// How many there are: a call that nobody records is not slowed by a lock.
    count: AtomicUsize,
    /// Counts recordings that begin and end.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Table {
    running: Vec<Arc<Core>>,
    /// Those that a call's record is to name, by the call's UUID; ended ones too.
    of_calls: HashMap<String, Vec<Arc<Core>>>,
    /// Announcements that play.
    announcements: HashMap<PlayId, oneshot::Sender<bool>>,
    /// Files that are to be continued, and by which recording.
    reserved: Vec<(String, RecordingId)>,
}

impl Recordings {
    /// Recordings that lie in `spool`, which is made with the first of them.
    pub fn new(spool: Spool) -> Self {
        Self {
            spool,
            sounds: OnceLock::new(),
            table: Mutex::default(),
            count: AtomicUsize::new(0),
            changes: watch::Sender::new(0),
        }
    }

    /// Where they lie.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Announcements are found by `sounds`; told once.
    pub fn finds_sounds_by(&self, sounds: Sounds) {
        let _ = self.sounds.set(sounds);
    }

    /// The sound of that name.
    pub(super) async fn sound(&self, name: &str) -> Option<Source> {
        (self.sounds.get()?)(name.to_owned()).await
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// All that run, the oldest first.
    pub fn all(&self) -> Vec<RecordingHandle> {
        self.lock().running.iter().cloned().map(RecordingHandle::of).collect()
    }

    /// The running one with this id, any case.
    pub fn find(&self, id: &str) -> Option<RecordingHandle> {
        let is_it = |core: &&Arc<Core>| core.id.to_string().eq_ignore_ascii_case(id);
        self.lock().running.iter().find(is_it).cloned().map(RecordingHandle::of)
    }

    /// Those in which a leg can be heard: that follow it, or whomever it talks with.
    pub fn hearing(&self, leg: &Arc<LegFacts>) -> Vec<RecordingHandle> {
        self.concerned(&[leg]).into_iter().map(RecordingHandle::of).collect()
    }

    /// Those that follow one of these legs.
    pub fn following(&self, legs: &[&Arc<LegFacts>]) -> Vec<RecordingHandle> {
        let follows = |core: &Arc<Core>| core.leg().is_some_and(|own| legs.iter().any(|leg| Arc::ptr_eq(own, leg)));
        self.concerned(legs).into_iter().filter(follows).map(RecordingHandle::of).collect()
    }

    /// A conference room is recorded as a whole.
    pub(super) fn is_room_recorded(&self, room: &str) -> bool {
        let is_it = |core: &Arc<Core>| matches!(&core.follows, Follows::Room(name) if name == room);
        self.lock().running.iter().any(|core| is_it(core) && !core.is_ending())
    }

    /// One of these legs is heard in a recording that has begun.
    pub fn is_any_recorded(&self, legs: &[Arc<LegFacts>]) -> bool {
        if self.count() == 0 {
            return false;
        }
        let legs: Vec<_> = legs.iter().collect();
        // A copy, as below; one for all legs.
        let running = self.lock().running.clone();
        running.iter().any(|core| *core.phase.borrow() != Phase::Beginning && core.concerns(&legs))
    }

    /// Counts recordings that begin and end.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns when none runs.
    pub async fn idle(&self) {
        let mut changes = self.changes.subscribe();
        while self.count() > 0 {
            // The sender lives as long as this does.
            let _ = changes.changed().await;
        }
    }

    /// After these legs were joined or parted: their recordings are where they belong at once.
    pub(in crate::call) fn settle(&self, legs: &[&Arc<LegFacts>]) {
        for core in self.concerned(legs) {
            core.settle();
        }
    }

    /// After somebody has left a conference room: whoever is left decides what is recorded of it.
    pub(in crate::call) fn settle_room(&self, room: &str) {
        if self.count() == 0 {
            return;
        }
        // A copy, as below.
        let running = self.lock().running.clone();
        running.iter().filter(|core| core.hears_room(room)).for_each(|core| core.settle());
    }

    /// Those that were made of a call: asked once, by whoever writes its record.
    pub(in crate::call) fn take_call(&self, call: &str) -> Vec<RecordingHandle> {
        let taken = self.lock().of_calls.remove(call);
        taken.unwrap_or_default().into_iter().map(RecordingHandle::of).collect()
    }

    /// A media thread has ended what played: it may be an announcement.
    pub(in crate::call) fn played(&self, id: PlayId, finished: bool) {
        if self.count() == 0 {
            return;
        }
        if let Some(told) = self.lock().announcements.remove(&id) {
            // The recording may be over.
            let _ = told.send(finished);
        }
    }

    /// Told when an announcement has been played, and whether to its end.
    pub(super) fn hears_of(&self, id: PlayId) -> oneshot::Receiver<bool> {
        let (told, tells) = oneshot::channel();
        self.lock().announcements.insert(id, told);
        tells
    }

    /// Nobody waits for the announcement any more: whether it still played.
    pub(super) fn forgets(&self, id: PlayId) -> bool {
        self.lock().announcements.remove(&id).is_some()
    }

    pub(super) fn begins(&self, core: &Arc<Core>) {
        let mut table = self.lock();
        table.running.push(core.clone());
        self.count.store(table.running.len(), Ordering::Relaxed);
        drop(table);
        self.note_change();
    }

    /// The record of that call is to name it.
    pub(super) fn belongs_to(&self, core: &Arc<Core>, call: &str) {
        let mut table = self.lock();
        let of_call = table.of_calls.entry(call.to_owned()).or_default();
        if !of_call.iter().any(|known| Arc::ptr_eq(known, core)) {
            of_call.push(core.clone());
        }
    }

    /// Nobody else is to go on in this file from now on; `false`: somebody is already.
    pub(super) fn reserves(&self, file: &str, id: RecordingId) -> bool {
        let mut table = self.lock();
        let is_free = !table.reserved.iter().any(|(name, _)| name == file);
        if is_free {
            table.reserved.push((file.to_owned(), id));
        }
        is_free
    }

    /// It goes on in the file that it had reserved, as the outbox knows by now.
    pub(super) fn has_gone_on(&self, id: RecordingId) {
        self.lock().reserved.retain(|(_, by)| *by != id);
    }

    pub(super) fn ends(&self, core: &Arc<Core>) {
        self.has_gone_on(core.id);
        let mut table = self.lock();
        table.running.retain(|known| !Arc::ptr_eq(known, core));
        self.count.store(table.running.len(), Ordering::Relaxed);
        drop(table);
        self.note_change();
    }

    pub(super) fn concerned(&self, legs: &[&Arc<LegFacts>]) -> Vec<Arc<Core>> {
        if self.count() == 0 {
            return Vec::new();
        }
        // A copy: a recording's own lock is not taken under this one.
        let running = self.lock().running.clone();
        running.into_iter().filter(|core| core.concerns(legs)).collect()
    }

    pub(super) fn note_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// Tells of every change that is shown of calls.
    pub(super) fn recording_changed(&self) {
        self.live.note_change();
    }
}
