//! The table of kinds: makes deliverers of settings. Above: whoever starts a push. Below: one file per kind.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::folder::Folder;
use super::guard::{Lookup, SystemLookup};
use super::http::Http;
use super::notice::Notice;
use super::s3::S3;
use super::timed::Timed;
use super::tus::Tus;
use super::{Configured, Policy, ReceiptKind, Remote, RemoteError, Remotes};
use crate::config::{ReceiptForm, RemoteKind, RemoteSettings};

/// The remotes of these settings, by name.
///
/// # Errors
/// The first that cannot be made, and why.
pub fn remotes<'a>(settings: impl IntoIterator<Item = &'a RemoteSettings>) -> Result<Remotes, RemoteError> {
    let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
    settings.into_iter().map(|one| Ok((one.name.clone(), from_settings(one, &lookup)?))).collect()
}

/// One remote, which finds its addresses by `lookup`.
///
/// # Errors
/// See [`RemoteError`].
pub fn from_settings(settings: &RemoteSettings, lookup: &Arc<dyn Lookup>) -> Result<Configured, RemoteError> {
    secrets_are_hidden(settings)?;
    let remote: Arc<dyn Remote> = match settings.kind {
        RemoteKind::Http => Arc::new(Http::new(settings, lookup)?),
        RemoteKind::Tus => Arc::new(Tus::new(settings, lookup)?),
        RemoteKind::S3 => Arc::new(S3::new(settings, lookup)?),
        RemoteKind::Folder => Arc::new(Folder::new(settings)?),
        RemoteKind::Notice => Arc::new(Notice::new(settings, lookup)?),
    };
    let remote = Arc::new(Timed::new(remote, settings));
    Ok(Configured { remote, policy: policy(settings) })
}

/// How the deliveries of a remote are judged.
pub fn policy(settings: &RemoteSettings) -> Policy {
    // a store and a folder are checked against the hash by their kinds
    let receipt = match settings.receipt.form {
        ReceiptForm::Json => ReceiptKind::Full,
        ReceiptForm::Status => ReceiptKind::Status,
    };
    Policy {
        receipt,
        receipt_key: settings.receipt.key.clone(),
        give_up_after: settings.give_up_after,
        ..Policy::default()
    }
}

/// A secret that others can read is none. Files that are not there were never read.
fn secrets_are_hidden(settings: &RemoteSettings) -> Result<(), RemoteError> {
    for path in &settings.secret_files {
        let Ok(facts) = std::fs::metadata(path) else { continue };
        let mode = facts.mode() & 0o777;
        if facts.is_file() && mode & 0o077 != 0 {
            return Err(RemoteError::SecretIsOpen { remote: settings.name.clone(), path: path.clone(), mode });
        }
    }
    Ok(())
}
