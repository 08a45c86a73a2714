//! The thread that writes: it takes all entries that wait, brings them to the disk together, and only then answers.
//! Above: [`super::Log`] sends entries. Below: `tail` opens the file, `entry` makes its lines.
//!
//! The order of a batch: the next head is written beside the log and synced, the lines are appended and synced, the head takes its
//! place. So a full disk is met before the log is touched, and the head is never ahead of the log: one that is tells of entries
//! that were cut off.

use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::entry::{self, Entry, Event};
use super::error::EvidenceError;
use super::files::{Disk, Paths};
use super::head::Head;
use super::tail::{self, Past, Tail};

/// Entries in one batch at most: none waits for many others.
const TOGETHER: usize = 512;
/// Entries nobody waits for that are kept while the disk does not take them.
const KEPT: usize = 10_000;
/// How often these are tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// An entry on its way.
pub(super) struct Waiting {
    pub(super) at: Timestamp,
    pub(super) entry: Entry,
    /// Told its number, once it is on the disk; `None`: nobody waits, and it is kept until the disk takes it.
    pub(super) answer: Option<oneshot::Sender<Result<u64, EvidenceError>>>,
}

/// What the thread is asked for.
pub(super) enum Job {
    Append(Box<Waiting>),
    /// Opens the log, if it is not open, and says whether it can be written.
    Open(Sender<Result<(), EvidenceError>>),
    /// Writes all there is and ends the thread.
    Close,
}

/// What the thread owns.
pub(super) struct Writer {
    paths: Paths,
    disk: Box<dyn Disk>,
    tail: Option<Tail>,
    /// What is known of the file while it is not open.
    past: Past,
    /// The log's own entries, to be written before any other.
    own: Vec<Entry>,
    kept: Vec<Waiting>,
    has_failed: bool,
}

/// Why a batch was not acknowledged.
struct Failed {
    error: EvidenceError,
    /// The entries are in the log all the same: only the head could not be replaced.
    on_record: bool,
}

impl From<EvidenceError> for Failed {
    fn from(error: EvidenceError) -> Self {
        Self { error, on_record: false }
    }
}

impl Writer {
    pub(super) fn new(paths: Paths, disk: Box<dyn Disk>) -> Self {
        let opened = format!("wirechief {}, process {}", env!("CARGO_PKG_VERSION"), std::process::id());
        let own = vec![Entry::own(Event::Opened, opened)];
        Self { paths, disk, tail: None, past: Past::default(), own, kept: Vec::new(), has_failed: false }
    }

    pub(super) fn serve(mut self, inbox: &Receiver<Job>) {
        let mut closing = false;
        while !closing {
            let first = if self.kept.is_empty() {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(AGAIN)
            };
            let mut batch = Vec::new();
            let mut asked = Vec::new();
            let first = match first {
                Err(RecvTimeoutError::Disconnected) => Some(Job::Close),
                Err(RecvTimeoutError::Timeout) => None,
                Ok(job) => Some(job),
            };
            for job in first.into_iter().chain(inbox.try_iter().take(TOGETHER - 1)) {
                match job {
                    Job::Append(waiting) => batch.push(*waiting),
                    Job::Open(answer) => asked.push(answer),
                    Job::Close => closing = true,
                }
            }
            if closing && self.past.head.is_some() {
                batch.push(Waiting { at: Timestamp::now(), entry: Entry::own(Event::Closed, ""), answer: None });
            }
            if batch.is_empty() && asked.is_empty() && self.kept.is_empty() {
                continue;
            }
            let done = self.commit(batch);
            for answer in asked {
                let _ = answer.send(done.clone());
            }
        }
    }

    /// Brings a batch to the disk and answers; what nobody waits for is kept when that fails.
    fn commit(&mut self, batch: Vec<Waiting>) -> Result<(), EvidenceError> {
        let all: Vec<Waiting> = self.kept.drain(..).chain(batch).collect();
        let entries: Vec<_> = all.iter().map(|waiting| (waiting.at, waiting.entry.clone())).collect();
        let (done, on_record) = match self.put(entries) {
            Ok(first) => (Ok(first), true),
            Err(Failed { error, on_record }) => (Err(error), on_record),
        };
        match &done {
            Ok(_) if self.has_failed => {
                tracing::info!(path = %self.paths.log.display(), "supervision is on record again");
            }
            Err(error) if !self.has_failed => {
                tracing::error!(%error, "supervision cannot be put on record: no session starts");
            }
            _ => {}
        }
        self.has_failed = done.is_err();
        for (at, waiting) in (0_u64..).zip(all) {
            match waiting.answer {
                Some(answer) => drop(answer.send(done.clone().map(|first| first + at))),
                None if !on_record => self.kept.push(waiting),
                None => {}
            }
        }
        if let Some(excess) = self.kept.len().checked_sub(KEPT + 1) {
            tracing::error!(lost = excess + 1, "entries of supervision that could not be put on record are given up");
            self.kept.drain(..=excess);
        }
        done.map(drop)
    }

    /// Writes entries, the log's own first; returns the number of the first of those given.
    fn put(&mut self, entries: Vec<(Timestamp, Entry)>) -> Result<u64, Failed> {
        let tail = self.tail()?;
        let now = Timestamp::now();
        let (mut head, mut bytes) = (tail.head, Vec::new());
        let own = self.own.iter().map(|entry| (now, entry.clone()));
        for (at, entry) in own.chain(entries) {
            let line = entry::line(&tail.key, (head.seq + 1, &head.hash), at, entry);
            bytes.extend_from_slice(&line.bytes);
            head = Head { seq: head.seq + 1, hash: line.hash, size: head.size + line.bytes.len() as u64 };
        }
        let first = tail.head.seq + 1 + self.own.len() as u64;
        if bytes.is_empty() {
            self.tail = Some(tail);
        } else {
            self.write(tail, head, &bytes)?;
        }
        Ok(first)
    }

    /// Everything or nothing. Once the lines may have been touched, an error leaves the file to be opened anew, whatever the disk
    /// has made of it.
    fn write(&mut self, mut tail: Tail, head: Head, bytes: &[u8]) -> Result<(), Failed> {
        let Paths { log, head: place, new_head, .. } = &self.paths;
        if let Err(error) = self.disk.write_new(new_head, &head.sealed(&tail.key)) {
            self.tail = Some(tail);
            return Err(EvidenceError::io("writing", new_head)(error).into());
        }
        let written = self.disk.append(&tail.file, bytes).and_then(|()| self.disk.sync(&tail.file));
        if let Err(error) = written {
            // What cannot be cut off here is set aside when the file is opened.
            self.past.is_unfinished = self.disk.truncate(&tail.file, tail.head.size).is_err();
            return Err(EvidenceError::io("writing", log)(error).into());
        }
        tail.head = head;
        self.tail = Some(tail);
        self.past.head = Some(head);
        self.own.clear();
        let replaced = self.disk.rename(new_head, place).and_then(|()| self.disk.sync_folder(&self.paths));
        replaced.map_err(|error| Failed { error: EvidenceError::io("replacing", place)(error), on_record: true })
    }

    /// Takes the open file, or opens it: the first time, after a failure, and when somebody else has changed or replaced it.
    fn tail(&mut self) -> Result<Tail, EvidenceError> {
        if let Some(tail) = self.tail.take().filter(|tail| self.is_untouched(tail)) {
            return Ok(tail);
        }
        let found = tail::open(&self.paths, self.past, self.disk.as_mut())?;
        // What could not be written the last time is found again.
        let new: Vec<Entry> = found.notes.into_iter().filter(|note| !self.own.contains(note)).collect();
        self.own.splice(0..0, new);
        self.past = Past { head: Some(found.tail.head), is_unfinished: false };
        Ok(found.tail)
    }

    fn is_untouched(&self, tail: &Tail) -> bool {
        let same = || {
            let (open, there) = (tail.file.metadata().ok()?, std::fs::metadata(&self.paths.log).ok()?);
            Some(open.len() == tail.head.size && (open.dev(), open.ino()) == (there.dev(), there.ino()))
        };
        same() == Some(true)
    }
}
