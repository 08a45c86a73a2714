//! What can go wrong in the outbox, each with the thing it happened to.

use std::io;
use std::path::{Path, PathBuf};

use super::manifest::RecordingId;

/// Why the outbox did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The disk is full, the folder read-only, the file not there.
    #[error("{}: {doing}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite could not do it: busy for too long, the disk full.
    #[error("{}: {doing}: {source}", path.display())]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The queue's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The queue's file is damaged, or is not ours.
    #[error("{}: this is no outbox: {what}; `rec verify --rebuild` makes a new one from the manifests", path.display())]
    Damaged {
        /// The queue's file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A later version has written it.
    #[error("{}: written by a later version (form {found}, known is {known})", path.display())]
    Future {
        /// The queue's file.
        path: PathBuf,
        /// Its form.
        found: i64,
        /// The newest form known here.
        known: i64,
    },
    /// The spool is a link, no folder, or somebody else's.
    #[error("{}: this cannot be the spool: {what}", path.display())]
    Spool {
        /// The spool.
        path: PathBuf,
        /// Why not.
        what: &'static str,
    },
    /// Others than its owner may look into the spool.
    #[error("{}: others may look into the spool (mode {mode:03o}); `chmod 700` makes it private", path.display())]
    SpoolIsOpen {
        /// The spool.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A name that leaves the spool, or cannot be a file's.
    #[error("`{}` cannot be the name of a recording: {what}", name.escape_debug())]
    Name {
        /// The name.
        name: String,
        /// Why not.
        what: &'static str,
    },
    /// A manifest that cannot be read.
    #[error("{}: no manifest: {source}", path.display())]
    Manifest {
        /// The manifest's file, or the queue's.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// No recording has this id.
    #[error("there is no recording {id}")]
    Unknown {
        /// The id.
        id: RecordingId,
    },
    /// The recording is in no state for this.
    #[error("recording {id}: it is {state}, so it cannot be {wanted}")]
    State {
        /// The recording.
        id: RecordingId,
        /// Its state.
        state: &'static str,
        /// What was to be done.
        wanted: &'static str,
    },
    /// It is still wanted by a remote.
    #[error("recording {id}: not delivered to {remote}")]
    Undelivered {
        /// The recording.
        id: RecordingId,
        /// A remote that has no receipt for it.
        remote: String,
    },
}

impl OutboxError {
    /// For `map_err`: what was being done with which file.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path: path.clone(), source }
    }
}
