//! What can go wrong with the log. Cloned to every caller of a batch, so what the system said is shared.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// Why nothing was put on record, or why the log cannot be read.
#[derive(Clone, Debug, Error)]
pub enum EvidenceError {
    /// The disk is full, the folder read-only, the file not ours.
    #[error("{}: {doing}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// There is no log.
    #[error("{}: there is no log of supervision", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is a log, but its key is gone.
    #[error("{}: the key of the log is missing", path.display())]
    KeyMissing {
        /// Where the key should be.
        path: PathBuf,
    },
    /// Others can read or change the key.
    #[error("{}: the key can be read by others (mode {mode:03o})", path.display())]
    KeyIsOpen {
        /// The key file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The key file holds something else.
    #[error("{}: this is no key: 64 hexadecimal digits are expected", path.display())]
    KeyFile {
        /// The key file.
        path: PathBuf,
    },
    /// Another server writes this log.
    #[error("{}: another server writes this log", path.display())]
    Locked {
        /// The log.
        path: PathBuf,
    },
    /// The system gives no random numbers for a key.
    #[error("the system gives no random numbers for the key of the log")]
    NoChance,
    /// The server stops; nothing more is taken.
    #[error("the log of supervision is closed")]
    Closed,
}

impl EvidenceError {
    /// For `map_err`: what was being done with which file.
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |source| Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }
}
