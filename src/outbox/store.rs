//! The handle of an outbox, and its connections to the queue's file.
//! Above: `queue`, `list`, `deliveries` and the others say what is read and written. Below: `schema` opens the file, `spool` the folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::OutboxError;
use super::schema;
use super::spool::{Lock, QUEUE_FILE, Spool};

/// An outbox: cheap to clone, usable from every thread and from many processes at once. Everything on it waits for the disk: async
/// code calls it by `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spool: Arc<Spool>,
    queue: PathBuf,
    /// Connections nobody uses just now.
    idle: Mutex<Vec<Open>>,
    /// Made by the first recording that begins.
    writer: Mutex<Option<Writer>>,
}

/// A connection to the queue's file.
#[derive(Debug)]
struct Open {
    conn: Connection,
    /// Told to SQLite only when it changes: it makes all statements anew for that.
    durable: Option<Durable>,
}

impl Open {
    fn new(conn: Connection) -> Self {
        Self { conn, durable: None }
    }

    fn set(&mut self, durable: Durable) -> rusqlite::Result<()> {
        if self.durable != Some(durable) {
            self.durable = None;
            let level = if durable == Durable::Yes { "FULL" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", level)?;
            self.durable = Some(durable);
        }
        Ok(())
    }
}

/// By which a recording that is open is known to have a living writer.
#[derive(Debug)]
struct Writer {
    name: String,
    /// Until the last clone of the outbox is gone: what is open then is to be recovered.
    _lock: Lock,
}

/// What goes wrong within a transaction.
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Outbox(OutboxError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<OutboxError> for Fault {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

/// Whether a change has to outlive a power failure once it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durable {
    /// Yes: that a recording exists, that it was delivered.
    Yes,
    /// Losing it costs an attempt more, no recording.
    Soon,
}

impl Outbox {
    /// Opens the outbox of a spool; makes both, for their owner alone, where they are not there.
    ///
    /// # Errors
    /// The folder cannot be the spool, or the queue's file is damaged, or of a later version.
    pub fn open(spool: &Path) -> Result<Self, OutboxError> {
        let spool = Arc::new(Spool::open(spool)?);
        let queue = spool.path().join(QUEUE_FILE);
        let first = schema::open(&queue)?;
        let inner = Inner { spool, queue, idle: Mutex::new(vec![Open::new(first)]), writer: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The folder.
    #[must_use]
    pub fn spool(&self) -> &Arc<Spool> {
        &self.inner.spool
    }

    /// Reads as of one moment.
    pub(super) fn read<T>(
        &self,
        doing: &'static str,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, OutboxError> {
        let mut open = self.take(None)?;
        let done = (|| {
            let tx = open.conn.transaction_with_behavior(TransactionBehavior::Deferred)?;
            act(&tx)
        })();
        self.give_back(open, done, doing)
    }

    /// Writes all of it or nothing.
    pub(super) fn write<T>(
        &self,
        doing: &'static str,
        durable: Durable,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, OutboxError> {
        let mut open = self.take(Some(durable))?;
        let done = (|| {
            open.set(durable)?;
            let tx = open.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = act(&tx)?;
            tx.commit()?;
            Ok(done)
        })();
        self.give_back(open, done, doing)
    }

    /// The name by which this outbox marks recordings as its own, its lock held.
    pub(super) fn writer(&self) -> Result<String, OutboxError> {
        let mut writer = lock(&self.inner.writer);
        if let Some(writer) = &*writer {
            return Ok(writer.name.clone());
        }
        let name = uuid::Uuid::new_v4().simple().to_string();
        let held = self.inner.spool.lock_writer(&name)?;
        *writer = Some(Writer { name: name.clone(), _lock: held });
        Ok(name)
    }

    /// A connection, one that was last used in the same way where there is one.
    fn take(&self, durable: Option<Durable>) -> Result<Open, OutboxError> {
        let mut all = lock(&self.inner.idle);
        let fits = durable.and_then(|durable| all.iter().rposition(|open| open.durable == Some(durable)));
        let idle = fits.map(|at| all.swap_remove(at)).or_else(|| all.pop());
        drop(all);
        idle.map_or_else(|| schema::open(&self.inner.queue).map(Open::new), Ok)
    }

    fn give_back<T>(&self, open: Open, done: Result<T, Fault>, doing: &'static str) -> Result<T, OutboxError> {
        match done {
            Ok(done) => {
                lock(&self.inner.idle).push(open);
                Ok(done)
            }
            Err(Fault::Outbox(error)) => {
                lock(&self.inner.idle).push(open);
                Err(error)
            }
            // Perhaps the file has been replaced; the next one opens what is there then.
            Err(Fault::Sqlite(error)) => Err(schema::of_sqlite(doing, &self.inner.queue, error)),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A lock's file that is left over is harmless: nobody holds it, which is all that is asked of it.
            let _ = self.spool.remove_writer(&writer.name);
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves nothing half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
