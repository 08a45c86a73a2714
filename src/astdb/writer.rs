//! Writing: a caller who may wait and finds nobody else writing commits in its own thread; all others send their changes to a thread
//! that commits together what waits, and only then answers.
//! Above: [`super::Store`] has changes. Below: `change` does them, `schema` opens the file.
//!
//! What a commit costs is the disk's sync, so the more changes share one the better. After a commit that was shared, those who were
//! answered mostly have the next change ready at once: the thread gives them a moment, a fraction of what the commit took, instead
//! of syncing for the first who comes and letting all others wait for that.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::change::{Change, Changed, Txn};
use super::error::StoreError;
use super::schema;
use super::store::Setup;
use super::unlock::{Fault, Keyed, head, unlock};

/// Changes in one commit at most: none waits for many others.
const TOGETHER: usize = 512;
/// The part of a commit's time that is waited for those who shared it, and the most of it.
const FRACTION: u32 = 4;
const MOMENT: Duration = Duration::from_millis(1);

/// Called once, after the change is on the disk or has failed.
pub(super) type Answer = Box<dyn FnOnce(Result<Changed, StoreError>) + Send>;

/// A change that somebody wants.
pub(super) struct Wanted {
    pub(super) change: Change,
    /// Who wants it, where that is not whoever opened the store.
    pub(super) who: Option<Arc<str>>,
}

/// A change and whom to tell.
pub(super) struct Request {
    pub(super) wanted: Wanted,
    pub(super) answer: Answer,
}

/// The way to the thread; dropping it ends the thread after what has been sent.
pub(super) struct Writer {
    /// `None` only while it is dropped.
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(desk: Arc<Desk>) -> io::Result<Self> {
        let (requests, inbox) = channel();
        let thread = std::thread::Builder::new().name("astdb".into()).spawn(move || desk.serve(&inbox))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    pub(super) fn send(&self, request: Request) -> Result<(), StoreError> {
        let requests = self.requests.as_ref().ok_or(StoreError::Closed)?;
        requests.send(request).map_err(|_| StoreError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there.
            let _ = thread.join();
        }
    }
}

/// Where changes are committed, by whoever has it.
pub(super) struct Desk {
    /// Changes in the last commit: more than one when several callers write at once.
    shared: AtomicUsize,
    file: Mutex<Writable>,
}

impl Desk {
    pub(super) fn new(setup: Arc<Setup>) -> Self {
        Self { shared: AtomicUsize::new(0), file: Mutex::new(Writable { setup, conn: None, keyed: None, epoch: 0 }) }
    }

    /// Commits a change in the caller's thread; `None`: others write too, and a commit is better shared with them.
    pub(super) fn alone(&self, wanted: &Wanted) -> Option<Result<Changed, StoreError>> {
        if self.shared.load(Ordering::Relaxed) > 1 {
            return None;
        }
        let mut file = match self.file.try_lock() {
            Ok(file) => file,
            // A panic in a change has undone its transaction.
            Err(TryLockError::Poisoned(file)) => file.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(file.one(wanted))
    }

    fn serve(&self, inbox: &Receiver<Request>) {
        let mut moment = Duration::ZERO;
        while let Ok(first) = inbox.recv() {
            let mut batch = vec![first];
            self.gather(&mut batch, inbox, moment);
            let mut file = self.file();
            // Those who came while another thread had the file.
            let room = TOGETHER.saturating_sub(batch.len());
            batch.extend(inbox.try_iter().take(room));
            self.shared.store(batch.len(), Ordering::Relaxed);
            let began = Instant::now();
            let wanted: Vec<&Wanted> = batch.iter().map(|request| &request.wanted).collect();
            let done = file.commit(&wanted);
            moment = (began.elapsed() / FRACTION).min(MOMENT);
            drop(file);
            for (request, done) in batch.into_iter().zip(done) {
                (request.answer)(done);
            }
        }
    }

    /// Takes what waits, and for a moment what comes from as many callers as shared the last commit.
    fn gather(&self, batch: &mut Vec<Request>, inbox: &Receiver<Request>, moment: Duration) {
        let shared = self.shared.load(Ordering::Relaxed);
        let until = Instant::now() + moment;
        while batch.len() < TOGETHER {
            let next = match inbox.try_recv() {
                Ok(next) => next,
                Err(_) if batch.len() >= shared => return,
                Err(_) => match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(next) => next,
                    Err(_) => return,
                },
            };
            batch.push(next);
        }
    }

    /// Closes the file and wipes its keys, once nobody writes.
    pub(super) fn forget(&self) {
        let mut file = self.file();
        (file.conn, file.keyed) = (None, None);
    }

    fn file(&self) -> MutexGuard<'_, Writable> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file, and what has been opened of it.
struct Writable {
    setup: Arc<Setup>,
    conn: Option<Connection>,
    keyed: Option<Keyed>,
    /// [`super::KeySource::epoch`] when the key was asked for.
    epoch: u64,
}

impl Writable {
    /// Commits changes as one transaction; when that fails, each of them alone, so that each fails only for itself.
    fn commit(&mut self, all: &[&Wanted]) -> Vec<Result<Changed, StoreError>> {
        match self.transact(all) {
            Ok(done) => done.into_iter().map(Ok).collect(),
            Err(error) if all.len() == 1 => vec![Err(error)],
            Err(_) => all.iter().map(|wanted| self.one(wanted)).collect(),
        }
    }

    fn one(&mut self, wanted: &Wanted) -> Result<Changed, StoreError> {
        self.transact(&[wanted]).map(|done| done.into_iter().next().unwrap_or_default())
    }

    fn transact(&mut self, all: &[&Wanted]) -> Result<Vec<Changed>, StoreError> {
        let done = self.attempt(all);
        if let Err(StoreError::Io { .. } | StoreError::Database { .. } | StoreError::ReadOnly { .. }) = &done {
            // Perhaps the file has been replaced; the next change opens what is there then.
            self.conn = None;
            self.keyed = None;
        }
        done
    }

    fn attempt(&mut self, all: &[&Wanted]) -> Result<Vec<Changed>, StoreError> {
        let setup = Arc::clone(&self.setup);
        let conn = match &mut self.conn {
            Some(conn) => conn,
            empty => empty.insert(schema::open_writing(&setup.path, &setup.keys, setup.names, setup.patience)?),
        };
        let in_file = |error: &rusqlite::Error| StoreError::from_sqlite(error, &setup.path);
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| in_file(&error))?;
        // Within the transaction nobody else can change the key.
        let current = head(&tx).map_err(|error| in_file(&error))?;
        let epoch = setup.keys.epoch();
        setup.keys.check()?;
        let same = std::mem::replace(&mut self.epoch, epoch) == epoch;
        let known = self
            .keyed
            .take()
            .filter(|keyed| same && keyed.head.generation == current.generation && keyed.head.id == current.id);
        let keyed = match known {
            Some(keyed) => keyed,
            None => unlock(&tx, &setup.path, &setup.keys)?,
        };
        let keyed = self.keyed.insert(keyed);
        let at_ms = jiff::Timestamp::now().as_millisecond();
        let done = (|| -> Result<Vec<Changed>, Fault> {
            let mut txn = Txn::new(&tx, keyed, &setup.who, at_ms)?;
            let mut done = Vec::with_capacity(all.len());
            for wanted in all {
                done.push(txn.by(wanted.who.as_deref().unwrap_or(&setup.who)).apply(&wanted.change)?);
            }
            Ok(done)
        })();
        let done = done.map_err(|fault| fault.at(&setup.path))?;
        tx.commit().map_err(|error| in_file(&error))?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn wanted() -> Wanted {
        Wanted { change: Change::All(Vec::new()), who: None }
    }

    fn request() -> Request {
        Request { wanted: wanted(), answer: Box::new(|_| ()) }
    }

    /// A desk whose last commit was shared by so many.
    fn desk(shared: usize) -> Desk {
        let desk = Desk::new(Arc::new(Setup::new("store".into(), "key".into(), "test")));
        desk.shared.store(shared, Ordering::Relaxed);
        desk
    }

    #[test]
    fn those_who_shared_a_commit_are_waited_for_but_no_longer_than_a_moment() {
        let (requests, inbox) = channel();
        let mut batch = vec![request()];
        std::thread::scope(|scope| {
            scope.spawn(|| (0..2).for_each(|_| requests.send(request()).unwrap()));
            desk(3).gather(&mut batch, &inbox, LONG);
        });
        assert_eq!(batch.len(), 3);
        let mut batch = vec![request()];
        desk(3).gather(&mut batch, &inbox, Duration::ZERO);
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn nobody_is_waited_for_after_a_commit_that_was_not_shared() {
        let (requests, inbox) = channel();
        let mut batch = vec![request()];
        desk(1).gather(&mut batch, &inbox, LONG);
        assert_eq!(batch.len(), 1);
        (0..1_000).for_each(|_| requests.send(request()).unwrap());
        desk(1).gather(&mut batch, &inbox, LONG);
        assert_eq!(batch.len(), TOGETHER, "and what waits is taken at once");
    }

    #[test]
    fn who_may_wait_joins_the_others_where_commits_are_shared() {
        assert!(desk(2).alone(&wanted()).is_none());
        let busy = desk(1);
        let _file = busy.file();
        assert!(busy.alone(&wanted()).is_none());
    }
}
