//! Notice, then pull, as document 002 has it: a machine tells of a recording, and this one fetches it over the signed link, with
//! its certificate checked, from places that are listed, and answers with the receipt. Above: `Receiver`'s routes. Below: `filing`.
//!
//! `POST /api/notices` with `{"id","key","file","number","from","link","sha256","size",…}`. Where the other side serves recordings
//! as this one does, the whole manifest comes with the file, so that pull and push leave the same record.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::audit::Event;
use super::connect::From;
use super::desk::Desk;
use super::error::ReceiverError;
use super::filing::{self, Arrived, Filed};
use super::intake::{Untaken, conclude, short, store};
use super::signed;
use crate::outbox::manifest::Direction;
use crate::outbox::{Manifest, RecordingId};

/// How long a connection may take, and how long no byte may come.
const CONNECT_TIME: Duration = Duration::from_secs(10);
const READ_TIME: Duration = Duration::from_secs(30);
/// Asks the other side for the manifest, which comes in the other, as Base64url.
pub(super) const WANT_MANIFEST: &str = "x-want-manifest";
pub(super) const MANIFEST: &str = "x-recording-manifest";

/// What is told of a recording.
#[derive(Debug, Deserialize)]
struct Notice {
    id: RecordingId,
    #[serde(default)]
    key: Option<String>,
    file: String,
    link: String,
    #[serde(default)]
    number: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    call: String,
    #[serde(default)]
    direction: Option<Direction>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    started: Option<Timestamp>,
    #[serde(default)]
    ended: Option<Timestamp>,
    #[serde(default)]
    duration_s: f64,
    #[serde(default)]
    sha256: Option<String>,
}

/// Fetches from the places that are listed.
pub(super) struct Fetcher {
    client: reqwest::Client,
    places: Vec<String>,
}

impl Fetcher {
    /// Trusts the system's authorities, or those of `ca_file` alone.
    pub(super) fn new(places: &[String], ca_file: Option<&Path>) -> Result<Self, ReceiverError> {
        let file = ca_file.unwrap_or(Path::new("[serve] pull_from"));
        let wrong = |what: String| ReceiverError::Tls { path: file.to_owned(), what };
        let mut roots = RootCertStore::empty();
        match ca_file {
            Some(path) => {
                for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
                    let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                    roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
                }
            }
            None if places.iter().any(|place| place.starts_with("https:")) => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            None => {}
        }
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIME)
            .read_timeout(READ_TIME)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { client, places: places.to_vec() })
    }

    /// The answer to a link that leads to a listed place.
    async fn fetch(&self, link: &str) -> Result<reqwest::Response, Untaken> {
        let link = url::Url::parse(link).map_err(|_| Untaken::new(StatusCode::BAD_REQUEST, "the link is none"))?;
        let place = link.origin().ascii_serialization();
        if !self.places.contains(&place) || !link.username().is_empty() || link.password().is_some() {
            let why = format!("nothing is fetched from {place}: `pull_from` of [serve] does not list it");
            return Err(Untaken::new(StatusCode::FORBIDDEN, why));
        }
        let request = self.client.get(link).header(WANT_MANIFEST, "1");
        let answer = request.send().await.map_err(|error| gateway(&place, &error))?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            status => Err(Untaken::new(StatusCode::BAD_GATEWAY, format!("{place} answered {status}"))),
        }
    }
}

/// What went wrong on the way, with its causes and without the link, which is as good as a password.
fn gateway(place: &str, error: &reqwest::Error) -> Untaken {
    let mut why = format!("{place} cannot be fetched from");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        why.push_str(&format!(": {error}"));
        cause = error.source();
    }
    Untaken::new(StatusCode::BAD_GATEWAY, why)
}

/// The handler.
pub(super) async fn notice(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    request: Request,
) -> Response {
    let mut what = String::new();
    let taken = take(&desk, from, request, &mut what).await;
    conclude(desk, (Event::Notice, what), from, taken).await
}

async fn take(desk: &Arc<Desk>, from: std::net::IpAddr, request: Request, what: &mut String) -> Result<Filed, Untaken> {
    signed::program(desk, request.headers(), from)?;
    let headers = request.headers().clone();
    let text = short(request.into_body().into_data_stream()).await?;
    let replayed = signed::checked(desk, &headers, &text, from)?;
    let notice: Notice = serde_json::from_slice(&text)
        .map_err(|error| Untaken::not_as_sent(format!("the notice cannot be read: {error}")))?;
    let key = notice.key.clone().unwrap_or_else(|| notice.id.to_string());
    what.clone_from(&key);
    let answer = desk.fetcher.fetch(&notice.link).await?;
    let manifest = carried(answer.headers()).unwrap_or_else(|| told(&notice));
    let (sent, aside) = store(desk, answer.bytes_stream(), Some(notice.file.clone())).await?;
    if notice.sha256.as_ref().is_some_and(|said| !said.eq_ignore_ascii_case(&sent.sha256)) {
        return Err(Untaken::not_as_sent(format!("what was fetched has SHA-256 {}", sent.sha256)));
    }
    let arrived = Arrived::known(key, manifest, sent)?;
    let _one_at_a_time = desk.filing.lock().await;
    let at = Arc::clone(desk);
    let filed = spawn_blocking(move || filing::file(&at, &arrived, &aside, from)).await;
    let filed = filed.map_err(|_| Untaken::new(StatusCode::INTERNAL_SERVER_ERROR, "it could not be filed"))??;
    Ok(if replayed { Filed { status: 409, ..filed } } else { filed })
}

/// The manifest that came with the file.
fn carried(headers: &HeaderMap) -> Option<Manifest> {
    let bytes: Bytes = URL_SAFE_NO_PAD.decode(headers.get(MANIFEST)?.as_bytes()).ok()?.into();
    Manifest::parse(&bytes).ok()
}

/// A manifest of what was told.
fn told(notice: &Notice) -> Manifest {
    let mut manifest = Manifest::new(&notice.file, notice.started.unwrap_or_else(Timestamp::now));
    manifest.id = notice.id;
    manifest.to.clone_from(&notice.number);
    manifest.from.clone_from(&notice.from);
    manifest.call.clone_from(&notice.call);
    manifest.direction = notice.direction.unwrap_or_default();
    manifest.agent.clone_from(&notice.agent);
    manifest.ended = notice.ended;
    manifest.audio.duration_s = if notice.duration_s.is_finite() { notice.duration_s.max(0.0) } else { 0.0 };
    manifest.reason = "notice".to_owned();
    manifest
}
