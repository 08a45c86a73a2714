//! Where both programs send to: takes everything, says so, and costs as little as can be, as it is not what is measured.
//!
//! A thread for each connection; a body that is not encrypted is thrown away by the kernel without a copy. The receipt repeats what the
//! request says of hash and size.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::net::RecvFlags;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const BUFFER_BYTES: usize = 1 << 20;
/// A head is shorter, so that most of a body is still in the kernel when its head has been read.
const HEAD_BYTES: usize = 16 << 10;

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
        }
    }
}

/// A receiver, until this process ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    /// The certificate of its authority.
    authority: Option<PathBuf>,
    seen: Arc<Seen>,
}

struct Seen {
    link: Link,
    taken: AtomicU64,
    /// Of requests, while they are wanted.
    heads: Mutex<Option<Vec<String>>>,
}

/// The link that all connections share: bytes are taken no faster than it would bring them.
struct Link {
    /// None: as fast as they come.
    bytes_a_second: Option<u64>,
    /// When it has brought all that was taken.
    free: Mutex<Instant>,
}

impl Link {
    fn new(megabits: u64) -> Self {
        let bytes_a_second = (megabits > 0).then_some(megabits * 1_000_000 / 8);
        Self { bytes_a_second, free: Mutex::new(Instant::now()) }
    }

    fn brings(&self, bytes: usize) {
        let Some(rate) = self.bytes_a_second else { return };
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // a link that was idle for longer than this has lost that time
        let slack = Duration::from_millis(2);
        let begin = (*free).max(Instant::now().checked_sub(slack).unwrap_or(*free));
        *free = begin + Duration::from_secs_f64(bytes as f64 / rate as f64);
        let until = *free;
        drop(free);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

impl Receiver {
    /// Begins to listen behind a link of so many megabits a second, or of any speed (0); its authority is put into `folder`.
    pub(crate) fn start((transport, megabits): (Transport, u64), folder: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen { link: Link::new(megabits), taken: AtomicU64::new(0), heads: Mutex::new(None) });
        let (authority, tls) = match transport {
            Transport::Plain => (None, None),
            Transport::Tls => {
                let (pem, tls) = certified()?;
                let path = folder.join("ca.pem");
                std::fs::write(&path, pem)?;
                (Some(path), Some(Arc::new(tls)))
            }
        };
        let told = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, seen) = (tls.clone(), Arc::clone(&told));
                // a connection that breaks is counted as what it did not bring
                std::thread::spawn(move || serve(stream, tls, &seen));
            }
        });
        Ok(Self { address, authority, seen })
    }

    /// Where recordings go, without a last `/`.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/recordings", self.address)
    }

    pub(crate) fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// Recordings that have come whole.
    pub(crate) fn taken(&self) -> u64 {
        self.seen.taken.load(Ordering::SeqCst)
    }

    /// From now on keeps the heads of requests.
    pub(crate) fn keeps_heads(&self) {
        *self.seen.heads.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Those kept, and keeps no more.
    pub(crate) fn heads(&self) -> anyhow::Result<Vec<String>> {
        self.seen.heads.lock().unwrap_or_else(PoisonError::into_inner).take().context("no heads were kept")
    }
}

/// The value of a header.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The other end of a connection.
trait Peer: Read + Write {
    /// Takes up to so many bytes, and forgets them; `buffer` may be used for that.
    fn forget(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Peer for TcpStream {
    fn forget(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // of a stream, this takes bytes away without copying them (tcp(7))
        Ok(rustix::net::recv(&*self, buffer, RecvFlags::TRUNC)?.1)
    }
}

impl Peer for StreamOwned<ServerConnection, TcpStream> {
    fn forget(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, seen: &Seen) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => answer(stream, seen),
        Some(tls) => answer(StreamOwned::new(ServerConnection::new(tls)?, stream), seen),
    }
}

/// Takes request after request until the other end closes.
fn answer(mut peer: impl Peer, seen: &Seen) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    // behind a link, small enough for all connections to get their share
    let piece = if seen.link.bytes_a_second.is_some() { BUFFER_BYTES / 16 } else { BUFFER_BYTES };
    loop {
        let (mut there, mut end) = (0, None);
        while end.is_none() {
            let read = peer.read(buffer.get_mut(there..HEAD_BYTES).context("a head too long")?)?;
            if read == 0 {
                return Ok(());
            }
            there += read;
            end = buffer[..there].windows(4).position(|four| four == b"\r\n\r\n");
        }
        let end = end.unwrap_or_default() + 4;
        let head = String::from_utf8(buffer[..end].to_vec())?;
        let length: usize = header(&head, "content-length").context("a length")?.parse()?;
        let mut left = length.saturating_sub(there - end);
        while left > 0 {
            let most = left.min(piece);
            let gone = peer.forget(&mut buffer[..most])?;
            anyhow::ensure!(gone > 0, "cut short");
            seen.link.brings(gone);
            left -= gone;
        }
        let said = |name| header(&head, name).unwrap_or_default();
        let (id, sha256, size) = (said("idempotency-key"), said("x-recording-sha256"), said("x-recording-size"));
        let receipt = format!("{{\"id\":\"{id}\",\"sha256\":\"{sha256}\",\"size\":{size}}}");
        seen.taken.fetch_add(1, Ordering::SeqCst);
        if let Some(heads) = &mut *seen.heads.lock().unwrap_or_else(PoisonError::into_inner) {
            heads.push(head.clone());
        }
        let length = receipt.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        peer.write_all((head + &receipt).as_bytes())?;
        peer.flush()?;
    }
}

/// An authority's certificate, and a server at 127.0.0.1 that it has signed.
fn certified() -> anyhow::Result<(String, ServerConfig)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // a certificate with the name of its authority would be taken for one that has signed itself
    params.distinguished_name.push(DnType::CommonName, "the benchmark's authority");
    let pem = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((pem, config))
}
