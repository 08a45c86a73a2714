//! The handle that entries are put on record with.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::entry::Entry;
use super::error::EvidenceError;
use super::files::{Disk, Os, Paths};
use super::writer::{Job, Waiting, Writer};

/// A log that entries are appended to; clones are handles on the same one. It stays locked against other servers until
/// [`Self::close`], or until the last handle is gone.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    jobs: Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log at `path`, or makes it with its key and head beside it, and puts the opening on record.
    ///
    /// # Errors
    /// It cannot be written, another server writes it, or its key is missing or can be read by others.
    pub fn open(path: &Path) -> Result<Self, EvidenceError> {
        let log = Self::at(path)?;
        log.check()?;
        Ok(log)
    }

    /// The log at `path`, opened by the first entry: a server whose log cannot be written yet carries calls all the same, and no
    /// session of supervision.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn at(path: &Path) -> Result<Self, EvidenceError> {
        Self::on(path, Box::new(Os))
    }

    pub(super) fn on(path: &Path, disk: Box<dyn Disk>) -> Result<Self, EvidenceError> {
        let (jobs, inbox) = channel();
        let writer = Writer::new(Paths::of(path), disk);
        let thread = std::thread::Builder::new().name("evidence".into()).spawn(move || writer.serve(&inbox));
        let thread = thread.map_err(EvidenceError::io("starting a thread", path))?;
        Ok(Self { shared: Arc::new(Shared { path: path.to_owned(), jobs, thread: Mutex::new(Some(thread)) }) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Whether an entry could be written now. Waits for the disk.
    ///
    /// # Errors
    /// Why it could not.
    pub fn check(&self) -> Result<(), EvidenceError> {
        let (answer, told) = channel();
        self.send(Job::Open(answer))?;
        told.recv().map_err(|_| EvidenceError::Closed)?
    }

    /// Puts an entry on record and returns its number once it is on the disk. On an error nobody may act on it: no session starts.
    /// Those who wait at the same time share one sync. Dropping the future does not take the entry back.
    ///
    /// # Errors
    /// It is not on record, with the reason; the next call tries again.
    pub async fn append(&self, entry: Entry) -> Result<u64, EvidenceError> {
        let (answer, told) = oneshot::channel();
        self.send(Job::Append(Box::new(Waiting { at: Timestamp::now(), entry, answer: Some(answer) })))?;
        told.await.map_err(|_| EvidenceError::Closed)?
    }

    /// Puts an entry on record that nothing waits for, such as an end told from a destructor. While the disk does not take it, it is
    /// kept in memory and tried again.
    pub fn note(&self, entry: Entry) {
        let session = entry.session.clone();
        if self.send(Job::Append(Box::new(Waiting { at: Timestamp::now(), entry, answer: None }))).is_err() {
            tracing::error!(session, "the log of supervision is closed: an entry is lost");
        }
    }

    /// Writes what there is, puts the closing on record and lets go of the file. Entries after that are refused.
    pub fn close(&self) {
        let _ = self.send(Job::Close);
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been printed there.
            let _ = thread.join();
        }
    }

    fn send(&self, job: Job) -> Result<(), EvidenceError> {
        self.shared.jobs.send(job).map_err(|_| EvidenceError::Closed)
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Log").field(&self.shared.path).finish()
    }
}
