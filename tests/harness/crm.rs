//! A CRM that takes recordings as a good receiver does, and fails in every way one can: what `rec push` and the server deliver to
//! in tests. Speaks the forms of `[remotes.NAME]`: POST, PUT, tus, S3, OAuth 2.0 tokens, notices; other pages can be added.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};

use super::certs::{Authority, Flaw};
use super::http::{Asked, Connection, Reply};
use super::{bucket, stores};

/// How a request goes wrong; taken one by one from those given to [`StubCrm::fail`].
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// None: this one is served well.
    Good,
    /// This status, with `Retry-After`.
    Status(u16, Option<&'static str>),
    /// The body is read, but nothing is answered.
    Stall,
    /// Refused as soon as its head is there; of the body no more is read than comes by itself.
    Early(u16),
    /// The connection is reset after half of the body.
    ResetHalfWay,
    /// The recording is kept, but the connection dropped without an answer.
    CommitThenDrop,
    /// A receipt with another hash.
    WrongHash,
    /// A receipt with another size.
    WrongSize,
    /// A receipt that somebody else has signed.
    WrongSignature,
    /// `200 OK`, but no receipt.
    NoReceipt,
    /// Somewhere else.
    Redirect(String),
}

/// A recording that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sha256: String,
    pub(crate) manifest: Value,
    /// Requests with this key that were whole.
    pub(crate) sent: u32,
}

/// A page of one's own.
pub(crate) type Page = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// What the stub knows and is told to do.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) stored: BTreeMap<String, Stored>,
    /// Every whole request, without its body.
    pub(crate) asked: Vec<Asked>,
    pub(crate) uploads: Vec<stores::Upload>,
    pub(crate) objects: BTreeMap<String, bucket::Object>,
    /// Uploads in parts that are not whole yet, by their id.
    pub(crate) parts: BTreeMap<String, bucket::Parts>,
    /// How many of them have been begun.
    pub(crate) begun: u32,
    pub(crate) notices: Vec<Value>,
    pub(crate) tokens: u32,
    faults: VecDeque<Fault>,
    authorization: Option<String>,
    signing_key: Option<Vec<u8>>,
    receipt_key: Option<Vec<u8>>,
    pages: Vec<(String, Page)>,
}

/// The stub; gone when dropped.
pub(crate) struct StubCrm {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Mutex<Shared>>,
    connections: Arc<AtomicU64>,
    body_bytes: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for StubCrm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StubCrm {
    /// Plain HTTP on a free port of 127.0.0.1.
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    /// TLS with a certificate of `authority`.
    pub(crate) async fn start_tls(authority: &Authority, flaw: Flaw) -> Self {
        Self::listen(Some(tokio_rustls::TlsAcceptor::from(Arc::new(authority.server(flaw))))).await
    }

    async fn listen(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (connections, body_bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let desk = Desk { shared: Arc::clone(&shared), body_bytes: Arc::clone(&body_bytes) };
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            // dropped with the listener: no connection outlives the stub
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(serve(stream, tls.clone(), desk.clone()));
                while tasks.try_join_next().is_some() {}
            }
        });
        Self { address, scheme, shared, connections, body_bytes, task }
    }

    /// Nobody listens any more when this returns.
    pub(crate) async fn goes(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// `http://127.0.0.1:PORT/PATH`
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The next requests go wrong like this, one each.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// Requests must bring this `Authorization`.
    pub(crate) fn expect_login(&self, authorization: &str) {
        self.lock().authorization = Some(authorization.to_owned());
    }

    /// Recordings must be signed with this key.
    pub(crate) fn expect_signature(&self, key: &str) {
        self.lock().signing_key = Some(key.as_bytes().to_vec());
    }

    /// Receipts are signed with this key.
    pub(crate) fn sign_receipts(&self, key: &str) {
        self.lock().receipt_key = Some(key.as_bytes().to_vec());
    }

    /// Requests whose path begins so are answered by `page`.
    pub(crate) fn page(&self, path: &str, page: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        self.lock().pages.push((path.to_owned(), Arc::new(page)));
    }

    /// The recordings that have arrived, by key.
    pub(crate) fn stored(&self) -> BTreeMap<String, Stored> {
        self.lock().stored.clone()
    }

    /// Every request that arrived whole.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// Connections accepted so far, whatever became of them.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Bytes of request bodies that have arrived.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Desk {
    shared: Arc<Mutex<Shared>>,
    body_bytes: Arc<AtomicU64>,
}

async fn serve(stream: TcpStream, tls: Option<tokio_rustls::TlsAcceptor>, desk: Desk) {
    match tls {
        None => {
            if let Some(stream) = desk.converse(Connection::new(stream)).await {
                reset(&stream);
            }
        }
        Some(tls) => {
            let Ok(stream) = tls.accept(stream).await else { return };
            if let Some(stream) = desk.converse(Connection::new(stream)).await {
                reset(stream.get_ref().0);
            }
        }
    }
}

/// The connection ends with RST when it is dropped.
fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO)).expect("a socket");
}

impl Desk {
    /// Answers requests until the peer goes; the stream where it is to be reset.
    async fn converse<S>(&self, mut connection: Connection<S>) -> Option<S>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        loop {
            let (mut asked, length) = connection.head().await?;
            let fault = self.lock().faults.pop_front().unwrap_or(Fault::Good);
            if let Fault::Early(status) = fault {
                connection.answer(&Reply::status(status).body(b"not now"), false).await?;
                connection.drain(&self.body_bytes).await;
                return None;
            }
            if matches!(fault, Fault::ResetHalfWay) {
                connection.body(length / 2, &self.body_bytes).await?;
                return Some(connection.into_stream());
            }
            asked.body = connection.body(length, &self.body_bytes).await?;
            if matches!(fault, Fault::Stall) {
                connection.wait_for_end().await;
                return None;
            }
            let reply = self.reply(&asked, &fault);
            self.lock().asked.push(Asked { body: Vec::new(), ..asked.clone() });
            if matches!(fault, Fault::CommitThenDrop) {
                return Some(connection.into_stream());
            }
            connection.answer(&reply, asked.method == "HEAD").await?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, asked: &Asked, fault: &Fault) -> Reply {
        match fault {
            Fault::Status(status, after) => {
                let reply = Reply::status(*status).body(b"a fault of the stub");
                return after.map_or(reply.clone(), |after| reply.with("retry-after", after));
            }
            Fault::Redirect(to) => return Reply::status(302).with("location", to),
            _ => {}
        }
        let mut shared = self.lock();
        let page = shared.pages.iter().find(|(path, _)| asked.path().starts_with(path)).map(|(_, page)| page.clone());
        if let Some(page) = page {
            drop(shared);
            return page(asked);
        }
        if asked.path() == "/token" {
            return shared.token(asked);
        }
        if shared.authorization.is_some() && asked.header("authorization") != shared.authorization.as_deref() {
            return Reply::status(401).body(b"who are you?");
        }
        match (asked.method.as_str(), asked.path()) {
            (_, path) if path.starts_with("/tus") => shared.tus(asked),
            (_, path) if path.starts_with("/bucket/") => shared.s3(asked),
            ("POST", "/notice") => shared.notice(asked),
            ("POST" | "PUT", path) if path.starts_with("/api/recordings") => shared.recording(asked, fault),
            _ => Reply::status(404).body(b"no such page"),
        }
    }
}

impl Shared {
    fn notice(&mut self, asked: &Asked) -> Reply {
        let Ok(told) = serde_json::from_slice(&asked.body) else { return Reply::status(400) };
        if !self.is_signed(asked, &asked.body) {
            return Reply::status(401).body(b"the signature is wrong");
        }
        self.notices.push(told);
        Reply::json(202, &json!({ "told": true }))
    }

    fn token(&mut self, asked: &Asked) -> Reply {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let good = match field("grant_type") {
            "client_credentials" => true,
            "refresh_token" => field("refresh_token") == "refresh-me",
            _ => false,
        };
        if !good || field("client_id") != "rec" || field("client_secret") != "oauth-secret" {
            return Reply::json(400, &json!({ "error": "invalid_client" }));
        }
        self.tokens += 1;
        let token = format!("token-{}", self.tokens);
        self.authorization = Some(format!("Bearer {token}"));
        Reply::json(200, &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }))
    }

    fn recording(&mut self, asked: &Asked, fault: &Fault) -> Reply {
        let (audio, json) = match asked.method.as_str() {
            "PUT" => {
                let header = asked.header("x-recording-manifest").unwrap_or("");
                (Some(asked.body.clone()), BASE64_URL_SAFE_NO_PAD.decode(header).ok())
            }
            _ => (asked.part("recording").map(|part| part.bytes), asked.part("manifest").map(|part| part.bytes)),
        };
        let (Some(audio), Some(json)) = (audio, json) else { return Reply::status(400).body(b"a part is missing") };
        if !self.is_signed(asked, &json) {
            return Reply::status(401).body(b"the signature is wrong");
        }
        let Ok(manifest) = serde_json::from_slice(&json) else { return Reply::status(400).body(b"no manifest") };
        let Some(key) = asked.header("idempotency-key").map(str::to_owned) else { return Reply::status(400) };
        if asked.header("x-recording-sha256") != Some(sha256(&audio).as_str()) {
            return Reply::status(400).body(b"the recording was damaged on its way");
        }
        match self.keep(&key, &audio, manifest) {
            Some(receipt) => Reply::json(200, &self.spoiled(&key, receipt, fault)),
            None => Reply::status(409).body(b"another recording came with this key"),
        }
    }

    /// Keeps a recording once; the receipt, unless another one has the key.
    pub(crate) fn keep(&mut self, key: &str, audio: &[u8], manifest: Value) -> Option<Value> {
        let (sha256, size) = (sha256(audio), audio.len());
        let stored =
            self.stored.entry(key.to_owned()).or_insert_with(|| Stored { sha256: sha256.clone(), manifest, sent: 0 });
        if stored.sha256 != sha256 {
            return None;
        }
        stored.sent += 1;
        let at = "2026-11-21T09:00:00Z";
        let mut receipt = json!({ "id": format!("crm-{key}"), "sha256": sha256, "size": size, "received_at": at });
        if let Some(secret) = &self.receipt_key {
            receipt["signature"] = signature(secret, format!("{key}.{at}.{sha256}.{size}").as_bytes()).into();
        }
        Some(receipt)
    }

    fn spoiled(&self, key: &str, mut receipt: Value, fault: &Fault) -> Value {
        match fault {
            Fault::WrongHash => receipt["sha256"] = sha256(key.as_bytes()).into(),
            Fault::WrongSize => receipt["size"] = 1.into(),
            Fault::WrongSignature => receipt["signature"] = signature(b"somebody else", key.as_bytes()).into(),
            Fault::NoReceipt => receipt = json!({ "status": "ok" }),
            _ => {}
        }
        receipt
    }

    /// Standard Webhooks: the key over `id.timestamp.text`, not older than five minutes.
    fn is_signed(&self, asked: &Asked, text: &[u8]) -> bool {
        let Some(key) = &self.signing_key else { return true };
        let header = |name| asked.header(name).unwrap_or("");
        let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let fresh = at.parse::<u64>().is_ok_and(|at| at.abs_diff(now) < 300);
        let whole = [id.as_bytes(), b".", at.as_bytes(), b".", text].concat();
        fresh && header("webhook-signature") == signature(key, &whole)
    }
}

fn signature(key: &[u8], text: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(text);
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
