//! An S3-compatible store: the recording and its manifest as two objects under the recording's name. A large recording goes in parts.
//! Above: the table of kinds. Below: `multipart`, `sigv4`, `web`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};
use url::Url;

use super::answer::{Answer, later, never};
use super::body::{Payload, Stretch};
use super::facts::content_type;
use super::guard::Lookup;
use super::http::digest;
use super::multipart::Multipart;
use super::sigv4::{EMPTY_SHA256, Signed, Signer};
use super::web::{Ask, Web, render_url};
use super::{DeliveryError, Parcel, Progress, Receipt, Remote, RemoteError, Retry, xml};
use crate::config::{Login, RemoteSettings, S3Settings};
use crate::outbox::manifest::manifest_name;
use crate::outbox::spool::hex;

/// What an object's name keeps as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A request to a store, before it is signed.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The object's; empty: the bucket's own.
    pub(super) name: &'a str,
    /// Percent-encoded.
    pub(super) query: &'a str,
    /// Small-letter names.
    pub(super) headers: &'a [(&'a str, String)],
    /// SHA-256 of the body, hexadecimal.
    pub(super) payload_sha256: &'a str,
}

/// A bucket.
pub(super) struct S3 {
    web: Web,
    settings: S3Settings,
    /// Ends with a slash.
    base: Url,
}

impl S3 {
    pub(super) fn new(settings: &RemoteSettings, lookup: &Arc<dyn Lookup>) -> Result<Self, RemoteError> {
        let s3 = settings.s3.clone().ok_or_else(|| RemoteError::lacks(settings, "s3"))?;
        let lacks = |_| RemoteError::lacks(settings, "endpoint");
        let mut base = render_url(&s3.endpoint, &serde_json::Value::Null).map_err(lacks)?;
        let path = base.path().trim_end_matches('/').to_owned();
        if s3.path_style {
            base.set_path(&format!("{path}/{}/", s3.bucket));
        } else {
            let host = format!("{}.{}", s3.bucket, base.host_str().unwrap_or(""));
            base.set_host(Some(&host)).map_err(|_| RemoteError::lacks(settings, "endpoint"))?;
            base.set_path(&format!("{path}/"));
        }
        // its requests are signed, each on its own
        let plain = RemoteSettings { login: Login::None, ..settings.clone() };
        Ok(Self { web: Web::new(&plain, &base, lookup)?, settings: s3, base })
    }

    async fn run(&self, parcel: &Parcel, progress: &dyn Progress) -> Result<Receipt, DeliveryError> {
        let name = format!("{}{}", self.settings.prefix, parcel.file);
        let parts = Multipart { s3: self, name: &name, parcel, progress };
        let there = self.head(&name).await?.map(|answer| self.same(&answer, parcel, None));
        if there.is_some() {
            parts.abandon().await;
        }
        match there {
            Some(there) => there?,
            None if parcel.size > self.part_bytes() => {
                let checksum = parts.send().await?;
                self.look(&name, parcel, Some(&checksum)).await?;
            }
            None => self.put(&name, parcel, progress).await?,
        }
        if parcel.part == 1 {
            self.put_manifest(parcel).await?;
        }
        // what arrived was compared with the hash in the signed request, by the store
        let id = format!("s3://{}/{name}", self.settings.bucket);
        Ok(Receipt { id, sha256: Some(parcel.sha256.clone()), size: Some(parcel.size), ..Receipt::default() })
    }

    /// The size of parts, and of what goes in one piece at most.
    pub(super) fn part_bytes(&self) -> u64 {
        self.settings.part_size
    }

    async fn head(&self, name: &str) -> Result<Option<Answer>, DeliveryError> {
        let headers = [("x-amz-checksum-mode", "ENABLED".to_owned())];
        let call = Call { method: Method::HEAD, name, query: "", headers: &headers, payload_sha256: EMPTY_SHA256 };
        let answer = self.send(&call, Payload::Empty, None).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer)),
            // who may write but not list is told that it is forbidden of names that are not there
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            StatusCode::BAD_REQUEST => {
                // an answer to HEAD has no words for what is wrong, such as the region
                let headers = [("range", "bytes=0-0".to_owned())];
                let call = Call { method: Method::GET, headers: &headers, ..call };
                let told = self.send(&call, Payload::Empty, None).await?;
                Err(self.failure(if told.status.is_success() { &answer } else { &told }))
            }
            _ => Err(self.failure(&answer)),
        }
    }

    /// Looks at what the store has made of a recording.
    async fn look(&self, name: &str, parcel: &Parcel, of_parts: Option<&str>) -> Result<(), DeliveryError> {
        match self.head(name).await? {
            Some(made) => self.same(&made, parcel, of_parts),
            None => Err(later(format!("{}{name}: the object is not there", self.base))),
        }
    }

    /// Whether the object is this recording; an error when it is another. `of_parts`: its checksum when it was made of parts, where
    /// that is known.
    fn same(&self, answer: &Answer, parcel: &Parcel, of_parts: Option<&str>) -> Result<(), DeliveryError> {
        let size = answer.header("content-length").and_then(|text| text.parse::<u64>().ok());
        let noted = answer.header("x-amz-meta-sha256").is_some_and(|noted| noted == parcel.sha256);
        let hash_fits = match (answer.header("x-amz-checksum-sha256"), of_parts) {
            (Some(theirs), Some(ours)) if theirs.contains('-') => theirs == ours && noted,
            // of parts whose size is not known any more: the store has compared each with its own checksum
            (Some(theirs), None) if theirs.contains('-') => noted,
            (Some(theirs), _) => Some(theirs) == digest(&parcel.sha256).as_deref(),
            (None, _) => noted,
        };
        if size == Some(parcel.size) && hash_fits {
            Ok(())
        } else {
            Err(never(format!("{}: another object has this name", answer.asked)))
        }
    }

    async fn put(&self, name: &str, parcel: &Parcel, progress: &dyn Progress) -> Result<(), DeliveryError> {
        let checksum = digest(&parcel.sha256).ok_or_else(|| never(format!("{name}: its hash is no SHA-256")))?;
        let headers = [
            ("content-type", content_type(&parcel.file).to_owned()),
            ("x-amz-checksum-sha256", checksum.clone()),
            ("x-amz-meta-recording", parcel.key.clone()),
            ("x-amz-meta-sha256", parcel.sha256.clone()),
        ];
        let hash = &parcel.sha256;
        let call = Call { method: Method::PUT, name, query: "", headers: &headers, payload_sha256: hash };
        let (head, tail) = (Bytes::new(), Bytes::new());
        let payload = Payload::Recording { head, stretch: Stretch::whole(parcel).into(), tail };
        let answer = self.send(&call, payload, Some(progress)).await?;
        if !answer.status.is_success() {
            return Err(self.failure(&answer));
        }
        match answer.header("x-amz-checksum-sha256") {
            Some(other) if other != checksum => Err(answer.unusable("its checksum is another")),
            Some(_) => Ok(()),
            // an older store: look at what it has made of it
            None => self.look(name, parcel, None).await,
        }
    }

    async fn put_manifest(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        let name = format!("{}{}", self.settings.prefix, manifest_name(&parcel.file));
        let bytes = Bytes::copy_from_slice(&parcel.manifest_json);
        let hash = hex(&Sha256::digest(&bytes));
        let headers = [("content-type", "application/json".to_owned())];
        let call = Call { method: Method::PUT, name: &name, query: "", headers: &headers, payload_sha256: &hash };
        let answer = self.send(&call, Payload::Bytes(bytes), None).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.failure(&answer)) }
    }

    /// Signs a request and sends it.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        payload: Payload,
        progress: Option<&dyn Progress>,
    ) -> Result<Answer, DeliveryError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), utf8_percent_encode(call.name, KEPT)));
        url.set_query(Some(call.query).filter(|query| !query.is_empty()));
        let mut headers = call.headers.to_vec();
        headers.push(("x-amz-content-sha256", call.payload_sha256.to_owned()));
        let S3Settings { access_key_id, secret, region, .. } = &self.settings;
        let signer = Signer { access_key_id, secret, region };
        let (method, payload_sha256) = (call.method.as_str(), call.payload_sha256);
        let signed = Signed { method, url: &url, headers: &headers, payload_sha256 };
        let (time, authorization) = signer.sign(&signed, Timestamp::now());
        let mut ask = Ask::new(call.method.clone(), url);
        headers.push(("x-amz-date", time));
        headers.push(("authorization", authorization));
        for (name, value) in &headers {
            ask.header(name, value)?;
        }
        ask.payload = payload;
        self.web.send(&ask, progress).await
    }

    /// A store's error: its code says more than the status.
    pub(super) fn failure(&self, answer: &Answer) -> DeliveryError {
        let failure = answer.failure();
        let body = String::from_utf8_lossy(&answer.body);
        let inside = |tag: &str| xml::inside(&body, tag).map(|text| super::answer::printable(text.as_bytes()));
        let retry = match inside("Code").as_deref() {
            // damaged on its way, or our clock: nothing is wrong with the recording
            Some(
                "BadDigest"
                | "XAmzContentSHA256Mismatch"
                | "RequestTimeTooSkewed"
                | "RequestTimeout"
                | "IncompleteBody"
                | "AuthorizationHeaderMalformed",
            ) => Retry::Later { after: None },
            _ => failure.retry,
        };
        let region = answer.header("x-amz-bucket-region").map(|region| format!(" (the bucket is in {region})"));
        let what = match (inside("Code"), inside("Message")) {
            (Some(code), message) => {
                let message = message.filter(|words| !words.trim().is_empty()).map(|words| format!(": {words}"));
                format!("{}: {} {code}{}", answer.asked, answer.status.as_u16(), message.unwrap_or_default())
            }
            _ => failure.what,
        };
        DeliveryError { what: format!("{what}{}", region.unwrap_or_default()), retry }
    }
}

impl Remote for S3 {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(self.run(parcel, progress))
    }

    fn place(&self) -> String {
        self.base.to_string()
    }

    fn measures(&self) -> bool {
        true
    }
}
