//! The pages of document 002, made safe: the index, downloads by name, by id and by signed link.
//! Above: `Receiver`'s routes. Below: `download`, `page`, `login`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::answer::{missing, refused, text};
use super::audit::{Event, Line, shortened};
use super::connect::From;
use super::desk::Desk;
use super::download::{self, Asked, Found, Hook};
use super::links;
use super::login::Refusal;
use super::page::{self, Page};
use super::receipts::{self, Fetched};
use super::users::Viewer;
use crate::outbox::link::EXPIRED;

/// The longest text that is searched for, in bytes.
const SEARCH_LIMIT: usize = 200;

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    q: String,
    page: String,
}

/// The document's query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call {
    call: String,
}

/// What a signed link carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Signed {
    expires: String,
    sig: String,
    to: Option<String>,
    play: Option<String>,
}

/// How a file is wanted: with `play`, whatever it says, as a browser can play it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct How {
    play: Option<String>,
}

/// `/` and `/call_index.htm`.
pub(super) async fn index(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    search: Result<Query<Search>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let viewer = match desk.gate.viewer(&headers, from).await {
        Ok(viewer) => viewer,
        Err(refusal) => return not_let_in(&desk, from, "/", refusal).await,
    };
    let Search { q, page } = search.map(|Query(search)| search).unwrap_or_default();
    if q.len() > SEARCH_LIMIT {
        return text(StatusCode::BAD_REQUEST, "400 That is too long to search for");
    }
    let number = page.parse::<u64>().unwrap_or(1).clamp(1, 1_000_000);
    let made = spawn_blocking(move || -> Result<String, StatusCode> {
        let line = Line { event: Event::List, who: &viewer.name, from, what: &q, id: None, status: 200, why: None };
        desk.record(&line)?;
        let (entries, has_more) = desk.entries(&viewer, q.trim(), number).map_err(|error| {
            tracing::error!(%error, "the recordings cannot be listed");
            StatusCode::SERVICE_UNAVAILABLE
        })?;
        Ok(page::html(&Page { entries: &entries, search: Some(&q), number, has_more }))
    });
    let Ok(Ok(html)) = made.await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "503 The recordings cannot be listed");
    };
    let mut response = Response::new(html.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(policy) = HeaderValue::from_str(&page::policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// `/download.php?call=NAME`.
pub(super) async fn by_name(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    call: Result<Query<Call>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let name = call.map(|Query(query)| query.call).unwrap_or_default();
    match desk.gate.viewer(&headers, from).await {
        Ok(viewer) => {
            send(
                desk,
                Asking {
                    event: Event::Download,
                    viewer: Some(viewer),
                    from,
                    name: name.clone(),
                    remote: None,
                    form: Form::Kept,
                },
                Asked::Name(name),
                headers,
            )
            .await
        }
        Err(refusal) => not_let_in(&desk, from, &name, refusal).await,
    }
}

/// `/recordings/ID` and `/recordings/ID.PART`.
pub(super) async fn by_id(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    id: Result<Path<String>, PathRejection>,
    how: Result<Query<How>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let name = id.map(|Path(id)| id).unwrap_or_default();
    let form = Form::of(how.ok().and_then(|Query(how)| how.play).as_deref());
    let viewer = match desk.gate.viewer(&headers, from).await {
        Ok(viewer) => viewer,
        Err(refusal) => return not_let_in(&desk, from, &name, refusal).await,
    };
    let Some((id, part)) = links::which(&name) else {
        let noted = move || desk.note(Event::Download, &viewer.name, from, (shortened(&name), 404, "no id"));
        let _ = spawn_blocking(noted).await;
        return missing();
    };
    send(
        desk,
        Asking { event: Event::Download, viewer: Some(viewer), from, name, remote: None, form },
        Asked::Id(id, part),
        headers,
    )
    .await
}

/// `/r/ID?expires=…&sig=…`: who has the link needs no login.
pub(super) async fn by_link(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    id: Result<Path<String>, PathRejection>,
    signed: Result<Query<Signed>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let name = id.map(|Path(id)| id).unwrap_or_default();
    let signed = signed.map(|Query(signed)| signed).unwrap_or_default();
    match links::check(&desk.link_key, (&name, signed.to.as_deref()), (&signed.expires, &signed.sig)) {
        Ok((id, part)) => {
            let form = Form::of(signed.play.as_deref());
            let asking = Asking { event: Event::Link, viewer: None, from, name, remote: signed.to, form };
            send(desk, asking, Asked::Id(id, part), headers).await
        }
        Err(why) => {
            if why != EXPIRED {
                // guessed: counts as a login that is wrong, so that strangers do not fill the disk with lines
                if let Err(refusal) = desk.gate.is_banned(from, Instant::now()) {
                    return refused(refusal);
                }
                desk.gate.wrong(from, Instant::now());
            }
            let noted = move || desk.note(Event::Link, "", from, (shortened(&name), 403, why));
            let _ = spawn_blocking(noted).await;
            text(StatusCode::FORBIDDEN, format!("403 {why}"))
        }
    }
}

/// Who asks, for the record.
struct Asking {
    event: Event,
    viewer: Option<Viewer>,
    from: std::net::IpAddr,
    name: String,
    /// The remote whose link it is.
    remote: Option<String>,
    form: Form,
}

/// How a file leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is.
    Kept,
    /// As a browser can play it.
    Playable,
}

impl Form {
    fn of(play: Option<&str>) -> Self {
        if play.is_some() { Self::Playable } else { Self::Kept }
    }
}

/// Finds the file, puts on record that it leaves or why not, and answers.
async fn send(desk: Arc<Desk>, asking: Asking, asked: Asked, headers: HeaderMap) -> Response {
    let answered = spawn_blocking(move || {
        let Asking { event, viewer, from, name, remote, form } = asking;
        let found = download::find(&desk, &asked, viewer.as_ref());
        let found = if form == Form::Playable { found.and_then(Found::playable) } else { found };
        // What is decoded is not what the remote was told of.
        let remote = remote.filter(|_| form == Form::Kept);
        let (id, why) = match &found {
            Ok(found) => (Some(found.id), None),
            Err(kept) => (kept.id(), Some(kept.to_string())),
        };
        if let (Err(kept), Some(id)) = (&found, id) {
            tracing::warn!(%id, %kept, "a recording is not served");
        }
        let response = found.map_or_else(
            |kept| kept.answer(),
            |found| {
                let hook = remote.map(|remote| hook(&desk, &found, (remote, from)));
                found.answer(&headers, hook)
            },
        );
        let line = Line {
            event,
            who: viewer.as_ref().map_or("", |viewer| viewer.name.as_str()),
            from,
            what: shortened(&name),
            id: id.map(|id| id.to_string()),
            status: response.status().as_u16(),
            why: why.as_deref(),
        };
        desk.record(&line).map(|()| response)
    });
    match answered.await {
        Ok(Ok(response)) => response,
        _ => text(StatusCode::SERVICE_UNAVAILABLE, "503 This cannot be put on record"),
    }
}

/// What is done when a file has left whole over the link that a remote was told of.
fn hook(desk: &Arc<Desk>, found: &Found, (remote, by): (String, std::net::IpAddr)) -> Hook {
    let (desk, (id, part, sha256, size)) = (Arc::clone(desk), found.facts());
    Box::new(move || receipts::fetched(&desk, &Fetched { id, part, sha256, size, remote, by }))
}

/// Puts a wrong login on record; one who shows nothing is only asked to, and of one who is banned enough is known.
async fn not_let_in(desk: &Arc<Desk>, from: std::net::IpAddr, what: &str, refusal: Refusal) -> Response {
    let response = refused(refusal);
    if !matches!(refusal, Refusal::Nothing | Refusal::Banned(_)) {
        let why = if refusal == Refusal::Other { "a token to deliver with" } else { "wrong login" };
        let (desk, what, status) = (Arc::clone(desk), shortened(what).to_owned(), response.status().as_u16());
        let _ = spawn_blocking(move || desk.note(Event::Login, "", from, (&what, status, why))).await;
    }
    response
}
