//! A server of recordings in this process, and a client that speaks HTTP as bytes: what it says is what the test wrote.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wirechief::config::{Limits, ServeSettings};
use wirechief::outbox::{Manifest, Outbox};
use wirechief::receiver::{Receiver, Setup};

use crate::harness::PATIENCE;

/// What programs of the test deliver with.
pub(crate) const TOKEN: &str = "a-token-of-the-test";
/// What they read with.
pub(crate) const READER: &str = "another-token-of-the-test";

/// A server that runs until this is dropped.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) outbox: Outbox,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// A setup whose programs show [`TOKEN`] and [`READER`].
pub(crate) fn setup(folder: &Path) -> Setup {
    private(&folder.join("token"), TOKEN.as_bytes());
    private(&folder.join("reader"), READER.as_bytes());
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = ServeSettings {
        bind,
        token_file: Some(folder.join("token")),
        read_token_file: Some(folder.join("reader")),
        ..ServeSettings::default()
    };
    Setup {
        settings,
        state: folder.to_owned(),
        spool: folder.join("recordings"),
        groups: Default::default(),
        limits: Limits { bad_logins: 0, ..Limits::default() },
        told: Default::default(),
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn private(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// One whose setup `change` has changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut setup = setup(folder.path());
        change(&mut setup);
        let outbox = Outbox::open(&setup.spool).unwrap();
        let listener = TcpListener::bind(setup.settings.bind).await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Receiver::open(setup).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(receiver.serve(listener, async move { drop(stopped.await) }));
        Self { folder, outbox, address, stop: Some(stop), server: Some(server) }
    }

    /// A finished recording of these bytes.
    pub(crate) fn record(&self, name: &str, bytes: &[u8]) -> Manifest {
        self.record_as(Manifest::new(name, "2026-11-20T21:00:00Z".parse().unwrap()), bytes)
    }

    pub(crate) fn record_as(&self, manifest: Manifest, bytes: &[u8]) -> Manifest {
        self.outbox.spool().make_folders(&manifest.file).unwrap();
        private(&self.spool(&manifest.file), bytes);
        self.outbox.adopt(manifest).unwrap()
    }

    pub(crate) fn spool(&self, name: &str) -> PathBuf {
        self.outbox.spool().path().join(name)
    }

    /// GET with the token to read with.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.with_headers(path, "").await
    }

    /// GET with the token to read with and further header lines, each ended by CR LF.
    pub(crate) async fn with_headers(&self, path: &str, lines: &str) -> Answer {
        self.ask(format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READER}\r\nConnection: close\r\n{lines}\r\n"
        ))
        .await
    }

    /// GET without any login.
    pub(crate) async fn bare(&self, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    /// Sends bytes, and reads all that comes back.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        ask(self.address, request.as_ref()).await
    }

    /// What was put on record.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.path().join("downloads.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Ends the server, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        let server = self.server.take().expect("a server that runs");
        timeout(PATIENCE, server).await.expect("an end in time").expect("a clean end");
    }
}

pub(crate) async fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // a refusal may close the connection while we still write
        let _ = stream.write_all(request).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        bytes
    };
    let bytes = timeout(PATIENCE + Duration::from_secs(5), asked).await.expect("an answer in time");
    answer(&bytes)
}

fn answer(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head of text");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let mut body = bytes[end + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Answer { status, head, body }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap().trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}

/// A WAV file of 8 kHz PCM16 mono with a tone of so many milliseconds.
pub(crate) fn wav(ms: u32) -> Vec<u8> {
    let samples = 8 * ms;
    let sample = |n: u32| ((f64::from(n) * 0.35).sin() * 9_000.0) as i16;
    let data: Vec<u8> = (0..samples).flat_map(|n| sample(n).to_le_bytes()).collect();
    let size = u32::try_from(data.len()).unwrap();
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + size).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend_from_slice(&8_000_u32.to_le_bytes());
    bytes.extend_from_slice(&16_000_u32.to_le_bytes());
    bytes.extend_from_slice(b"\x02\0\x10\0data");
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&data);
    bytes
}

/// Waits until something holds that nobody tells of.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it holds in time");
}
