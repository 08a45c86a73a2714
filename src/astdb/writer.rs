//! The thread that writes: it takes all changes that wait, commits them together, and only then answers.
//! Above: [`super::Store`] sends changes. Below: `change` does them, `schema` opens the file.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};

use super::change::{Change, Changed, Txn};
use super::error::StoreError;
use super::schema;
use super::store::Setup;
use super::unlock::{Fault, Keyed, head, unlock};

/// Changes in one commit at most: none waits for many others.
const TOGETHER: usize = 512;

/// Called once, after the change is on the disk or has failed.
pub(super) type Answer = Box<dyn FnOnce(Result<Changed, StoreError>) + Send>;

/// A change and whom to tell.
pub(super) struct Request {
    pub(super) change: Change,
    /// Who wants it, where that is not whoever opened the store.
    pub(super) who: Option<Arc<str>>,
    pub(super) answer: Answer,
}

/// The way to the thread; dropping it ends the thread after what has been sent.
pub(super) struct Writer {
    /// `None` only while it is dropped.
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(setup: Arc<Setup>) -> io::Result<Self> {
        let (requests, inbox) = channel();
        let thread = std::thread::Builder::new().name("astdb".into()).spawn(move || Desk::new(setup).serve(&inbox))?;
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

/// What the thread owns.
struct Desk {
    setup: Arc<Setup>,
    conn: Option<Connection>,
    keyed: Option<Keyed>,
    /// [`super::KeySource::epoch`] when the key was asked for.
    epoch: u64,
}

impl Desk {
    fn new(setup: Arc<Setup>) -> Self {
        Self { setup, conn: None, keyed: None, epoch: 0 }
    }

    fn serve(mut self, inbox: &Receiver<Request>) {
        while let Ok(first) = inbox.recv() {
            let mut batch = vec![first];
            batch.extend(inbox.try_iter().take(TOGETHER - 1));
            self.commit(batch);
        }
    }

    /// Commits a batch as one transaction; when that fails, each of it alone, so that each fails only for itself.
    fn commit(&mut self, batch: Vec<Request>) {
        let requests: Vec<&Request> = batch.iter().collect();
        match self.transact(&requests) {
            Ok(done) => {
                for (request, changed) in batch.into_iter().zip(done) {
                    (request.answer)(Ok(changed));
                }
            }
            Err(error) if batch.len() == 1 => {
                let mut error = Some(error);
                for request in batch {
                    (request.answer)(Err(error.take().unwrap_or(StoreError::Closed)));
                }
            }
            Err(_) => {
                for request in batch {
                    let done = self.transact(&[&request]);
                    (request.answer)(done.map(|done| done.into_iter().next().unwrap_or_default()));
                }
            }
        }
    }

    fn transact(&mut self, requests: &[&Request]) -> Result<Vec<Changed>, StoreError> {
        let done = self.attempt(requests);
        if let Err(StoreError::Io { .. } | StoreError::Database { .. } | StoreError::ReadOnly { .. }) = &done {
            // Perhaps the file has been replaced; the next change opens what is there then.
            self.conn = None;
            self.keyed = None;
        }
        done
    }

    fn attempt(&mut self, requests: &[&Request]) -> Result<Vec<Changed>, StoreError> {
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
            let mut done = Vec::with_capacity(requests.len());
            for request in requests {
                done.push(txn.by(request.who.as_deref().unwrap_or(&setup.who)).apply(&request.change)?);
            }
            Ok(done)
        })();
        let done = done.map_err(|fault| fault.at(&setup.path))?;
        tx.commit().map_err(|error| in_file(&error))?;
        Ok(done)
    }
}
