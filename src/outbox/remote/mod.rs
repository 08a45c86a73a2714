//! Remotes: where recordings are delivered to. Each kind is a file here and a line in `from_settings`.
//! Above: `push` gives each a parcel at a time, decides what a failure means, and checks and stores the receipt. Below: the network.

mod answer;
mod body;
mod error;
mod exists;
mod facts;
mod folder;
mod guard;
mod http;
mod kinds;
mod link_header;
mod login;
mod measuring;
mod multipart;
mod notice;
mod s3;
mod sign;
mod sigv4;
mod timed;
mod tls;
mod tus;
mod web;
mod xml;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use error::RemoteError;
pub use guard::{Lookup, SystemLookup};
pub use kinds::{from_settings, policy, remotes};
pub use measuring::Measuring;

use super::error::OutboxError;
use super::manifest::Manifest;
use super::spool::Spool;
use crate::config::Secret;

/// A place that takes recordings.
pub trait Remote: Send + Sync {
    /// Delivers a recording's file with its manifest. Called again with the same [`Parcel::key`] when the outcome of an attempt is
    /// unknown, so what has arrived already is a success: by the key, or by the name and its hash.
    ///
    /// Dropping the future ends the attempt. Waiting between attempts is not done here.
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>>;

    /// Where it delivers to, for messages: a URL without secrets, or a folder.
    fn place(&self) -> String;

    /// Whether it measures the file while it sends it, and lets the last of it out only when it is what it was. For one that does not,
    /// the file is measured before.
    fn measures(&self) -> bool {
        false
    }
}

/// A recording's file on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The idempotency key: the recording's id; for a further part `ID.2`, `ID.3`, …
    pub key: String,
    /// Which part, from 1.
    pub part: u32,
    /// What is known of the recording.
    pub manifest: Arc<Manifest>,
    /// The same, as it stands in its file.
    pub manifest_json: Arc<[u8]>,
    /// The file's name, relative to the spool.
    pub file: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of its bytes when it was finished, 64 hexadecimal digits.
    pub sha256: String,
    /// Whether they still are what they were: known when the last of them is read.
    pub measuring: Arc<Measuring>,
    /// What [`Progress::resume_at`] was told last, by this or an earlier attempt or process.
    pub resume: Option<Resume>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Opens the file.
    pub spool: Arc<Spool>,
}

impl Parcel {
    /// Opens the file, through no link; each time from its beginning.
    ///
    /// # Errors
    /// It has vanished.
    pub fn open(&self) -> Result<File, OutboxError> {
        self.spool.open_file(&self.file)
    }
}

/// Where an upload can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The remote's word for the upload: a URL, an upload id.
    pub token: String,
    /// Bytes that have arrived, as far as we know.
    pub offset: u64,
}

/// The token where a remote tells nothing but that an attempt has begun, and is asked before the next whether it has arrived. Unlike
/// others it has to outlive a power failure: without it the remote is not asked.
pub(super) const BEGUN: &str = "begun";

/// Told by a remote how far it is.
pub trait Progress: Send + Sync {
    /// So many bytes more have left; shown to the user, and the sign that the upload has not stalled.
    fn sent(&self, bytes: u64);

    /// The upload can go on here, in another attempt or another process. Stored when the future is done.
    fn resume_at<'a>(&'a self, token: &'a str, offset: u64) -> BoxFuture<'a, ()>;
}

/// What a remote says it has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// The remote's own id or place of it.
    pub id: String,
    /// SHA-256 of what it has got, hexadecimal; absent where it says no more than yes ([`Policy::receipt`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Bytes it has got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When, in the remote's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// See [`super::receipt`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Where somebody can look at it, if the remote says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// So much of each word of a receipt is kept, in bytes: there may be one for each of a hundred thousand recordings.
const RECEIPT_WORD: usize = 1_000;

impl Receipt {
    /// The receipt with its id and address as far as they are kept; `None`: a word of it that has to stay whole is too long for one.
    pub fn bounded(mut self) -> Option<Self> {
        let whole = [&self.sha256, &self.received_at, &self.signature];
        if whole.into_iter().flatten().any(|word| word.len() > RECEIPT_WORD) {
            return None;
        }
        // an address that was cut leads nowhere
        self.url = self.url.filter(|url| url.len() <= RECEIPT_WORD);
        let end = (0..=RECEIPT_WORD).rev().find(|end| self.id.is_char_boundary(*end)).unwrap_or_default();
        self.id.truncate(end);
        Some(self)
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError {
    /// What was tried, where, and what came of it: `POST https://crm.example/api: 503 Service Unavailable`. The engine puts the
    /// recording, its call and file, the remote's name and the attempt in front.
    pub what: String,
    /// What to do about it.
    pub retry: Retry,
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for DeliveryError {}

/// Whether another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The network, an overloaded remote, a token that has to be renewed: later, by the usual back-off.
    Later {
        /// Not before this time (`Retry-After`).
        after: Option<Duration>,
    },
    /// It knows of the recording and fetches it when it likes: no failure of the remote.
    Told {
        /// When it is told once more.
        again: Duration,
    },
    /// This recording will never be taken as it is: parked at once.
    Never,
    /// Its file is not what it was when it was finished: parked at once, and nothing of it counts over there.
    Changed,
}

/// What counts as a receipt of a remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiptKind {
    /// It must name hash and size, and both must be right.
    #[default]
    Full,
    /// That it said yes is enough; what it names must be right.
    Status,
}

/// How a remote's deliveries are judged.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What counts as a receipt.
    pub receipt: ReceiptKind,
    /// With it a receipt must be signed, see [`super::receipt`].
    pub receipt_key: Option<Secret>,
    /// Parked after so many failed attempts …
    pub give_up_attempts: u32,
    /// … and so long after the first of them, whichever comes later.
    pub give_up_after: Duration,
}

impl Default for Policy {
    /// Hash and size decide, no signature; parked after 20 failed attempts over at least a day.
    fn default() -> Self {
        let give_up_after = Duration::from_secs(24 * 3600);
        Self { receipt: ReceiptKind::Full, receipt_key: None, give_up_attempts: 20, give_up_after }
    }
}

/// A remote as configured.
#[derive(Clone)]
pub struct Configured {
    /// Delivers.
    pub remote: Arc<dyn Remote>,
    /// Judges.
    pub policy: Policy,
}

/// The remotes in force, by name.
pub type Remotes = BTreeMap<String, Configured>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_takes_no_more_room_than_one_needs() {
        let long = "é".repeat(5_000);
        let receipt = Receipt { id: long.clone(), url: Some(long.clone()), size: Some(3), ..Receipt::default() };
        let kept = receipt.clone().bounded().unwrap();
        assert_eq!((kept.id.len(), kept.url, kept.size), (RECEIPT_WORD, None, Some(3)));
        assert!(Receipt { signature: Some(long.clone()), ..receipt.clone() }.bounded().is_none());
        assert!(Receipt { received_at: Some(long), ..receipt }.bounded().is_none());
    }
}
