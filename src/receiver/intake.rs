//! Recordings taken in: what `rec push` of another machine sends, by form (POST) or whole (PUT). Each is filed once, by its key.
//!
//! | way | what |
//! |---|---|
//! | `POST /api/recordings` | a form: `manifest` (JSON), then `recording` (the file) |
//! | `PUT /api/recordings/KEY` | the file, its manifest in `X-Recording-Manifest` (Base64url) |
//! | `GET /api/recordings/KEY` | the receipt of what is here already, else 404 |
//!
//! All with the token as `Authorization: Bearer`, or signed as standard webhooks are (over the manifest, which names the audio's
//! hash), or both, whichever is set. The answer is a receipt: 201, or 200 for what was here already. 409 is another recording
//! with this key, or the very same request a second time; 460 says that what arrived is not what was sent: try again.
//!
//! Above: `Receiver`'s routes. Below: `filing` puts it into the outbox.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequest, Multipart, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{header_text, text};
use super::audit::{Event, Line, shortened};
use super::connect::From;
use super::desk::Desk;
use super::filing::{self, Arrived, Filed};
use super::metered::{Drawn, metered};
use super::{signed, space};
use crate::outbox::Aside;

/// Bytes of a manifest, and of a form around the file.
pub(super) const MANIFEST_LIMIT: usize = 1024 * 1024;
/// What a further field of a form counts at least: a thousand of them are too many.
const EMPTY_FIELD: usize = 1024;
/// The next piece has to come after this time …
pub(super) const PIECE_TIME: Duration = Duration::from_secs(30);
/// … and all of it at this pace, after as long at the start, in bytes per second.
pub(super) const PACE: u64 = 1_024;
/// What arrived is not what was sent; the number of the tus protocol, which senders take for one that passes.
const NOT_AS_SENT: u16 = 460;

/// Why a delivery is not taken.
#[derive(Debug)]
pub(super) struct Untaken {
    pub(super) status: u16,
    pub(super) why: String,
    /// Of a stranger, who could fill the disk with lines.
    is_nobodys: bool,
}

impl Untaken {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status: status.as_u16(), why: why.into(), is_nobodys: false }
    }

    /// A refusal that is not put on record: of one who shows nothing, or is banned.
    pub(super) fn nobodys(status: StatusCode, why: impl Into<String>) -> Self {
        Self { is_nobodys: true, ..Self::new(status, why) }
    }

    pub(super) fn is_nobodys(&self) -> bool {
        self.is_nobodys
    }

    pub(super) fn not_as_sent(why: impl Into<String>) -> Self {
        Self { status: NOT_AS_SENT, why: why.into(), is_nobodys: false }
    }

    pub(super) fn answer(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = text(status, serde_json::json!({ "error": self.why }).to_string());
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        if status == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer realm=\"recordings\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// The handler of both ways.
pub(super) async fn deliver(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let what = header_text(&headers, "idempotency-key").unwrap_or_default().to_owned();
    let taken = take(&desk, from, request).await;
    conclude(desk, (Event::Delivery, what), from, taken).await
}

/// Puts the outcome on record and answers.
pub(super) async fn conclude(
    desk: Arc<Desk>,
    (event, what): (Event, String),
    from: std::net::IpAddr,
    taken: Result<Filed, Untaken>,
) -> Response {
    match on_record(&desk, (event, what), from, taken).await {
        Ok(filed) => filed.answer(),
        Err(untaken) => untaken.answer(),
    }
}

/// Puts the outcome on record.
pub(super) async fn on_record(
    desk: &Arc<Desk>,
    (event, what): (Event, String),
    from: std::net::IpAddr,
    taken: Result<Filed, Untaken>,
) -> Result<Filed, Untaken> {
    let taken = match taken {
        Err(untaken) if untaken.is_nobodys() => return Err(untaken),
        taken => taken,
    };
    let desk = Arc::clone(desk);
    let told = spawn_blocking(move || {
        let (status, id, why) = match &taken {
            Ok(filed) => (filed.status, Some(filed.id.to_string()), None),
            Err(untaken) => (untaken.status, None, Some(untaken.why.clone())),
        };
        let why = why.as_deref();
        // What is filed is filed: its receipt goes out, on record or not.
        let _ = desk.record(&Line { event, who: "", from, what: shortened(&what), id, status, why });
        taken
    });
    told.await.unwrap_or_else(|_| Err(Untaken::new(StatusCode::INTERNAL_SERVER_ERROR, "it was not taken")))
}

/// The handler of `GET /api/recordings/KEY`: whether a recording is here, before it is sent once more.
pub(super) async fn look_up(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Response {
    let admitted = signed::program(&desk, &headers, from)
        .and_then(|()| signed::checked(&desk, &headers, format!("GET {key}").as_bytes(), from));
    if let Err(untaken) = admitted {
        return untaken.answer();
    }
    match spawn_blocking(move || filing::found(&desk, &key)).await {
        Ok(Ok(Some(filed))) => filed.answer(),
        Ok(Ok(None)) => Untaken::new(StatusCode::NOT_FOUND, "there is no such recording").answer(),
        Ok(Err(untaken)) => untaken.answer(),
        Err(_) => Untaken::new(StatusCode::INTERNAL_SERVER_ERROR, "it could not be looked for").answer(),
    }
}

/// Checks who sends, takes what is sent, files it.
async fn take(desk: &Arc<Desk>, from: std::net::IpAddr, request: Request) -> Result<Filed, Untaken> {
    signed::program(desk, request.headers(), from)?;
    let headers = request.headers().clone();
    let length = header_text(&headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let limit = desk.settings.largest.saturating_add(MANIFEST_LIMIT as u64 * 2);
    if length.is_some_and(|length| length > limit) {
        return Err(Untaken::new(StatusCode::PAYLOAD_TOO_LARGE, format!("more than {} bytes", desk.settings.largest)));
    }
    let is_form = header_text(&headers, header::CONTENT_TYPE)
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"));
    let sender = Sender { desk, headers: &headers, from };
    let (manifest, sent, aside) = match (request.method(), is_form) {
        (&Method::PUT, _) => whole(&sender, request.into_body()).await?,
        (_, true) => form(&sender, request).await?,
        (_, false) => {
            return Err(Untaken::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send multipart/form-data, or PUT the file"));
        }
    };
    let Manifest { text, replayed } = manifest;
    let arrived = Arrived::new(&headers, &text, sent)?;
    if desk.signing_key.is_some() && !arrived.is_bound() {
        // the signature is over the manifest: what that does not tell of is not signed
        return Err(Untaken::new(StatusCode::BAD_REQUEST, "the signed manifest names no SHA-256 of this file"));
    }
    let _one_at_a_time = desk.filing.lock().await;
    let at = Arc::clone(desk);
    let filed = spawn_blocking(move || filing::file(&at, &arrived, &aside, from)).await;
    let filed = filed.map_err(|_| Untaken::new(StatusCode::INTERNAL_SERVER_ERROR, "it could not be filed"))??;
    Ok(if replayed { Filed { status: 409, ..filed } } else { filed })
}

/// Who sends.
struct Sender<'a> {
    desk: &'a Arc<Desk>,
    headers: &'a HeaderMap,
    from: std::net::IpAddr,
}

/// A manifest whose signature holds, where one is asked for: before that no byte of audio comes to the disk.
struct Manifest {
    text: Bytes,
    replayed: bool,
}

impl Sender<'_> {
    fn signed(&self, text: Bytes) -> Result<Manifest, Untaken> {
        let replayed = signed::checked(self.desk, self.headers, &text, self.from)?;
        Ok(Manifest { text, replayed })
    }
}

/// What the audio was, while it passed to the disk.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// The beginning of the file, to see what it is.
    pub(super) head: Vec<u8>,
    /// What the form called it.
    pub(super) name: Option<String>,
}

async fn whole(sender: &Sender<'_>, body: Body) -> Result<(Manifest, Sent, Aside), Untaken> {
    let coded = header_text(sender.headers, "x-recording-manifest").unwrap_or_default();
    let manifest = URL_SAFE_NO_PAD
        .decode(coded.trim_end_matches('='))
        .map_err(|_| Untaken::not_as_sent("X-Recording-Manifest is no Base64url"))?;
    if manifest.is_empty() {
        return Err(Untaken::new(StatusCode::BAD_REQUEST, "X-Recording-Manifest is missing"));
    }
    let manifest = sender.signed(manifest.into())?;
    let (sent, aside) = store(sender.desk, body.into_data_stream(), None).await?;
    Ok((manifest, sent, aside))
}

async fn form(sender: &Sender<'_>, request: Request) -> Result<(Manifest, Sent, Aside), Untaken> {
    let broken = |error: &dyn std::fmt::Display| Untaken::not_as_sent(format!("the form is broken: {error}"));
    let (request, drawn) = metered(request, MANIFEST_LIMIT);
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error))?;
    let (mut manifest, mut audio, mut others) = (None, None, 0_usize);
    while let Some(field) =
        timeout(PIECE_TIME, form.next_field()).await.map_err(|_| late())?.map_err(|error| broken(&error))?
    {
        let (name, file_name) = (field.name().map(str::to_owned), field.file_name().map(str::to_owned));
        let field = Drawn::new(field, &drawn);
        match name.as_deref() {
            Some("manifest") if manifest.is_none() => manifest = Some(sender.signed(short(field).await?)?),
            Some("recording") if audio.is_none() => {
                if manifest.is_none() {
                    return Err(Untaken::new(StatusCode::BAD_REQUEST, "send `manifest` before `recording`"));
                }
                audio = Some(store(sender.desk, field, file_name).await?);
            }
            // Whatever else a form has does not matter, within bounds.
            _ => {
                others += EMPTY_FIELD + short(field).await?.len();
                if others > MANIFEST_LIMIT {
                    let why = "the form has too much besides the recording";
                    return Err(Untaken::new(StatusCode::PAYLOAD_TOO_LARGE, why));
                }
            }
        }
    }
    match (manifest, audio) {
        (Some(manifest), Some((sent, aside))) => Ok((manifest, sent, aside)),
        (None, _) => Err(Untaken::new(StatusCode::BAD_REQUEST, "the form has no field `manifest`")),
        (_, None) => Err(Untaken::new(StatusCode::BAD_REQUEST, "the form has no field `recording`")),
    }
}

fn late() -> Untaken {
    Untaken::new(StatusCode::REQUEST_TIMEOUT, "it does not go on")
}

/// A short field, or a short body, in memory.
pub(super) async fn short<E: std::fmt::Display>(
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Bytes, Untaken> {
    let mut bytes = Vec::new();
    let end = Instant::now() + PIECE_TIME;
    while let Some(piece) = timeout_at(end, pieces.next()).await.map_err(|_| late())? {
        bytes.extend_from_slice(&piece.map_err(|error| Untaken::not_as_sent(format!("it broke off: {error}")))?);
        if bytes.len() > MANIFEST_LIMIT {
            return Err(Untaken::new(StatusCode::PAYLOAD_TOO_LARGE, "the manifest is too long"));
        }
    }
    Ok(bytes.into())
}

/// Writes what comes aside, and measures it.
pub(super) async fn store<E: std::fmt::Display>(
    desk: &Arc<Desk>,
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    name: Option<String>,
) -> Result<(Sent, Aside), Untaken> {
    let spool = Arc::clone(desk.outbox.spool());
    let begun = spawn_blocking(move || spool.begin_aside()).await.map_err(|error| full(&error))?;
    let mut aside = begun.map_err(|error| full(&error))?;
    let (mut hash, mut bytes, mut head) = (Sha256::new(), 0_u64, Vec::new());
    let start = Instant::now() + PIECE_TIME;
    loop {
        let slowest = start + Duration::from_secs(bytes / PACE);
        let end = slowest.min(Instant::now() + PIECE_TIME);
        let Some(piece) = timeout_at(end, pieces.next()).await.map_err(|_| late())? else { break };
        let piece = piece.map_err(|error| Untaken::not_as_sent(format!("it broke off: {error}")))?;
        bytes = bytes.saturating_add(piece.len() as u64);
        if bytes > desk.settings.largest {
            let why = format!("more than {} bytes", desk.settings.largest);
            return Err(Untaken::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let room = super::kind::HEAD_BYTES.saturating_sub(head.len()).min(piece.len());
        head.extend_from_slice(piece.get(..room).unwrap_or_default());
        hash.update(&piece);
        let own = Arc::clone(desk);
        let written = spawn_blocking(move || {
            space::has(&own, piece.len() as u64)?;
            aside.file().write_all(&piece).map_err(|error| full(&error))?;
            Ok(aside)
        });
        aside = written.await.map_err(|error| full(&error))??;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((Sent { bytes, sha256, head, name }, aside))
}

/// The answer where the disk does not take it; why is for the log.
pub(super) fn full(error: &dyn std::fmt::Display) -> Untaken {
    tracing::error!(%error, "a delivery cannot be stored");
    Untaken::new(StatusCode::INSUFFICIENT_STORAGE, "it cannot be stored here")
}

/// Signatures that were here lately, with the second after which they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Seen(pub(super) BTreeMap<String, i64>);
