//! Large recordings in a store: sent in parts, each with its own hash, and made one object at the end. A part that has arrived is not
//! sent again, in this attempt or a later one. Above: `s3`. Below: `web`, `xml`.
//!
//! What is kept between attempts is `multipart:BYTES:ID`: the size of the parts, and the store's word for the upload.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};

use super::answer::{Answer, later};
use super::body::Payload;
use super::facts::content_type;
use super::s3::{Call, S3};
use super::sigv4::EMPTY_SHA256;
use super::{DeliveryError, Parcel, Progress, Retry, body, xml};
use crate::outbox::spool::hex;

/// So many parts an upload may have: the stores' own limit.
const MOST_PARTS: u64 = 10_000;

/// Parts told of in one answer, which stays below what is read of one.
const LISTED: u32 = 100;

/// An upload of the same name that was begun so long ago is nobody's any more.
const ABANDONED: Duration = Duration::from_secs(24 * 3_600);

/// What a value in a query keeps as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A recording on its way in parts.
pub(super) struct Multipart<'a> {
    pub(super) s3: &'a S3,
    /// The object's.
    pub(super) name: &'a str,
    pub(super) parcel: &'a Parcel,
    pub(super) progress: &'a dyn Progress,
}

/// An upload that has been begun.
struct Upload {
    id: String,
    part_bytes: u64,
}

/// A part that the store has.
struct Part {
    etag: String,
    bytes: u64,
    /// Base64; where the store tells.
    sha256: Option<String>,
}

/// A stretch of the file.
struct Stretch {
    number: u64,
    from: u64,
    len: u64,
    digest: [u8; 32],
}

impl Upload {
    fn token(&self) -> String {
        format!("multipart:{}:{}", self.part_bytes, self.id)
    }

    fn of_token(token: &str) -> Option<Self> {
        let (bytes, id) = token.strip_prefix("multipart:")?.split_once(':')?;
        let part_bytes = bytes.parse().ok().filter(|bytes| *bytes > 0)?;
        Some(Self { id: id.to_owned(), part_bytes })
    }

    fn query(&self) -> String {
        format!("uploadId={}", utf8_percent_encode(&self.id, KEPT))
    }
}

impl Multipart<'_> {
    /// Sends what is missing and makes it one object; its checksum as a store tells it: that of the parts' checksums, and their number.
    pub(super) async fn send(&self) -> Result<String, DeliveryError> {
        let (upload, there) = match self.resumed().await? {
            Some(found) => found,
            None => (self.begin().await?, BTreeMap::new()),
        };
        let (mut parts, mut whole) = (Vec::new(), Sha256::new());
        for number in 1..=self.parcel.size.div_ceil(upload.part_bytes) {
            let stretch;
            (stretch, whole) = self.stretch(&upload, number, whole).await?;
            let fits = |part: &&Part| {
                let hash_fits = part.sha256.as_ref().is_none_or(|theirs| *theirs == stretch.checksum());
                part.bytes == stretch.len && hash_fits
            };
            let etag = match there.get(&number).filter(fits) {
                Some(part) => part.etag.clone(),
                None => match self.put(&upload, &stretch).await {
                    // The last of it was kept back.
                    Err(_) if self.parcel.has_changed() => return Err(self.changed(&upload).await),
                    put => put?,
                },
            };
            self.progress.resume_at(&upload.token(), stretch.from.saturating_add(stretch.len)).await;
            parts.push((stretch, etag));
        }
        if hex(&whole.finalize()) != self.parcel.sha256 {
            return Err(self.changed(&upload).await);
        }
        self.parcel.found_same();
        self.complete(&upload, &parts).await?;
        let all = parts.iter().fold(Sha256::new(), |hash, (stretch, _)| hash.chain_update(stretch.digest));
        Ok(format!("{}-{}", BASE64_STANDARD.encode(all.finalize()), parts.len()))
    }

    /// Each part is what was read for it; together they are no recording.
    async fn changed(&self, upload: &Upload) -> DeliveryError {
        self.abort(upload).await;
        let what = format!("{}: the file is not what it was when the recording was finished", self.name);
        DeliveryError { what, retry: Retry::Changed }
    }

    /// Gives up what an earlier attempt has begun.
    pub(super) async fn abandon(&self) {
        let begun = self.parcel.resume.as_ref().and_then(|resume| Upload::of_token(&resume.token));
        if let Some(upload) = begun {
            self.abort(&upload).await;
        }
    }

    /// The upload of an earlier attempt with the parts that have arrived; none where the store has forgotten it.
    async fn resumed(&self) -> Result<Option<(Upload, BTreeMap<u64, Part>)>, DeliveryError> {
        let begun = self.parcel.resume.as_ref().and_then(|resume| Upload::of_token(&resume.token));
        let parts_of = |upload: &Upload| self.parcel.size.div_ceil(upload.part_bytes);
        let Some(upload) = begun.filter(|upload| parts_of(upload) <= MOST_PARTS) else { return Ok(None) };
        let last = parts_of(&upload);
        let (mut parts, mut after) = (BTreeMap::new(), 0);
        loop {
            let query = format!("max-parts={LISTED}&part-number-marker={after}&{}", upload.query());
            let answer = self.call(Method::GET, &query, &[], Bytes::new()).await?;
            match answer.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                _ => return Err(self.s3.failure(&answer)),
            }
            let text = String::from_utf8_lossy(&answer.body);
            let before = parts.len();
            for part in xml::all(&text, "Part") {
                let number = |tag| xml::inside(part, tag).and_then(|text| text.trim().parse::<u64>().ok());
                let etag = xml::inside(part, "ETag").map(xml::plain);
                // what is beyond the file's end is of no use, and could go on for ever
                let at = number("PartNumber").filter(|at| (1..=last).contains(at));
                let (Some(at), Some(bytes), Some(etag)) = (at, number("Size"), etag) else { continue };
                let sha256 = xml::inside(part, "ChecksumSHA256").map(xml::plain);
                after = after.max(at);
                parts.insert(at, Part { etag, bytes, sha256 });
            }
            let has_more = xml::inside(&text, "IsTruncated").is_some_and(|word| word.trim() == "true");
            if !has_more || parts.len() == before {
                return Ok(Some((upload, parts)));
            }
        }
    }

    async fn begin(&self) -> Result<Upload, DeliveryError> {
        self.clear_up().await;
        let headers = [
            ("content-type", content_type(&self.parcel.file).to_owned()),
            ("x-amz-checksum-algorithm", "SHA256".to_owned()),
            ("x-amz-meta-recording", self.parcel.key.clone()),
            ("x-amz-meta-sha256", self.parcel.sha256.clone()),
        ];
        let answer = self.call(Method::POST, "uploads=", &headers, Bytes::new()).await?;
        if !answer.status.is_success() {
            return Err(self.s3.failure(&answer));
        }
        let id = xml::inside(&String::from_utf8_lossy(&answer.body), "UploadId").map(xml::plain);
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| answer.unusable("it names no upload (UploadId)"))?;
        let part_bytes = self.s3.part_bytes().max(self.parcel.size.div_ceil(MOST_PARTS));
        let upload = Upload { id, part_bytes };
        self.progress.resume_at(&upload.token(), 0).await;
        Ok(upload)
    }

    /// Aborts uploads of this very name that nobody goes on with: begun by a process that ended before it could note them.
    async fn clear_up(&self) {
        let query = format!("max-uploads={LISTED}&prefix={}&uploads=", utf8_percent_encode(self.name, KEPT));
        let call = Call { method: Method::GET, name: "", query: &query, headers: &[], payload_sha256: EMPTY_SHA256 };
        // Who may write but not list does without.
        let Ok(answer) = self.s3.send(&call, Payload::Empty, None).await else { return };
        if answer.status != StatusCode::OK {
            return;
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        for upload in xml::all(&text, "Upload") {
            let field = |tag| xml::inside(upload, tag).map(xml::plain);
            let begun = field("Initiated").and_then(|time| time.parse::<Timestamp>().ok());
            let age = begun.and_then(|begun| Duration::try_from(Timestamp::now().duration_since(begun)).ok());
            let is_ours = field("Key").as_deref() == Some(self.name) && age.is_some_and(|age| age > ABANDONED);
            if let Some(id) = field("UploadId").filter(|_| is_ours) {
                self.abort(&Upload { id, part_bytes: 1 }).await;
            }
        }
    }

    /// Reads what a part is made of, and goes on with the hash of the whole.
    async fn stretch(
        &self,
        upload: &Upload,
        number: u64,
        mut whole: Sha256,
    ) -> Result<(Stretch, Sha256), DeliveryError> {
        let from = (number - 1).saturating_mul(upload.part_bytes);
        let len = self.parcel.size.saturating_sub(from).min(upload.part_bytes);
        let parcel = self.parcel.clone();
        let read = tokio::task::spawn_blocking(move || -> std::io::Result<([u8; 32], Sha256)> {
            let mut file = parcel.open().map_err(std::io::Error::other)?;
            file.seek(SeekFrom::Start(from))?;
            let (mut file, mut hash, mut piece) = (file.take(len), Sha256::new(), vec![0; 128 * 1024]);
            loop {
                let got = file.read(&mut piece)?;
                let read = piece.get(..got).unwrap_or(&piece);
                if read.is_empty() {
                    return Ok((hash.finalize().into(), whole));
                }
                hash.update(read);
                whole.update(read);
            }
        });
        let read = read.await.map_err(std::io::Error::other).flatten();
        let (digest, whole) =
            read.map_err(|error| later(format!("{}: reading {}: {error}", self.name, self.parcel.file)))?;
        Ok((Stretch { number, from, len, digest }, whole))
    }

    /// Sends a part; its entity tag.
    async fn put(&self, upload: &Upload, stretch: &Stretch) -> Result<String, DeliveryError> {
        let (hash, checksum) = (hex(&stretch.digest), stretch.checksum());
        let query = format!("partNumber={}&{}", stretch.number, upload.query());
        let headers = [("x-amz-checksum-sha256", checksum.clone())];
        let call =
            Call { method: Method::PUT, name: self.name, query: &query, headers: &headers, payload_sha256: &hash };
        let (head, tail, parcel) = (Bytes::new(), Bytes::new(), self.parcel.clone());
        let stretch = body::Stretch { parcel, from: stretch.from, len: stretch.len };
        let payload = Payload::Recording { head, stretch: stretch.into(), tail };
        let answer = self.s3.send(&call, payload, Some(self.progress)).await?;
        if !answer.status.is_success() {
            return Err(self.s3.failure(&answer));
        }
        if answer.header("x-amz-checksum-sha256").is_some_and(|theirs| theirs != checksum) {
            return Err(answer.unusable("the part's checksum is another"));
        }
        match answer.header("etag") {
            Some(etag) => Ok(etag.to_owned()),
            None => Err(answer.unusable("it names no part (ETag)")),
        }
    }

    async fn complete(&self, upload: &Upload, parts: &[(Stretch, String)]) -> Result<(), DeliveryError> {
        let part = |(stretch, etag): &(Stretch, String)| {
            let (number, checksum, etag) = (stretch.number, stretch.checksum(), xml::coded(etag));
            format!(
                "<Part><ChecksumSHA256>{checksum}</ChecksumSHA256><ETag>{etag}</ETag><PartNumber>{number}</PartNumber></Part>"
            )
        };
        let list: String = parts.iter().map(part).collect();
        let text = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{list}</CompleteMultipartUpload>"
        );
        let headers = [("content-type", "application/xml".to_owned())];
        let answer = self.call(Method::POST, &upload.query(), &headers, text.into()).await?;
        // A store that takes its time says 200 before it knows, and what went wrong in the body.
        let is_error = String::from_utf8_lossy(&answer.body).contains("<Error>");
        if answer.status.is_success() && !is_error {
            return Ok(());
        }
        let failure = self.s3.failure(&answer);
        let word = String::from_utf8_lossy(&answer.body).into_owned();
        let word = xml::inside(&word, "Code").unwrap_or_default();
        if matches!(word, "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" | "BadDigest") {
            // what has arrived is of no use: the next attempt begins anew
            self.abort(upload).await;
        }
        Err(later(failure.what))
    }

    async fn abort(&self, upload: &Upload) {
        let aborted = self.call(Method::DELETE, &upload.query(), &[], Bytes::new()).await;
        let is_gone = aborted.is_ok_and(|answer| answer.status.is_success() || answer.status == StatusCode::NOT_FOUND);
        if !is_gone {
            tracing::warn!(object = self.name, "parts of an upload that was given up stay in the store");
        }
    }

    async fn call(
        &self,
        method: Method,
        query: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Answer, DeliveryError> {
        let hash = hex(&Sha256::digest(&body));
        let call = Call { method, name: self.name, query, headers, payload_sha256: &hash };
        self.s3.send(&call, if body.is_empty() { Payload::Empty } else { Payload::Bytes(body) }, None).await
    }
}

impl Stretch {
    fn checksum(&self) -> String {
        BASE64_STANDARD.encode(self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_between_attempts_is_read_again() {
        let upload = Upload { id: "a:b/c+d==".into(), part_bytes: 16 };
        let read = Upload::of_token(&upload.token()).unwrap();
        assert_eq!((read.id.as_str(), read.part_bytes), ("a:b/c+d==", 16));
        assert_eq!(read.query(), "uploadId=a%3Ab%2Fc%2Bd%3D%3D");
        for other in ["", "begun", "multipart:", "multipart:0:x", "multipart:x:y", "http://h/tus/1"] {
            assert!(Upload::of_token(other).is_none(), "{other}");
        }
    }
}
