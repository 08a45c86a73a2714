//! The other end of a notice: a remote that was told of a recording fetches it over its link, or says by itself that it has it.
//! Above: `pages` for what was fetched, `Receiver`'s routes. Below: `outbox` keeps the receipt, which ends the attempts.
//!
//! `POST /api/receipts` with `{"key","sha256","size","received_at","signature"}`, and `"remote"` where several are told. Where a
//! remote has no key for its receipts, fetching the whole file over the link is as good as a receipt.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::answer::text;
use super::audit::{Event, Line, shortened};
use super::connect::From;
use super::desk::Desk;
use super::intake::{Untaken, short};
use super::links::which;
use super::signed;
use crate::outbox::receipt::{self, Sent};
use crate::outbox::remote::{Policy, Receipt};
use crate::outbox::{Outbox, RecordingId};

/// The remotes that are only told of recordings, and what counts as a receipt of each.
pub type Told = BTreeMap<String, Policy>;

/// What a remote says.
#[derive(Debug, Deserialize)]
struct Said {
    key: String,
    #[serde(default)]
    remote: Option<String>,
    #[serde(flatten)]
    receipt: Receipt,
}

/// The handler.
pub(super) async fn receipt(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    request: Request,
) -> Response {
    let taken = match take(&desk, from, request).await {
        Err(untaken) if untaken.is_nobodys() => return untaken.answer(),
        taken => taken,
    };
    let done = spawn_blocking(move || {
        let (what, status, why) = match &taken {
            Ok((key, true)) => (key.as_str(), 200, None),
            Ok((key, false)) => (key.as_str(), 404, Some("nobody waits for it")),
            Err(untaken) => ("", untaken.status, Some(untaken.why.as_str())),
        };
        let what = shortened(what);
        let _ = desk.record(&Line { event: Event::Receipt, who: "", from, what, id: None, status, why });
        match taken {
            Ok((_, true)) => text(StatusCode::OK, "{}"),
            Ok((_, false)) => Untaken::new(StatusCode::NOT_FOUND, "no remote waits for it").answer(),
            Err(untaken) => untaken.answer(),
        }
    });
    done.await.unwrap_or_else(|_| text(StatusCode::INTERNAL_SERVER_ERROR, "500"))
}

async fn take(desk: &Arc<Desk>, from: IpAddr, request: Request) -> Result<(String, bool), Untaken> {
    signed::program(desk, request.headers(), from)?;
    let headers = request.headers().clone();
    let bytes = short(request.into_body().into_data_stream()).await?;
    signed::checked(desk, &headers, &bytes, from)?;
    let Said { key, remote, receipt } = serde_json::from_slice(&bytes)
        .map_err(|error| Untaken::not_as_sent(format!("the receipt cannot be read: {error}")))?;
    let receipt = receipt.bounded();
    let receipt =
        receipt.ok_or_else(|| Untaken::new(StatusCode::PAYLOAD_TOO_LARGE, "it is longer than any receipt is"))?;
    let said = Said { key, remote, receipt };
    let desk = Arc::clone(desk);
    let kept = spawn_blocking(move || keep(&desk, &said).map(|kept| (said.key, kept))).await;
    kept.map_err(|_| Untaken::new(StatusCode::INTERNAL_SERVER_ERROR, "it could not be kept"))?
}

/// Keeps a receipt for each remote that it counts for; whether there was one.
fn keep(desk: &Desk, said: &Said) -> Result<bool, Untaken> {
    let unknown = || Untaken::new(StatusCode::NOT_FOUND, "there is no such recording");
    let failed = |_| Untaken::new(StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept now");
    let (id, part) = which(&said.key).ok_or_else(unknown)?;
    let manifest = desk.outbox.get(id).map_err(failed)?.ok_or_else(unknown)?;
    let (_, size, sha256) = part.checked_sub(1).and_then(|at| manifest.files().nth(at)).ok_or_else(unknown)?;
    let sent = Sent { key: &said.key, sha256, size };
    if said.remote.is_none() && desk.told.len() > 1 {
        // the one that speaks has it, the others may not
        return Err(Untaken::new(StatusCode::BAD_REQUEST, "several remotes are told: say which has it, as `remote`"));
    }
    let mut kept = false;
    for (remote, policy) in &desk.told {
        if said.remote.as_ref().is_some_and(|named| named != remote) {
            continue;
        }
        if let Err(error) = receipt::check(&said.receipt, &sent, policy) {
            return Err(Untaken::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()));
        }
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        kept |= desk.outbox.keep_receipt((id, part), remote, &said.receipt).map_err(failed)?;
    }
    Ok(kept)
}

/// A file has left whole over its link.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) id: RecordingId,
    pub(super) part: usize,
    pub(super) sha256: String,
    pub(super) size: u64,
    /// Whose link it was.
    pub(super) remote: String,
    pub(super) by: IpAddr,
}

/// Keeps that as a receipt for the remote that was told, unless it signs its receipts; blocks for the disk.
pub(super) fn fetched(desk: &Desk, fetched: &Fetched) {
    let receipt = Outbox::fetched(&fetched.sha256, fetched.size, fetched.by);
    let part = u32::try_from(fetched.part).unwrap_or(u32::MAX);
    let remote = &fetched.remote;
    if desk.told.get(remote).is_some_and(|policy| policy.receipt_key.is_none()) {
        match desk.outbox.keep_receipt((fetched.id, part), remote, &receipt) {
            Ok(true) => tracing::info!(id = %fetched.id, remote, "fetched, so delivered"),
            Ok(false) => {}
            Err(error) => tracing::error!(id = %fetched.id, remote, %error, "that it was fetched cannot be kept"),
        }
    }
}
