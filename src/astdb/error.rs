//! What can go wrong in the store, each with the thing it happened to. Everything of the room returns it.

use std::io;
use std::path::PathBuf;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A family without a name.
    #[error("the family has no name")]
    NoFamily,
    /// A family or key that is too long or holds a zero byte.
    #[error("{0}")]
    Name(&'static str),
    /// A value above the limit.
    #[error("the value has {size} bytes, more than {limit}")]
    TooLarge {
        /// Bytes of the value.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// There is a store, but nothing to open it with.
    #[error("{}: the key is not here", path.display())]
    NoKey {
        /// Where the key was looked for.
        path: PathBuf,
    },
    /// The server is to be given the key while it runs, and has not been, or has forgotten it.
    #[error("the store is locked: the server has not been given its key")]
    Locked,
    /// The key is that of another store, or the passphrase is wrong.
    #[error("{}: the key does not open this store", path.display())]
    WrongKey {
        /// The store.
        path: PathBuf,
    },
    /// The key file can be read by others.
    #[error("{}: others can read this key (mode {mode:03o})", path.display())]
    KeyIsOpen {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file holds something else.
    #[error("{}: not a key file: {what}", path.display())]
    KeyFile {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A value that does not open: changed, moved from elsewhere, or cut.
    #[error("/{family}/{key}: the value is damaged: {what}")]
    Damaged {
        /// Its family.
        family: String,
        /// Its key.
        key: String,
        /// What does not fit.
        what: &'static str,
    },
    /// The history of changes does not hang together.
    #[error("change {sequence} of the history: {what}")]
    History {
        /// The number of the change.
        sequence: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// The file is older than what has been seen of it.
    #[error("{}: an older copy: it ends at change {found}, but {seen} have been made", path.display())]
    RolledBack {
        /// The store.
        path: PathBuf,
        /// Its last change.
        found: u64,
        /// The last change that was made.
        seen: u64,
    },
    /// Some other file.
    #[error("{}: not a store: {what}", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it is instead, or lacks.
        what: &'static str,
    },
    /// Written by a later version of this program.
    #[error("{}: form {found} of the store is newer than form {known}, the last known here", path.display())]
    Future {
        /// The store.
        path: PathBuf,
        /// The form of the file.
        found: i64,
        /// The newest form understood.
        known: i64,
    },
    /// Someone else writes, and went on longer than we wait.
    #[error("{}: another program is writing", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// No room on the disk.
    #[error("{}: the disk is full", path.display())]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// The disk or the file cannot be written.
    #[error("{}: cannot be written", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// The file's own structure is broken.
    #[error("{}: the file is damaged: {what}", path.display())]
    Broken {
        /// The store.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anything else from SQLite.
    #[error("{}: {what}", path.display())]
    Database {
        /// The store.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// The thread that writes is gone.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// What SQLite says about the file `path`, in our words.
    pub(super) fn from_sqlite(error: &rusqlite::Error, path: &std::path::Path) -> Self {
        use rusqlite::ErrorCode as Code;
        let path = path.to_owned();
        let what = error.to_string();
        match error {
            // Rows that we never wrote so: another type, no UTF-8, a number out of range, a table without its one row.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::QueryReturnedNoRows => return Self::Broken { path, what },
            _ => {}
        }
        match error.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy { path },
            _ if is_full(error) => Self::Full { path },
            Some(Code::ReadOnly) => Self::ReadOnly { path },
            Some(Code::NotADatabase) => Self::NotAStore { path, what: "no SQLite file" },
            Some(Code::DatabaseCorrupt) => Self::Broken { path, what },
            Some(Code::PermissionDenied) => Self::Io { path, source: io::ErrorKind::PermissionDenied.into() },
            _ => Self::Database { path, what },
        }
    }
}

/// Whether there was no room on the disk, be it for the memory that SQLite shares beside a log.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
        || matches!(extended, Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE | rusqlite::ffi::SQLITE_IOERR_SHMOPEN))
}
