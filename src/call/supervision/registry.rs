//! All running sessions: for those who list them, for the bridge, which lets them settle at once, and for the next supervisor.
//! Above: `Exchange::spies`. Below: `state`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    call::{
        live::LegFacts,
        supervision::{
            state::{Core, Facts},
            wish::{Rights, Via},
        },
    },
    media::PortId,
};

/// The running sessions of the server, and the phones of those who supervise.
#[derive(Default)]
pub struct Spies {
    table: Mutex<Table>,
    /// How many sessions there are: a call that nobody listens to is not slowed by a lock.
    count: AtomicUsize,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Table {
    sessions: Vec<Weak<Core>>,
    /// Legs of supervisors' phones, and how often each was named.
    phones: HashMap<String, usize>,
    /// The session that a phone hears through.
    hearing: HashMap<PortId, String>,
}

/// A session as others see it.
#[derive(Clone, Debug)]
pub struct Running {
    /// By whose right.
    pub who: Rights,
    /// By which way.
    pub via: Via,
    /// Since when.
    pub since: Timestamp,
    /// Why, in the supervisor's words.
    pub reason: Option<String>,
    /// What is in force.
    pub facts: Arc<Facts>,
}

impl Spies {
    /// All sessions, the oldest first.
    pub fn all(&self) -> Vec<Running> {
        let running = |core: Arc<Core>| Running {
            who: core.wish.who.clone(),
            via: core.wish.via.clone(),
            since: core.began,
            reason: core.wish.reason.clone(),
            facts: core.facts(),
        };
        self.cores().into_iter().map(running).collect()
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many listen to a call, by the UUID of its calling leg.
    pub fn on_call(&self, call: &str) -> usize {
        if self.count() == 0 {
            return 0;
        }
        self.cores().iter().filter(|core| core.facts().call == call).count()
    }

    /// Counts what changes: sessions that begin and end, phones that begin and cease to supervise.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The leg is the phone of somebody who supervises.
    pub fn is_phone(&self, leg: &str) -> bool {
        self.lock().phones.contains_key(leg)
    }

    /// From now on, until it is dropped, the leg is the phone of somebody who supervises: no call of his is supervised.
    pub(super) fn phone(&self, leg: &str) {
        *self.lock().phones.entry(leg.into()).or_default() += 1;
        self.note_change();
    }

    pub(super) fn no_phone(&self, leg: &str) {
        let mut table = self.lock();
        if let Some(times) = table.phones.get_mut(leg) {
            *times -= 1;
            if *times == 0 {
                table.phones.remove(leg);
            }
        }
        drop(table);
        self.note_change();
    }

    /// A phone hears through this session from now on.
    pub(super) fn hears(&self, phone: PortId, session: &str) {
        self.lock().hearing.insert(phone, session.into());
    }

    /// The session is over: whether the phone still heard through it.
    pub(super) fn stops_hearing(&self, phone: PortId, session: &str) -> bool {
        let mut table = self.lock();
        let is_it = table.hearing.get(&phone).is_some_and(|current| current == session);
        if is_it {
            table.hearing.remove(&phone);
        }
        is_it
    }

    /// Another session than `but` has taken the place of a leg.
    pub(super) fn is_replaced(&self, leg: &str, but: &str) -> bool {
        let takes = |core: &Arc<Core>| core.lock().held().is_some_and(|held| held.uuid == leg);
        self.cores().iter().any(|core| core.id != but && takes(core))
    }

    pub(super) fn begins(&self, core: &Arc<Core>) {
        let mut table = self.lock();
        table.sessions.push(Arc::downgrade(core));
        self.count.store(table.sessions.len(), Ordering::Relaxed);
        drop(table);
        self.note_change();
    }

    pub(super) fn ends(&self, id: &str) {
        let mut table = self.lock();
        table.sessions.retain(|core| core.upgrade().is_some_and(|core| core.id != id));
        self.count.store(table.sessions.len(), Ordering::Relaxed);
        drop(table);
        self.note_change();
    }

    /// Before these legs are joined with others than now: nobody hears what he has no right to, not for one frame (S058).
    pub(in crate::call) fn let_go(&self, legs: &[&Arc<LegFacts>]) {
        for core in self.concerned(legs) {
            core.let_go();
        }
    }

    /// After these legs were joined or parted: their sessions are where they belong at once, or know why not.
    pub(in crate::call) fn settle(&self, legs: &[&Arc<LegFacts>]) {
        for core in self.concerned(legs) {
            core.settle();
            core.nudge.notify_one();
        }
    }

    pub(super) fn concerned(&self, legs: &[&Arc<LegFacts>]) -> Vec<Arc<Core>> {
        if self.count() == 0 {
            return Vec::new();
        }
        self.cores().into_iter().filter(|core| core.concerns(legs)).collect()
    }

    pub(super) fn note_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn cores(&self) -> Vec<Arc<Core>> {
        self.lock().sessions.iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
