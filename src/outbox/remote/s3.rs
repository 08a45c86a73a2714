//! An S3-compatible store: the recording and its manifest as two objects under the recording's name.
//! Above: the table of kinds. Below: `sigv4`, `web`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};
use url::Url;

use super::answer::{Answer, never};
use super::body::Payload;
use super::facts::content_type;
use super::guard::Lookup;
use super::http::digest;
use super::sigv4::{EMPTY_SHA256, Signed, Signer};
use super::web::{Ask, Web, render_url};
use super::{DeliveryError, Parcel, Progress, Receipt, Remote, RemoteError, Retry};
use crate::config::{Login, RemoteSettings, S3Settings};
use crate::outbox::manifest::manifest_name;
use crate::outbox::spool::hex;

/// The largest object that one PUT makes; recordings are rolled before that.
const LARGEST_PUT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// What an object's name keeps as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

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
        if parcel.size > LARGEST_PUT_BYTES {
            return Err(never(format!("{name}: {} bytes are more than one object takes", parcel.size)));
        }
        let there = match self.head(&name).await? {
            Some(answer) => self.same(&answer, parcel)?,
            None => false,
        };
        if !there {
            self.put(&name, parcel, progress).await?;
        }
        if parcel.part == 1 {
            self.put_manifest(parcel).await?;
        }
        // what arrived was compared with the hash in the signed request, by the store
        let id = format!("s3://{}/{name}", self.settings.bucket);
        Ok(Receipt { id, sha256: Some(parcel.sha256.clone()), size: Some(parcel.size), ..Receipt::default() })
    }

    async fn head(&self, name: &str) -> Result<Option<Answer>, DeliveryError> {
        let headers = [("x-amz-checksum-mode", "ENABLED".to_owned())];
        let ask = self.ask(Method::HEAD, name, &headers, EMPTY_SHA256)?;
        let answer = self.web.send(&ask, None).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer)),
            // who may write but not list is told that it is forbidden of names that are not there
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            _ => Err(self.failure(&answer)),
        }
    }

    /// Whether the object is this recording; an error when it is another.
    fn same(&self, answer: &Answer, parcel: &Parcel) -> Result<bool, DeliveryError> {
        let size = answer.header("content-length").and_then(|text| text.parse::<u64>().ok());
        let checksum = answer.header("x-amz-checksum-sha256").map(str::to_owned);
        let noted = answer.header("x-amz-meta-sha256");
        let hash_fits = match (&checksum, noted) {
            (Some(checksum), _) => Some(checksum) == digest(&parcel.sha256).as_ref(),
            (None, Some(noted)) => noted == parcel.sha256,
            (None, None) => false,
        };
        if size == Some(parcel.size) && hash_fits {
            Ok(true)
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
        let mut ask = self.ask(Method::PUT, name, &headers, &parcel.sha256)?;
        let (head, tail) = (Bytes::new(), Bytes::new());
        ask.payload = Payload::Recording { head, parcel: parcel.clone(), from: 0, len: parcel.size, tail };
        let answer = self.web.send(&ask, Some(progress)).await?;
        if !answer.status.is_success() {
            return Err(self.failure(&answer));
        }
        match answer.header("x-amz-checksum-sha256") {
            Some(other) if other != checksum => Err(answer.unusable("its checksum is another")),
            Some(_) => Ok(()),
            // an older store: look at what it has made of it
            None => match self.head(name).await? {
                Some(made) => self.same(&made, parcel).map(|_| ()),
                None => Err(answer.unusable("the object is not there")),
            },
        }
    }

    async fn put_manifest(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        let name = format!("{}{}", self.settings.prefix, manifest_name(&parcel.file));
        let bytes = Bytes::copy_from_slice(&parcel.manifest_json);
        let hash = hex(&Sha256::digest(&bytes));
        let headers = [("content-type", "application/json".to_owned())];
        let mut ask = self.ask(Method::PUT, &name, &headers, &hash)?;
        ask.payload = Payload::Bytes(bytes);
        let answer = self.web.send(&ask, None).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.failure(&answer)) }
    }

    fn ask(
        &self,
        method: Method,
        name: &str,
        headers: &[(&str, String)],
        payload_sha256: &str,
    ) -> Result<Ask, DeliveryError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), utf8_percent_encode(name, KEPT)));
        let mut headers = headers.to_vec();
        headers.push(("x-amz-content-sha256", payload_sha256.to_owned()));
        let S3Settings { access_key_id, secret, region, .. } = &self.settings;
        let signer = Signer { access_key_id, secret, region };
        let signed = Signed { method: method.as_str(), url: &url, headers: &headers, payload_sha256 };
        let (time, authorization) = signer.sign(&signed, Timestamp::now());
        let mut ask = Ask::new(method, url);
        headers.push(("x-amz-date", time));
        headers.push(("authorization", authorization));
        for (name, value) in &headers {
            ask.header(name, value)?;
        }
        Ok(ask)
    }

    /// A store's error: its code says more than the status.
    fn failure(&self, answer: &Answer) -> DeliveryError {
        let failure = answer.failure();
        let body = String::from_utf8_lossy(&answer.body);
        let inside = |tag: &str| {
            let rest = body.split_once(&format!("<{tag}>"))?.1;
            rest.split_once(&format!("</{tag}>")).map(|(text, _)| super::answer::printable(text.as_bytes()))
        };
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
                let message = message.unwrap_or_default();
                format!("{}: {} {code}: {message}", answer.asked, answer.status.as_u16())
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
}
