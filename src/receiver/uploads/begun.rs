//! What an upload is: announced when it is begun, noted beside its bytes, found again by any later request or process, and removed
//! when nobody has gone on with it for too long. Above: the handlers. Below: `outbox` keeps note and bytes.

use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::super::answer::header_text;
use super::super::desk::Desk;
use super::super::filing::Arrived;
use super::super::intake::{MANIFEST_LIMIT, Sent, Untaken, full};
use super::super::kind::HEAD_BYTES;
use super::super::space;
use crate::outbox::spool::Measure;
use crate::outbox::{Left, Manifest, OutboxError, Partial};

/// Uploads that are not whole, at most.
const UNFINISHED: usize = 1_000;

/// What is written aside takes no longer. A time that is so far ahead of the clock is none.
const AHEAD: Duration = Duration::from_secs(3_600);

/// What is to arrive.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) key: String,
    /// Of the whole file, in bytes.
    pub(super) length: u64,
    /// Of the whole file, 64 hexadecimal digits.
    pub(super) sha256: String,
    /// What the sender calls the file.
    name: Option<String>,
    /// As it came: the signature is over it.
    pub(super) manifest: Bytes,
}

/// The same as it is noted.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    key: String,
    length: u64,
    sha256: String,
    name: Option<String>,
    manifest: String,
}

impl Begun {
    /// Reads what the headers announce.
    pub(super) fn read(desk: &Desk, headers: &HeaderMap) -> Result<Self, Untaken> {
        let bad = |why: &str| Untaken::new(StatusCode::BAD_REQUEST, why);
        let length = header_text(headers, "upload-length").and_then(|text| text.parse::<u64>().ok());
        let length = length.ok_or_else(|| bad("Upload-Length is missing: a recording's length is known"))?;
        if length > desk.settings.largest {
            let why = format!("more than {} bytes", desk.settings.largest);
            return Err(Untaken::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let metadata = header_text(headers, "upload-metadata").unwrap_or_default();
        let field = |name: &str| {
            let pair = metadata.split(',').map(|pair| pair.trim().split_once(' ').unwrap_or((pair.trim(), "")));
            pair.filter(|(key, _)| *key == name).find_map(|(_, coded)| STANDARD.decode(coded.trim()).ok())
        };
        let word = |name: &str| field(name).and_then(|bytes| String::from_utf8(bytes).ok());
        let manifest = field("manifest").filter(|manifest| manifest.len() <= MANIFEST_LIMIT);
        let manifest = manifest.ok_or_else(|| bad("Upload-Metadata has no `manifest`, Base64"))?;
        let key = header_text(headers, "idempotency-key").map(str::to_owned).or_else(|| word("id"));
        let sha256 = word("sha256").map(|text| text.to_ascii_lowercase());
        let is_hash = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(Self {
            key: key.ok_or_else(|| bad("Upload-Metadata has no `id`, and there is no Idempotency-Key"))?,
            length,
            sha256: sha256.filter(is_hash).ok_or_else(|| bad("Upload-Metadata has no `sha256`"))?,
            name: word("filename"),
            manifest: manifest.into(),
        })
    }

    /// What can be judged before a byte has come: that it is a recording, and the one its manifest tells of.
    pub(super) fn checked(self) -> Result<Self, Untaken> {
        if self.length == 0 {
            return Err(Untaken::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "an empty file is no recording"));
        }
        let said = Arrived::announced(&self.key, &self.parsed()?, self.name.as_deref())?;
        if said.is_some_and(|said| !said.eq_ignore_ascii_case(&self.sha256)) {
            return Err(Untaken::new(StatusCode::BAD_REQUEST, "its manifest tells of another SHA-256"));
        }
        Ok(self)
    }

    /// So many bytes have to be there before it can be told what it is.
    pub(super) fn telling(&self) -> u64 {
        self.length.min(HEAD_BYTES as u64)
    }

    /// Whether a file that begins with `head` can be what was announced.
    pub(super) fn judge(&self, head: &[u8]) -> Result<(), Untaken> {
        Arrived::judge(&self.key, self.parsed()?, self.name.as_deref(), head)
    }

    fn parsed(&self) -> Result<Manifest, Untaken> {
        Manifest::parse(&self.manifest)
            .map_err(|error| Untaken::not_as_sent(format!("the manifest cannot be read: {error}")))
    }

    /// Always the same for the same recording, and not to be guessed by who does not know the server's secret.
    pub(super) fn id(&self, desk: &Desk) -> String {
        // HMAC takes keys of every length (RFC 2104 §3)
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(desk.link_key.expose().as_bytes()) else {
            return String::new();
        };
        mac.update(format!("upload\n{}\n{}\n{}", self.key, self.sha256, self.length).as_bytes());
        mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The recording, once all of it is here.
    pub(super) fn arrived(&self, measure: Measure, head: Vec<u8>) -> Result<Arrived, Untaken> {
        if measure.sha256 != self.sha256 {
            return Err(Untaken::not_as_sent(format!("what arrived has SHA-256 {}", measure.sha256)));
        }
        let sent = Sent { bytes: measure.bytes, sha256: measure.sha256, head, name: self.name.clone() };
        Arrived::known(self.key.clone(), self.parsed()?, sent)
    }

    fn print(&self) -> Result<Vec<u8>, Untaken> {
        let note = Note {
            key: self.key.clone(),
            length: self.length,
            sha256: self.sha256.clone(),
            name: self.name.clone(),
            manifest: STANDARD.encode(&self.manifest),
        };
        serde_json::to_vec(&note).map_err(|error| full(&error))
    }

    pub(super) fn parse(note: &[u8]) -> Option<Self> {
        let Note { key, length, sha256, name, manifest } = serde_json::from_slice(note).ok()?;
        Some(Self { key, length, sha256, name, manifest: STANDARD.decode(manifest).ok()?.into() })
    }
}

/// An upload and how much of it is here.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) partial: Partial,
    pub(super) begun: Begun,
    /// Bytes that have arrived.
    pub(super) offset: u64,
}

impl Standing {
    /// Finds an upload, or begins it; whether it is new. Blocks for the disk.
    pub(super) fn begin(desk: &Desk, id: &str, begun: &Begun) -> Result<(Self, bool), Untaken> {
        match Self::open(desk, id) {
            Ok(there) => return Ok((there, false)),
            Err(untaken) if !matches!(untaken.status, 404 | 410) => return Err(untaken),
            Err(_) => {}
        }
        let spool = desk.outbox.spool();
        let failed = |error: OutboxError| full(&error);
        let mut ledger = desk.announced.lock();
        let left = sweep(desk).map_err(failed)?;
        if left.len() >= UNFINISHED {
            return Err(Untaken::new(StatusCode::SERVICE_UNAVAILABLE, "too many uploads are not finished"));
        }
        let to_come = ledger.outstanding(desk, &left).map_err(failed)?;
        space::has(desk, to_come.saturating_add(begun.length))?;
        // what is left of one whose note was never written
        spool.remove_partial(id).map_err(failed)?;
        let partial = spool.begin_partial(id, &begun.print()?).map_err(failed)?;
        Ok((Self { partial, begun: begun.clone(), offset: 0 }, true))
    }

    /// Finds an upload; one that has expired is removed. Blocks for the disk.
    pub(super) fn open(desk: &Desk, id: &str) -> Result<Self, Untaken> {
        let missing = || Untaken::new(StatusCode::NOT_FOUND, "there is no such upload");
        let spool = desk.outbox.spool();
        let partial = spool.open_partial(id).map_err(|error| full(&error))?.ok_or_else(missing)?;
        let begun = Begun::parse(partial.note()).ok_or_else(missing)?;
        let (offset, touched) =
            partial.bytes().and_then(|bytes| Ok((bytes, partial.touched()?))).map_err(|error| full(&error))?;
        if is_over(desk, touched) {
            spool.remove_partial(id).map_err(|error| full(&error))?;
            return Err(Untaken::new(StatusCode::GONE, "the upload has expired"));
        }
        if offset > begun.length {
            partial.cut(begun.length).map_err(|error| full(&error))?;
        }
        Ok(Self { offset: offset.min(begun.length), partial, begun })
    }
}

fn is_over(desk: &Desk, touched: SystemTime) -> bool {
    match touched.elapsed() {
        Ok(since) => since > desk.settings.upload_expires,
        // Written when the clock was wrong: it would never expire.
        Err(ahead) => ahead.duration() > AHEAD,
    }
}

/// Removes the uploads that have expired; what is left of the others. Blocks for the disk.
pub(super) fn sweep(desk: &Desk) -> Result<Vec<Left>, OutboxError> {
    let spool = desk.outbox.spool();
    spool.sweep_partials(AHEAD)?;
    let mut left = spool.partials()?;
    for over in left.extract_if(.., |left| is_over(desk, left.touched)) {
        spool.remove_partial(&over.id)?;
    }
    Ok(left)
}
