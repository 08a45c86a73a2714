//! Why a remote cannot be made of its settings. Above: whoever starts a push. Below: `kinds`.

use std::path::PathBuf;

use crate::config::RemoteSettings;

/// Why a remote cannot be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A secret's file is open to others.
    #[error("remote {remote}: {}: others can read this secret (mode {mode:03o}); `chmod 600` hides it", path.display())]
    SecretIsOpen {
        /// The remote.
        remote: String,
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The authorities of `ca_file` cannot be had.
    #[error("remote {remote}: ca_file {}: {what}", path.display())]
    CaFile {
        /// The remote.
        remote: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The system trusts nobody.
    #[error("remote {remote}: this system has no certificate authorities (install ca-certificates, or set ca_file)")]
    NoAuthorities {
        /// The remote.
        remote: String,
    },
    /// TLS cannot be set up.
    #[error("remote {remote}: no TLS: {source}")]
    Tls {
        /// The remote.
        remote: String,
        /// Why not.
        source: rustls::Error,
    },
    /// The HTTP client cannot be set up.
    #[error("remote {remote}: no HTTP client: {source}")]
    Client {
        /// The remote.
        remote: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// User, password or token cannot stand in a header.
    #[error("remote {remote}: its login holds a character that no header can")]
    Login {
        /// The remote.
        remote: String,
    },
    /// A setting that its kind needs; the reader of the settings sees to it.
    #[error("remote {remote}: needs `{key}`")]
    Lacks {
        /// The remote.
        remote: String,
        /// The setting.
        key: &'static str,
    },
}

impl RemoteError {
    pub(super) fn lacks(settings: &RemoteSettings, key: &'static str) -> Self {
        Self::Lacks { remote: settings.name.clone(), key }
    }
}
