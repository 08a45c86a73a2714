//! Resumable uploads: the server's side of the tus protocol 1.0.0 (core, creation, expiration, checksum), for recordings.
//!
//! | way | what |
//! |---|---|
//! | `OPTIONS /api/uploads` | what is spoken here |
//! | `POST /api/uploads` | an upload is begun: its length, and in `Upload-Metadata` the key, the hash and the manifest |
//! | `HEAD /api/uploads/ID` | how much has arrived |
//! | `PATCH /api/uploads/ID` | the next bytes |
//!
//! Who may deliver is asked as for a delivery in one piece: the token, and where signatures are demanded one over the manifest when
//! an upload is begun, and one over `METHOD ID OFFSET CHECKSUM` with each request after that. The id follows from key, hash, length
//! and the server's own secret: the same recording finds its upload again, and nobody else does. What arrives is written as it
//! comes and counts even when its request breaks off. Whether it is audio of the kind its name says is judged by its first bytes, and
//! 415 ends it there; the hash is judged when it is whole, and then it is filed and answered by the receipt (`X-Recording-Receipt`)
//! like any other delivery. What is announced has to fit the disk beside what is still to come of all the others, else 507.
//!
//! Above: `Receiver`'s routes. Below: `announced` (their lengths), `begun` (what an upload is), `pieces` (its bytes), `turns` (one
//! request at a time), `filing`.

mod announced;
mod begun;
mod pieces;
mod turns;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::task::spawn_blocking;

pub(super) use announced::Announced;
use begun::{Begun, Standing};
use turns::Turn;
pub(super) use turns::Turns;

use super::answer::{header_text, text};
use super::audit::Event;
use super::connect::From;
use super::desk::Desk;
use super::filing::{self, Filed};
use super::intake::{Untaken, full, on_record};
use super::signed;
use crate::outbox::Partial;

/// The one version that is spoken.
const VERSION: &str = "1.0.0";
/// What is spoken of it besides its core.
const EXTENSIONS: &str = "creation,expiration,checksum";
/// Where an upload is found.
const PLACE: &str = "/api/uploads";
/// So often what has expired is looked for.
const SWEEP_AGAIN: Duration = Duration::from_secs(600);

/// An upload's state in an answer.
struct Told {
    status: StatusCode,
    id: String,
    offset: u64,
    length: u64,
    /// From when on it may be removed.
    expires: Option<SystemTime>,
    filed: Option<Filed>,
}

/// The handler of `/api/uploads`.
pub(super) async fn all(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let told = match *request.method() {
        Method::OPTIONS => return offered(&desk),
        Method::POST => {
            let what = header_text(&headers, "idempotency-key").unwrap_or_default().to_owned();
            // not dropped with its connection: of two requests one has to be over before the other looks
            let own = Arc::clone(&desk);
            let made = tokio::spawn(async move { create(&own, &headers, from).await });
            conclude(&desk, what, from, made.await.unwrap_or_else(|_| Err(broken()))).await
        }
        _ => Err(Untaken::new(StatusCode::METHOD_NOT_ALLOWED, "POST begins an upload")),
    };
    answer(told)
}

/// The handler of `/api/uploads/ID`.
pub(super) async fn one(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let overridden = header_text(request.headers(), "x-http-method-override").map(str::to_ascii_uppercase);
    let method = overridden.unwrap_or_else(|| request.method().to_string());
    let made = match method.as_str() {
        "OPTIONS" => return offered(&desk),
        "HEAD" => {
            let (own, headers) = (Arc::clone(&desk), request.headers().clone());
            tokio::spawn(async move { look(&own, &headers, (&id, from)).await }).await
        }
        "PATCH" => {
            let own = Arc::clone(&desk);
            tokio::spawn(async move { go_on(&own, request, (&id, from)).await }).await
        }
        _ => Ok(Err(Untaken::new(StatusCode::METHOD_NOT_ALLOWED, "HEAD and PATCH go on with an upload"))),
    };
    let made = made.unwrap_or_else(|_| Err(broken()));
    // Each piece on record would say nothing; what has become of the whole does.
    let is_end = match &made {
        Ok(told) => told.filed.is_some(),
        Err(untaken) => !matches!(untaken.status, 404 | 405 | 409 | 412 | 423 | 460),
    };
    let what = made.as_ref().ok().and_then(|told| told.filed.as_ref()).map(|filed| filed.id.to_string());
    answer(if is_end { conclude(&desk, what.unwrap_or_default(), from, made).await } else { made })
}

/// Removes what has expired, now and then, for as long as it is asked.
pub(super) async fn sweep(desk: Arc<Desk>) {
    loop {
        let own = Arc::clone(&desk);
        let _ = spawn_blocking(move || begun::sweep(&own)).await;
        tokio::time::sleep(SWEEP_AGAIN).await;
    }
}

/// Puts the end of an upload on record.
async fn conclude(desk: &Arc<Desk>, what: String, from: IpAddr, made: Result<Told, Untaken>) -> Result<Told, Untaken> {
    match made {
        Ok(told) if told.filed.is_none() => Ok(told),
        Ok(mut told) => {
            let Some(filed) = told.filed.take() else { return Ok(told) };
            let filed = on_record(desk, (Event::Delivery, what), from, Ok(filed)).await?;
            Ok(Told { filed: Some(filed), ..told })
        }
        Err(untaken) => {
            let filed = on_record(desk, (Event::Delivery, what), from, Err(untaken)).await?;
            Err(Untaken::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{} was filed", filed.id)))
        }
    }
}

/// Begins an upload, or finds it begun, whole or filed.
async fn create(desk: &Arc<Desk>, headers: &HeaderMap, from: IpAddr) -> Result<Told, Untaken> {
    admitted(desk, headers, from)?;
    let begun = Begun::read(desk, headers)?;
    if signed::checked(desk, headers, &begun.manifest, from)? {
        return Err(Untaken::new(StatusCode::CONFLICT, "this very request was here before"));
    }
    let begun = begun.checked()?;
    let id = begun.id(desk);
    let (key, length) = (begun.key.clone(), begun.length);
    let own = Arc::clone(desk);
    let (there, begun) = blocking(move || filing::found(&own, &begun.key).map(|filed| (filed, begun))).await?;
    if let Some(filed) = there {
        if filed.receipt.sha256.as_deref() != Some(begun.sha256.as_str()) {
            return Err(Untaken::new(StatusCode::CONFLICT, "another recording has this key"));
        }
        return Ok(Told { status: StatusCode::OK, id: key, offset: length, length, expires: None, filed: Some(filed) });
    }
    let turn = desk.uploads.take(&id).await.ok_or_else(busy)?;
    let (own, to_open) = (Arc::clone(desk), id.clone());
    let (standing, is_new) = blocking(move || Standing::begin(&own, &to_open, &begun)).await?;
    let told = told(desk, standing, from, &turn).await?;
    Ok(if is_new { Told { status: StatusCode::CREATED, ..told } } else { told })
}

/// Tells how much has arrived.
async fn look(desk: &Arc<Desk>, headers: &HeaderMap, (id, from): (&str, IpAddr)) -> Result<Told, Untaken> {
    admitted(desk, headers, from)?;
    capable(desk, headers, ("HEAD", id), from)?;
    let turn = desk.uploads.take(id).await.ok_or_else(busy)?;
    let standing = open(desk, id).await?;
    told(desk, standing, from, &turn).await
}

/// Takes the next bytes; with the last of them the recording is filed.
async fn go_on(desk: &Arc<Desk>, request: Request, (id, from): (&str, IpAddr)) -> Result<Told, Untaken> {
    admitted(desk, request.headers(), from)?;
    capable(desk, request.headers(), ("PATCH", id), from)?;
    let piece = pieces::Piece::read(request.headers(), desk.signing_key.is_some())?;
    let mut turn = desk.uploads.take(id).await.ok_or_else(busy)?;
    let standing = open(desk, id).await?;
    let body = request.into_body().into_data_stream();
    let taken = pieces::take(desk, (standing, &piece), body, &mut turn).await;
    if taken.as_ref().is_err_and(|untaken| untaken.status == StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16()) {
        // what it is has been seen: nobody sends the rest of it
        forget(desk, id).await?;
    }
    let standing = taken?;
    let told = told(desk, standing, from, &turn).await?;
    Ok(Told { status: StatusCode::NO_CONTENT, ..told })
}

async fn forget(desk: &Arc<Desk>, id: &str) -> Result<(), Untaken> {
    let (own, id) = (Arc::clone(desk), id.to_owned());
    blocking(move || own.outbox.spool().remove_partial(&id).map_err(|error| full(&error))).await
}

async fn open(desk: &Arc<Desk>, id: &str) -> Result<Standing, Untaken> {
    let (own, id) = (Arc::clone(desk), id.to_owned());
    blocking(move || Standing::open(&own, &id)).await
}

/// What is answered of an upload; one that is whole is filed first.
async fn told(desk: &Arc<Desk>, standing: Standing, from: IpAddr, _held: &Turn) -> Result<Told, Untaken> {
    let Standing { partial, begun, offset } = standing;
    let (id, length) = (partial.id().to_owned(), begun.length);
    let expires = partial.touched().ok().and_then(|touched| touched.checked_add(desk.settings.upload_expires));
    let filed = if offset == length { Some(file(desk, partial, begun, from).await?) } else { None };
    let expires = expires.filter(|_| filed.is_none());
    Ok(Told { status: StatusCode::OK, id, offset, length, expires, filed })
}

/// Files what is whole. What is not what was announced is removed, and begun anew by its sender.
async fn file(desk: &Arc<Desk>, partial: Partial, begun: Begun, from: IpAddr) -> Result<Filed, Untaken> {
    let measured = blocking(move || {
        let measured = partial.measure().and_then(|measure| Ok((measure, partial.head(super::kind::HEAD_BYTES)?)));
        measured.map(|(measure, head)| (partial, measure, head)).map_err(|error| full(&error))
    });
    let (partial, measure, head) = measured.await?;
    let _one_at_a_time = desk.filing.lock().await;
    let own = Arc::clone(desk);
    blocking(move || {
        let filed =
            begun.arrived(measure, head).and_then(|arrived| filing::file(&own, &arrived, partial.aside(), from));
        let is_over = match &filed {
            Ok(_) => true,
            // That it is refused stays so: nobody sends the rest of what is whole.
            Err(untaken) => (400..500).contains(&untaken.status),
        };
        if is_over && let Err(error) = own.outbox.spool().remove_partial(partial.id()) {
            tracing::warn!(%error, "what is left of an upload stays until it expires");
        }
        // Gone, so that it is begun anew: to send its last bytes again would not help.
        filed.map_err(|untaken| match untaken.status {
            460 => Untaken::new(StatusCode::GONE, untaken.why),
            _ => untaken,
        })
    })
    .await
}

/// The token, and the version.
fn admitted(desk: &Desk, headers: &HeaderMap, from: IpAddr) -> Result<(), Untaken> {
    signed::program(desk, headers, from)?;
    match header_text(headers, "tus-resumable") {
        Some(VERSION) => Ok(()),
        _ => Err(Untaken::new(StatusCode::PRECONDITION_FAILED, format!("Tus-Resumable: {VERSION} is spoken here"))),
    }
}

/// The signature of a request after the first, where signatures are demanded.
fn capable(desk: &Desk, headers: &HeaderMap, (method, id): (&str, &str), from: IpAddr) -> Result<(), Untaken> {
    let value = |name| header_text(headers, name).unwrap_or_default();
    let text = format!("{method} {id} {} {}", value("upload-offset"), value("upload-checksum"));
    match signed::checked(desk, headers, text.as_bytes(), from)? {
        true => Err(Untaken::new(StatusCode::CONFLICT, "this very request was here before")),
        false => Ok(()),
    }
}

fn offered(desk: &Desk) -> Response {
    let mut response = text(StatusCode::NO_CONTENT, "");
    let headers = response.headers_mut();
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert("tus-checksum-algorithm", HeaderValue::from_static(pieces::ALGORITHMS));
    headers.insert("tus-max-size", desk.settings.largest.into());
    versioned(response)
}

fn answer(told: Result<Told, Untaken>) -> Response {
    let told = match told {
        Ok(told) => told,
        Err(untaken) => return versioned(untaken.answer()),
    };
    let mut response = text(told.status, "");
    let headers = response.headers_mut();
    headers.insert("upload-offset", told.offset.into());
    headers.insert("upload-length", told.length.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut put = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    if told.status != StatusCode::NO_CONTENT {
        put(header::LOCATION, format!("{PLACE}/{}", told.id));
    }
    if let Some(expires) = told.expires {
        put(HeaderName::from_static("upload-expires"), httpdate::fmt_http_date(expires));
    }
    if let Some(filed) = told.filed {
        let json = serde_json::to_string(&filed.receipt).unwrap_or_default();
        put(HeaderName::from_static("x-recording-receipt"), URL_SAFE_NO_PAD.encode(json));
    }
    versioned(response)
}

fn versioned(mut response: Response) -> Response {
    let version = HeaderValue::from_static(VERSION);
    response.headers_mut().insert("tus-resumable", version.clone());
    response.headers_mut().insert("tus-version", version);
    response
}

fn busy() -> Untaken {
    Untaken::new(StatusCode::LOCKED, "another request goes on with this upload")
}

fn broken() -> Untaken {
    Untaken::new(StatusCode::INTERNAL_SERVER_ERROR, "it was not taken")
}

/// Runs what waits for the disk where it may.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> Result<T, Untaken> + Send + 'static) -> Result<T, Untaken> {
    spawn_blocking(act).await.unwrap_or_else(|_| Err(broken()))
}
