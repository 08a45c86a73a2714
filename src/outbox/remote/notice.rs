//! The other side is told of a recording and fetches it over a signed link. Above: the table of kinds. Below: `web`, the links.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::answer::never;
use super::body::Payload;
use super::facts::facts;
use super::guard::Lookup;
use super::http::read_receipt;
use super::sign::sign;
use super::web::{Ask, Web, render_url, shown_place};
use super::{DeliveryError, Parcel, Progress, Receipt, Remote, RemoteError, Retry};
use crate::config::{NoticeSettings, ReceiptForm, RemoteSettings, RemoteUrl};
use crate::outbox::link::link_to;

/// After so many seconds another notice goes out, where nobody has fetched.
const AGAIN_S: u64 = 600;

/// A page that wants to be told.
pub(super) struct Notice {
    web: Web,
    url: RemoteUrl,
    settings: RemoteSettings,
    notice: NoticeSettings,
}

impl Notice {
    pub(super) fn new(settings: &RemoteSettings, lookup: &Arc<dyn Lookup>) -> Result<Self, RemoteError> {
        let url = settings.request.url.clone().ok_or_else(|| RemoteError::lacks(settings, "url"))?;
        let notice = settings.notice.clone().ok_or_else(|| RemoteError::lacks(settings, "notice"))?;
        Ok(Self { web: Web::new(settings, &url.origin, lookup)?, url, settings: settings.clone(), notice })
    }

    async fn run(&self, parcel: &Parcel) -> Result<Receipt, DeliveryError> {
        let expires = Timestamp::now()
            .checked_add(jiff::SignedDuration::try_from(self.notice.link_expires).unwrap_or_default())
            .map_err(|error| never(format!("{}: the link's end: {error}", self.place())))?;
        let base = self.notice.link_base.as_str();
        let link = link_to(base, &self.notice.link_key, &parcel.key, expires, &self.settings.name);
        let facts = facts(parcel, Some(&link));
        let mut ask = Ask::new(Method::POST, render_url(&self.url, &facts)?);
        let wrong = |what: &str, why: String| never(format!("{}: {what}: {why}", self.place()));
        let text = match &self.settings.request.body {
            Some(body) => body.render(&facts).map_err(|why| wrong("body", why))?,
            None => json!({
                "id": parcel.manifest.id, "key": parcel.key, "call": parcel.manifest.call,
                "number": parcel.manifest.to, "from": parcel.manifest.from, "direction": parcel.manifest.direction,
                "agent": parcel.manifest.agent, "started": parcel.manifest.started, "ended": parcel.manifest.ended,
                "duration_s": parcel.manifest.audio.duration_s, "file": parcel.file, "size": parcel.size,
                "sha256": parcel.sha256, "link": link, "link_expires": expires,
            })
            .to_string(),
        };
        ask.header("content-type", "application/json")?;
        ask.header("accept", "application/json")?;
        ask.header("idempotency-key", &parcel.key)?;
        for (name, template) in &self.settings.request.headers {
            let value = template.render(&facts).map_err(|why| wrong(name, why))?;
            ask.header(name, &value)?;
        }
        if let Some(key) = &self.settings.signing_key {
            sign(&mut ask, key, &parcel.key, text.as_bytes())?;
        }
        ask.payload = Payload::Bytes(Bytes::from(text));
        let answer = self.web.send(&ask, None).await?;
        // A page that answers with what it was sent has fetched nothing: that names no time and has no signature.
        let proves =
            answer.receipt().is_some_and(|receipt| receipt.received_at.is_some() || receipt.signature.is_some());
        let told = answer.status.is_success() && !proves;
        if told && self.settings.receipt.form == ReceiptForm::Json {
            // told, not fetched: the link's server writes the receipt when it is, which ends the attempts
            let again = std::time::Duration::from_secs(AGAIN_S);
            return Err(DeliveryError { what: format!("{ask}: told, not fetched yet"), retry: Retry::Told { again } });
        }
        read_receipt(&self.settings.receipt, &answer)
    }
}

impl Remote for Notice {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        _progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(self.run(parcel))
    }

    fn place(&self) -> String {
        shown_place(&self.url)
    }
}
