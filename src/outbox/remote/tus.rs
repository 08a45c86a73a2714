//! Resumable uploads by the tus protocol 1.0 (core, creation, and checksum where the server has it): what has arrived once is not
//! sent again, in this attempt or a later one. Above: the table of kinds. Below: `web`.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use url::Url;

use super::answer::{Answer, later, never};
use super::body::{Payload, Stretch};
use super::facts::{content_type, facts, file_name, short_manifest};
use super::guard::Lookup;
use super::http::read_receipt;
use super::sign::sign;
use super::web::{Ask, Web, render_url, same_host, shown_place, shown_url};
use super::{DeliveryError, Parcel, Progress, Receipt, Remote, RemoteError};
use crate::config::{ReceiptForm, RemoteSettings, RemoteUrl};

/// Bytes of one PATCH: what is sent again at most when a proxy holds requests back until they are whole.
const CHUNK_BYTES: u64 = 8 * 1024 * 1024;

/// The manifest in `Upload-Metadata` stays below this, as servers take 8 KiB of headers.
const METADATA_JSON_BYTES: usize = 3 * 1024;

/// So often one chunk may arrive damaged; each time the next one is a quarter as long.
const CHECKSUM_FAILURES: u32 = 3;

/// tus's own status: the checksum does not match.
const CHECKSUM_MISMATCH: u16 = 460;

/// A server that speaks tus.
pub(super) struct Tus {
    web: Web,
    url: RemoteUrl,
    settings: RemoteSettings,
    /// Asked once for each process.
    checksum: OnceCell<Option<Algorithm>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha1,
}

/// One upload on its way.
struct Upload<'a> {
    tus: &'a Tus,
    url: Url,
    parcel: &'a Parcel,
    facts: &'a Value,
    progress: &'a dyn Progress,
}

/// Where an upload stands.
enum Standing {
    /// So many bytes have arrived.
    At(u64, Answer),
    /// The server knows nothing of it any more.
    Gone,
}

impl Tus {
    pub(super) fn new(settings: &RemoteSettings, lookup: &Arc<dyn Lookup>) -> Result<Self, RemoteError> {
        let url = settings.request.url.clone().ok_or_else(|| RemoteError::lacks(settings, "url"))?;
        let web = Web::new(settings, &url.origin, lookup)?;
        Ok(Self { web, url, settings: settings.clone(), checksum: OnceCell::new() })
    }

    async fn run(&self, parcel: &Parcel, progress: &dyn Progress) -> Result<Receipt, DeliveryError> {
        let facts = facts(parcel, None);
        let base = render_url(&self.url, &facts)?;
        let upload = |url| Upload { tus: self, url, parcel, facts: &facts, progress };
        if let Some(url) = parcel.resume.as_ref().and_then(|resume| self.own_url(&base, &resume.token)) {
            let upload = upload(url);
            if let Standing::At(offset, answer) = upload.standing().await? {
                let receipt = upload.go_on(offset, answer).await?;
                let is_other =
                    receipt.sha256.as_ref().is_some_and(|sha256| !sha256.eq_ignore_ascii_case(&parcel.sha256));
                if !is_other {
                    return Ok(receipt);
                }
                // damaged on its way by an earlier attempt: what has arrived is of no use
            }
        }
        let (url, answer) = self.create(&base, parcel, &facts).await?;
        let begun = answer.header("upload-offset").and_then(|text| text.parse().ok());
        let offset = begun.filter(|offset| *offset <= parcel.size && answer.status == StatusCode::OK).unwrap_or(0);
        progress.resume_at(url.as_str(), offset).await;
        upload(url).go_on(offset, answer).await
    }

    /// The upload's URL, if it is on the remote's own host.
    fn own_url(&self, base: &Url, location: &str) -> Option<Url> {
        base.join(location).ok().filter(|url| same_host(url, &self.url.origin))
    }

    fn ask(&self, method: Method, url: &Url, facts: &Value) -> Result<Ask, DeliveryError> {
        let mut ask = Ask::new(method, url.clone());
        ask.header("tus-resumable", "1.0.0")?;
        for (name, template) in &self.settings.request.headers {
            let value = template.render(facts).map_err(|why| never(format!("{ask}: header {name}: {why}")))?;
            ask.header(name, &value)?;
        }
        Ok(ask)
    }

    async fn create(&self, base: &Url, parcel: &Parcel, facts: &Value) -> Result<(Url, Answer), DeliveryError> {
        let mut ask = self.ask(Method::POST, base, facts)?;
        let manifest = short_manifest(parcel, METADATA_JSON_BYTES);
        let metadata = [
            ("filename", file_name(&parcel.file)),
            ("filetype", content_type(&parcel.file)),
            ("id", parcel.key.as_str()),
            ("sha256", parcel.sha256.as_str()),
            ("manifest", manifest.as_str()),
        ];
        let coded = metadata.map(|(key, value)| format!("{key} {}", BASE64_STANDARD.encode(value)));
        ask.header("upload-metadata", &coded.join(","))?;
        ask.header("upload-length", &parcel.size.to_string())?;
        ask.header("idempotency-key", &parcel.key)?;
        self.sign(&mut ask, manifest.as_bytes())?;
        let answer = self.web.send(&ask, None).await?;
        match answer.status {
            // 200: the server knows the key, where its upload is, and how far
            StatusCode::CREATED | StatusCode::OK => {}
            _ => return Err(answer.failure()),
        }
        let location = answer.header("location").ok_or_else(|| answer.unusable("it names no upload (Location)"))?;
        match self.own_url(base, location) {
            Some(url) => Ok((url, answer)),
            None => {
                let location = super::answer::printable(location.as_bytes());
                Err(later(format!("{ask}: the upload would go to another host, {location}: not followed")))
            }
        }
    }

    /// Signs a request, each as a message of its own: what is repeated within a second is no replay.
    fn sign(&self, ask: &mut Ask, text: &[u8]) -> Result<(), DeliveryError> {
        match &self.settings.signing_key {
            Some(key) => sign(ask, key, &uuid::Uuid::new_v4().to_string(), text),
            None => Ok(()),
        }
    }

    /// The same for a request that goes on with an upload: over its method, the upload's name, and what is sent of it.
    fn sign_on(&self, ask: &mut Ask) -> Result<(), DeliveryError> {
        let name = ask.url.path_segments().and_then(|mut steps| steps.next_back()).unwrap_or_default();
        let value = |name| ask.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let text = format!("{} {name} {} {}", ask.method, value("upload-offset"), value("upload-checksum"));
        self.sign(ask, text.as_bytes())
    }

    /// The best checksum that the server offers.
    async fn algorithm(&self, facts: &Value) -> Result<Option<Algorithm>, DeliveryError> {
        let ask = || async {
            let base = render_url(&self.url, facts)?;
            let answer = self.web.send(&self.ask(Method::OPTIONS, &base, facts)?, None).await?;
            let words = |name| {
                let text = answer.header(name).unwrap_or("").to_ascii_lowercase();
                text.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>()
            };
            let offered = words("tus-checksum-algorithm");
            let has = |word: &str| offered.iter().any(|offered| offered == word);
            Ok::<_, DeliveryError>(match words("tus-extension").iter().any(|word| word == "checksum") {
                true if has("sha256") => Some(Algorithm::Sha256),
                true if has("sha1") => Some(Algorithm::Sha1),
                _ => None,
            })
        };
        self.checksum.get_or_try_init(ask).await.copied()
    }
}

impl Upload<'_> {
    async fn standing(&self) -> Result<Standing, DeliveryError> {
        let mut ask = self.tus.ask(Method::HEAD, &self.url, self.facts)?;
        self.tus.sign_on(&mut ask)?;
        let answer = self.tus.web.send(&ask, None).await?;
        match answer.status {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => return Ok(Standing::Gone),
            _ => return Err(answer.failure()),
        }
        let number = |name| answer.header(name).and_then(|text| text.parse::<u64>().ok());
        let length_fits = number("upload-length").is_none_or(|length| length == self.parcel.size);
        match number("upload-offset") {
            Some(offset) if offset <= self.parcel.size && length_fits => Ok(Standing::At(offset, answer)),
            _ => Ok(Standing::Gone),
        }
    }

    /// Sends what is missing, chunk by chunk.
    async fn go_on(&self, mut offset: u64, mut last: Answer) -> Result<Receipt, DeliveryError> {
        let algorithm = self.tus.algorithm(self.facts).await?;
        let mut damaged = 0;
        while offset < self.parcel.size {
            let most = CHUNK_BYTES >> (2 * damaged);
            let end = offset.saturating_add(most).min(self.parcel.size);
            let answer = self.patch(offset, most, algorithm).await?;
            let arrived = answer.header("upload-offset").and_then(|text| text.parse().ok());
            // who says yes and keeps less would have everything sent again and again
            let less = u32::from(arrived.is_some_and(|arrived: u64| arrived < end));
            let goes_on =
                |arrived| arrived > offset && arrived <= self.parcel.size && damaged + less <= CHECKSUM_FAILURES;
            match (answer.status, arrived) {
                (status, Some(arrived)) if status.is_success() && goes_on(arrived) => {
                    damaged += less;
                    offset = arrived;
                    self.progress.resume_at(self.url.as_str(), offset).await;
                    last = answer;
                }
                (status, _) if status.as_u16() == CHECKSUM_MISMATCH && damaged < CHECKSUM_FAILURES => damaged += 1,
                (StatusCode::CONFLICT, _) if damaged < CHECKSUM_FAILURES => {
                    damaged += 1;
                    match self.standing().await? {
                        Standing::At(arrived, _) => offset = arrived,
                        Standing::Gone => return Err(later(answer.failure().what)),
                    }
                }
                (status, _) if status.is_success() => {
                    return Err(answer.unusable("Upload-Offset is not where it should be"));
                }
                // what went wrong with the upload says nothing against the recording
                _ => return Err(DeliveryError { retry: later("").retry, ..answer.failure() }),
            }
        }
        self.receipt(&last).await
    }

    /// Sends the chunk that begins at `offset`, so many bytes at most.
    async fn patch(&self, offset: u64, most: u64, algorithm: Option<Algorithm>) -> Result<Answer, DeliveryError> {
        let len = self.parcel.size.saturating_sub(offset).min(most);
        let mut ask = self.tus.ask(Method::PATCH, &self.url, self.facts)?;
        ask.header("content-type", "application/offset+octet-stream")?;
        ask.header("upload-offset", &offset.to_string())?;
        if let Some(algorithm) = algorithm {
            let stretch = self.parcel.clone();
            let sum = tokio::task::spawn_blocking(move || algorithm.of(&stretch, offset, len));
            let sum = sum.await.map_err(std::io::Error::other).flatten();
            let sum = sum.map_err(|error| later(format!("{ask}: reading {}: {error}", self.parcel.file)))?;
            ask.header("upload-checksum", &sum)?;
        }
        self.tus.sign_on(&mut ask)?;
        let (head, tail) = (bytes::Bytes::new(), bytes::Bytes::new());
        let stretch = Stretch { parcel: self.parcel.clone(), from: offset, len };
        ask.payload = Payload::Recording { head, stretch: stretch.into(), tail };
        self.tus.web.send(&ask, Some(self.progress)).await
    }

    /// From the last answer, or, where that was lost, from the upload itself.
    async fn receipt(&self, last: &Answer) -> Result<Receipt, DeliveryError> {
        if let Some(receipt) = last.receipt() {
            return Ok(receipt);
        }
        let settings = &self.tus.settings.receipt;
        if settings.form == ReceiptForm::Status {
            return Ok(Receipt { id: shown_url(&self.url), ..Receipt::default() });
        }
        let mut ask = self.tus.ask(Method::GET, &self.url, self.facts)?;
        ask.header("accept", "application/json")?;
        self.tus.sign_on(&mut ask)?;
        read_receipt(settings, &self.tus.web.send(&ask, None).await?)
    }
}

impl Remote for Tus {
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

    /// What an earlier process has sent is judged by the receipt's hash alone: where that is not told, it was measured before.
    fn measures(&self) -> bool {
        self.settings.receipt.form == ReceiptForm::Json
    }
}

impl Algorithm {
    /// `sha256 BASE64` of a stretch of the file.
    fn of(self, parcel: &Parcel, from: u64, len: u64) -> std::io::Result<String> {
        let mut file = parcel.open().map_err(std::io::Error::other)?;
        file.seek(SeekFrom::Start(from))?;
        let mut stretch = file.take(len);
        Ok(match self {
            Self::Sha256 => format!("sha256 {}", BASE64_STANDARD.encode(digest::<Sha256>(&mut stretch)?)),
            Self::Sha1 => format!("sha1 {}", BASE64_STANDARD.encode(digest::<Sha1>(&mut stretch)?)),
        })
    }
}

fn digest<D: Digest>(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut hash = D::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hash.finalize().to_vec()),
            got => hash.update(piece.get(..got).unwrap_or(&piece)),
        }
    }
}
