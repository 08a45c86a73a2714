//! Why a server of recordings does not start, each with the thing it happened to.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::outbox::OutboxError;

/// Why a server of recordings does not start.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// A file that is needed.
    #[error("{}: {doing}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A secret that others may read.
    #[error("{}: others may read it (mode {mode:03o}); `chmod 600` makes it private", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line of the users' file.
    #[error("{}:{line}: {what}", path.display())]
    Users {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An address that others reach, without TLS.
    #[error("{0} is reached by other machines: `tls_certificate` and `tls_key` of [serve] are needed for it")]
    Plain(SocketAddr),
    /// One token to deliver and to read with.
    #[error("{}: `token_file` has the same token: whoever delivers could read everything", .0.display())]
    OneToken(PathBuf),
    /// An address that others reach, without a login.
    #[error("{0} is reached by other machines: `users_file` or `token_file` of [serve] is needed for it")]
    Anybody(SocketAddr),
    /// A certificate or a key that is none.
    #[error("{}: {what}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The spool or its queue.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

impl ReceiverError {
    /// For `map_err`: what was being done with which file.
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}
