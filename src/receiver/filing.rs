//! Puts what arrived into the outbox, once for each key, and writes its receipt. Above: `intake`, `notice`. Below: `outbox`.
//!
//! A further file of a recording (`ID.2`) becomes a recording of its own here, whose id follows from that key. What was cut short
//! between its row and its end is begun anew when it is sent again.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::answer::{header_text, text};
use super::desk::Desk;
use super::intake::{Sent, Untaken};
use super::kind::{Door, Kind};
use super::links::which;
use crate::outbox::name::clean_name;
use crate::outbox::receipt::{self, Sent as Signed};
use crate::outbox::remote::Receipt;
use crate::outbox::{Aside, Manifest, OutboxError, RecordingId, State, manifest, seal};

/// A recording that has arrived whole, and is what its manifest says.
#[derive(Debug)]
pub(super) struct Arrived {
    key: String,
    manifest: Manifest,
    /// The header of a sealed file.
    wrapped_key: Option<Vec<u8>>,
    sha256: String,
    /// Whether its manifest tells of that hash.
    is_bound: bool,
}

/// A recording that is here.
#[derive(Debug)]
pub(super) struct Filed {
    pub(super) id: RecordingId,
    /// 201, or 200 where it was here before.
    pub(super) status: u16,
    pub(super) receipt: Receipt,
}

impl Filed {
    pub(super) fn answer(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = text(status, serde_json::to_string(&self.receipt).unwrap_or_default());
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        response
    }
}

impl Arrived {
    /// Compares what arrived with what the manifest and the headers say of it.
    ///
    /// # Errors
    /// It is something else, or not what its name says.
    pub(super) fn new(headers: &HeaderMap, manifest: &[u8], sent: Sent) -> Result<Self, Untaken> {
        let manifest = Manifest::parse(manifest)
            .map_err(|error| Untaken::not_as_sent(format!("the manifest cannot be read: {error}")))?;
        let key = header_text(headers, "idempotency-key").map_or_else(|| manifest.id.to_string(), str::to_owned);
        let said = header_text(headers, "x-recording-sha256").map(str::to_ascii_lowercase);
        if said.is_some_and(|said| said != sent.sha256) {
            return Err(Untaken::not_as_sent(format!("what arrived has SHA-256 {}", sent.sha256)));
        }
        Self::known(key, manifest, sent)
    }

    /// What can be said before a byte of it is here: the hash that the manifest tells of, where it does.
    ///
    /// # Errors
    /// Key and manifest do not go together, or its name is not a recording's.
    pub(super) fn announced(key: &str, manifest: &Manifest, name: Option<&str>) -> Result<Option<String>, Untaken> {
        Ok(Some(Which::of(key, manifest, name)?.sha256).filter(|sha256| !sha256.is_empty()))
    }

    /// Whether a file that begins with `head` can be the one that was announced. With a sealed one its header comes in the manifest.
    ///
    /// # Errors
    /// It is not what its name says.
    pub(super) fn judge(key: &str, mut manifest: Manifest, name: Option<&str>, head: &[u8]) -> Result<(), Untaken> {
        let Which { part, kind, .. } = Which::of(key, &manifest, name)?;
        fits(kind, seal::take_keys(&mut manifest).get(part - 1).map(Vec::as_slice), head)
    }

    /// The same as [`Self::new`] where key and manifest are known otherwise.
    pub(super) fn known(key: String, mut manifest: Manifest, sent: Sent) -> Result<Self, Untaken> {
        let Which { id, part, file, sha256, kind } = Which::of(&key, &manifest, sent.name.as_deref())?;
        if !sha256.is_empty() && !sha256.eq_ignore_ascii_case(&sent.sha256) {
            return Err(Untaken::not_as_sent(format!("what arrived has SHA-256 {}", sent.sha256)));
        }
        let wrapped_key = seal::take_keys(&mut manifest).into_iter().nth(part - 1);
        if sent.bytes == 0 {
            return Err(liar());
        }
        fits(kind, wrapped_key.as_deref(), &sent.head)?;
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
        manifest.file = format!("{}.{extension}", clean_name(manifest::stem(&file)));
        manifest.parts.clear();
        if part > 1 {
            manifest.extra.insert("part_of".to_owned(), json!({ "id": id, "part": part }));
            manifest.id = id_of(&key).ok_or_else(|| Untaken::new(StatusCode::BAD_REQUEST, "no such key"))?;
        }
        Ok(Self { key, manifest, wrapped_key, sha256: sent.sha256, is_bound: !sha256.is_empty() })
    }

    /// Whether its manifest tells of its hash.
    pub(super) fn is_bound(&self) -> bool {
        self.is_bound
    }
}

fn liar() -> Untaken {
    Untaken::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "it is not what its name says")
}

fn fits(kind: Kind, wrapped_key: Option<&[u8]>, head: &[u8]) -> Result<(), Untaken> {
    if kind.fits(wrapped_key.unwrap_or(head)) { Ok(()) } else { Err(liar()) }
}

/// Which file of which recording a key means.
struct Which {
    id: RecordingId,
    /// From 1.
    part: usize,
    file: String,
    /// Empty where the manifest does not tell.
    sha256: String,
    kind: Kind,
}

impl Which {
    fn of(key: &str, manifest: &Manifest, name: Option<&str>) -> Result<Self, Untaken> {
        let (id, part) = which(key).filter(|(id, part)| *id == manifest.id && *part > 0).ok_or_else(|| {
            Untaken::new(StatusCode::BAD_REQUEST, "the idempotency key is not that of the manifest's recording")
        })?;
        let file = manifest.files().nth(part - 1).map(|(file, _, sha256)| (file.to_owned(), sha256.to_owned()));
        // a manifest that was shortened to fit a header may lack its parts
        let (file, sha256) = file.or_else(|| Some((name?.to_owned(), String::new()))).unwrap_or_default();
        let kind = Kind::of(&file, Door::ById).ok_or_else(|| {
            Untaken::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a recording is wav, mp3, gsm, flac, opus, ogg, mka or sealed",
            )
        })?;
        Ok(Self { id, part, file, sha256, kind })
    }
}

/// The receipt of the recording that came with a key, if one is here; blocks for the disk.
///
/// # Errors
/// The disk fails.
pub(super) fn found(desk: &Desk, key: &str) -> Result<Option<Filed>, Untaken> {
    let id = which(key).and_then(|(id, part)| if part > 1 { id_of(key) } else { Some(id) });
    let Some(id) = id else { return Ok(None) };
    let there = desk.outbox.get(id).map_err(|error| {
        tracing::error!(%error, "a delivery cannot be looked for");
        Untaken::new(StatusCode::SERVICE_UNAVAILABLE, "it cannot be looked for now")
    })?;
    Ok(there.filter(|there| there.state != State::Open).map(|there| filed(desk, key, &there, StatusCode::OK)))
}

/// A recording's id that follows from a key: always the same one.
fn id_of(key: &str) -> Option<RecordingId> {
    let digest = Sha256::digest(format!("wirechief part 1\n{key}\n"));
    let bytes: [u8; 16] = digest.get(..16)?.try_into().ok()?;
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string().parse().ok()
}

/// Files a recording, or finds it filed; blocks for the disk. One at a time.
///
/// # Errors
/// Another one has its key, or the disk does not take it.
pub(super) fn file(desk: &Desk, arrived: &Arrived, aside: &Aside, from: IpAddr) -> Result<Filed, Untaken> {
    let id = arrived.manifest.id;
    let full = |error: OutboxError| {
        tracing::error!(%error, "a delivery cannot be filed");
        Untaken::new(StatusCode::INSUFFICIENT_STORAGE, "it cannot be filed here")
    };
    match desk.outbox.get(id).map_err(full)? {
        Some(there) if there.state == State::Open && there.extra.contains_key("received") => {
            desk.outbox.abandon(id).map_err(full)?;
        }
        Some(there) if there.audio.sha256 == arrived.sha256 && there.state != State::Open => {
            return Ok(filed(desk, &arrived.key, &there, StatusCode::OK));
        }
        Some(_) => return Err(Untaken::new(StatusCode::CONFLICT, "another recording has this key")),
        None => {}
    }
    let mut manifest = arrived.manifest.clone();
    let received = json!({ "at": Timestamp::now().to_string(), "from": from, "key": arrived.key });
    manifest.extra.insert("received".to_owned(), received);
    let interrupted = manifest.state == State::Interrupted;
    let mut manifest = desk.outbox.begin(&manifest).map_err(full)?;
    if interrupted {
        manifest.state = State::Interrupted;
    }
    let finished = (|| {
        let spool = desk.outbox.spool();
        if let Some(key) = &arrived.wrapped_key {
            spool.write_whole(&seal::key_name(&manifest.file), key)?;
        }
        spool.place_aside(aside, &manifest.file)?;
        desk.outbox.finish(manifest)
    })();
    match finished {
        Ok(manifest) => Ok(filed(desk, &arrived.key, &manifest, StatusCode::CREATED)),
        Err(error) => {
            // as if it had never come: it will come again
            let _ = desk.outbox.abandon(id);
            Err(full(error))
        }
    }
}

/// The receipt, signed where a key is set; the same for each delivery of the same recording.
fn filed(desk: &Desk, key: &str, manifest: &Manifest, status: StatusCode) -> Filed {
    let received = manifest.extra.get("received").and_then(|received| received.get("at")?.as_str());
    let received_at = received.map_or_else(|| manifest.ended.unwrap_or(manifest.started).to_string(), str::to_owned);
    let (sha256, size) = (&manifest.audio.sha256, manifest.audio.bytes);
    let sent = Signed { key, sha256, size };
    let signature = desk.receipt_key.as_ref().map(|key| receipt::sign(key, &sent, &received_at));
    let receipt = Receipt {
        id: manifest.id.to_string(),
        sha256: Some(sha256.clone()),
        size: Some(size),
        received_at: Some(received_at),
        signature,
        url: desk.settings.base.as_ref().map(|base| format!("{base}/recordings/{}", manifest.id)),
    };
    Filed { id: manifest.id, status: status.as_u16(), receipt }
}
