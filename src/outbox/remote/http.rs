//! One HTTP request for each recording: a form with the audio and JSON (POST), or the audio alone with the manifest in a header
//! (PUT). Above: the table of kinds. Below: `web`.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::answer::{Answer, never};
use super::body::{Payload, Stretch};
use super::facts::{content_type, facts, file_name, short_manifest};
use super::guard::Lookup;
use super::sign::sign;
use super::web::{Ask, Web, render_url, shown_place};
use super::{BEGUN, DeliveryError, Parcel, Progress, Receipt, Remote, RemoteError, exists};
use crate::config::{ReceiptForm, ReceiptSettings, RemoteSettings, RemoteUrl, RequestMethod, RequestSettings, Secret};

/// The manifest in a header stays below this, as servers take 8 KiB of headers.
const HEADER_JSON_BYTES: usize = 4 * 1024;

/// A page that takes recordings.
pub(super) struct Http {
    pub(super) web: Web,
    url: RemoteUrl,
    pub(super) request: RequestSettings,
    receipt: ReceiptSettings,
    pub(super) signing_key: Option<Secret>,
}

impl Http {
    pub(super) fn new(settings: &RemoteSettings, lookup: &Arc<dyn Lookup>) -> Result<Self, RemoteError> {
        let url = settings.request.url.clone().ok_or_else(|| RemoteError::lacks(settings, "url"))?;
        Ok(Self {
            web: Web::new(settings, &url.origin, lookup)?,
            url,
            request: settings.request.clone(),
            receipt: settings.receipt.clone(),
            signing_key: settings.signing_key.clone(),
        })
    }

    async fn run(&self, parcel: &Parcel, progress: &dyn Progress) -> Result<Receipt, DeliveryError> {
        let facts = facts(parcel, None);
        if let Some(receipt) = exists::receipt(self, parcel, &facts).await? {
            return Ok(receipt);
        }
        let ask = self.ask(parcel, &facts)?;
        if self.request.exists_url.is_some() {
            // Attempts are counted anew by `rec retry`, and one that was cut short is not counted; that it was made has to be known.
            progress.resume_at(BEGUN, 0).await;
        }
        let answer = self.web.send(&ask, Some(progress)).await?;
        read_receipt(&self.receipt, &answer)
    }

    fn ask(&self, parcel: &Parcel, facts: &Value) -> Result<Ask, DeliveryError> {
        let method = match self.request.method {
            RequestMethod::Post => Method::POST,
            RequestMethod::Put => Method::PUT,
        };
        let mut ask = Ask::new(method, render_url(&self.url, facts)?);
        ask.header("accept", "application/json")?;
        ask.header("idempotency-key", &parcel.key)?;
        ask.header("x-recording-sha256", &parcel.sha256)?;
        ask.header("x-recording-size", &parcel.size.to_string())?;
        let json = match self.request.method {
            RequestMethod::Put => self.whole_body(&mut ask, parcel)?,
            RequestMethod::Post => self.form(&mut ask, parcel, facts)?,
        };
        own_headers(&self.request, &mut ask, facts)?;
        if let Some(key) = &self.signing_key {
            sign(&mut ask, key, &parcel.key, &json)?;
        }
        Ok(ask)
    }

    /// PUT: the audio is the body. Returns the manifest as it is sent.
    fn whole_body(&self, ask: &mut Ask, parcel: &Parcel) -> Result<Bytes, DeliveryError> {
        let json = short_manifest(parcel, HEADER_JSON_BYTES);
        ask.header("content-type", content_type(&parcel.file))?;
        ask.header("x-recording-manifest", &BASE64_URL_SAFE_NO_PAD.encode(&json))?;
        if let Some(digest) = digest(&parcel.sha256) {
            // RFC 9530 §2: of the content, which here is the file
            ask.header("content-digest", &format!("sha-256=:{digest}:"))?;
        }
        let (head, tail) = (Bytes::new(), Bytes::new());
        ask.payload = Payload::Recording { head, stretch: Stretch::whole(parcel).into(), tail };
        Ok(json.into())
    }

    /// POST: `multipart/form-data` (RFC 7578), small parts first. Returns the JSON part as it is sent.
    fn form(&self, ask: &mut Ask, parcel: &Parcel, facts: &Value) -> Result<Bytes, DeliveryError> {
        // no audio holds it but by a chance of 1 in 2^122, and then its hash tells
        let boundary = format!("wirechief-{}", uuid::Uuid::new_v4().simple());
        ask.header("content-type", &format!("multipart/form-data; boundary={boundary}"))?;
        let mut head = String::new();
        for (name, template) in &self.request.fields {
            let value = template.render(facts).map_err(|why| never(format!("{ask}: field {name}: {why}")))?;
            head.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        let json = match &self.request.body {
            Some(body) => body.render(facts).map_err(|why| never(format!("{ask}: body: {why}")))?.into_bytes(),
            None => parcel.manifest_json.to_vec(),
        };
        let part = &self.request.manifest_part;
        let mut head = head.into_bytes();
        if !part.is_empty() {
            head.extend_from_slice(
                format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"\r\n\
                     Content-Type: application/json\r\n\r\n"
                )
                .as_bytes(),
            );
            head.extend_from_slice(&json);
            head.extend_from_slice(b"\r\n");
        }
        let name = match &self.request.recording_name {
            Some(name) => name.render(facts).map_err(|why| never(format!("{ask}: recording_name: {why}")))?,
            None => file_name(&parcel.file).to_owned(),
        };
        let (part, name) = (&self.request.recording_part, quoted(&name));
        let kind = content_type(&parcel.file);
        head.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{name}\"\r\n\
                 Content-Type: {kind}\r\n\r\n"
            )
            .as_bytes(),
        );
        let tail = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        ask.payload = Payload::Recording { head: head.into(), stretch: Stretch::whole(parcel).into(), tail };
        Ok(json.into())
    }
}

impl Remote for Http {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(self.run(parcel, progress))
    }

    fn place(&self) -> String {
        shown_place(&self.url)
    }

    fn measures(&self) -> bool {
        true
    }
}

/// The headers that the settings add.
pub(super) fn own_headers(request: &RequestSettings, ask: &mut Ask, facts: &Value) -> Result<(), DeliveryError> {
    for (name, template) in &request.headers {
        let value = template.render(facts).map_err(|why| never(format!("{ask}: header {name}: {why}")))?;
        ask.header(name, &value)?;
    }
    Ok(())
}

/// What a page's answer proves. 409 with a receipt: it has the recording already.
pub(super) fn read_receipt(settings: &ReceiptSettings, answer: &Answer) -> Result<Receipt, DeliveryError> {
    let there = answer.status == StatusCode::CONFLICT;
    if !answer.status.is_success() && !there {
        return Err(answer.failure());
    }
    if let Some(receipt) = answer.receipt() {
        return Ok(receipt);
    }
    match (settings.form, &settings.id_pointer) {
        _ if there => Err(answer.failure()),
        (ReceiptForm::Json, _) => Err(answer.unusable("there is no receipt in it")),
        (ReceiptForm::Status, Some(pointer)) => match answer.pointed(pointer) {
            Some(id) => Ok(Receipt { id, ..Receipt::default() }),
            None => Err(answer.unusable(&format!("{pointer} leads to no id in it"))),
        },
        (ReceiptForm::Status, None) => {
            Ok(Receipt { id: answer.pointed("/id").unwrap_or_default(), ..Receipt::default() })
        }
    }
}

/// A hash in hexadecimal as base64.
pub(super) fn digest(sha256: &str) -> Option<String> {
    let pairs = sha256.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    bytes.filter(|bytes| bytes.len() == 32).map(|bytes| BASE64_STANDARD.encode(bytes))
}

/// A file's name between the quotes of a header: what could end them is encoded as browsers do.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => quoted.push_str("%22"),
            '\\' => quoted.push_str("%5C"),
            c if c.is_control() => quoted.push('_'),
            c => quoted.push(c),
        }
    }
    quoted
}
