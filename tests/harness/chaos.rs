//! A bad network in front of a server: a TCP proxy that resets connections, damages bodies and stalls, by a seed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How bad, in percent of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Reset after some bytes of the request, or of the answer.
    pub(crate) resets: u64,
    /// One byte of a body is another.
    pub(crate) damages: u64,
    /// Nothing goes on after some bytes.
    pub(crate) stalls: u64,
    /// Answered 429, 500 or 503 after some bytes by the line itself, as by a balancer before the server.
    pub(crate) refusals: u64,
    /// How many bytes "some" are at most.
    pub(crate) within: u64,
}

/// Bytes that pass at a time: what a frame of Ethernet carries.
const FRAME: usize = 1_460;

/// The proxy; gone when dropped, with its connections.
pub(crate) struct Chaos {
    pub(crate) address: SocketAddr,
    bodies: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Chaos {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What happens to one request, after so many bytes from the client.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Spared,
    ResetRequest(usize),
    ResetAnswer,
    Damage(usize),
    Stall(usize),
    Refuse(usize, &'static str),
}

impl Chaos {
    /// In front of `server`, on a free port of 127.0.0.1; the same seed brings the same weather, connection by connection and request by request.
    pub(crate) async fn start(server: SocketAddr, weather: Weather, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let bodies = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&bodies);
        let task = tokio::spawn(async move {
            let mut chance = Chance(seed | 1);
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let own = Chance(chance.below(u64::MAX) | 1);
                tasks.spawn(carry(client, server, (weather, own), Arc::clone(&count)));
                while tasks.try_join_next().is_some() {}
            }
        });
        Self { address, bodies, task }
    }

    /// Bytes of requests' bodies that came from clients, whatever became of them.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.bodies.load(Ordering::SeqCst)
    }

    /// `http://127.0.0.1:PORT/PATH`
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Xorshift64: any seed but 0.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    fn fate(&mut self, weather: Weather) -> Fate {
        let (roll, at) = (self.below(100), usize::try_from(self.below(weather.within.max(1))).unwrap_or(0));
        if roll < weather.resets {
            if self.below(2) == 0 { Fate::ResetRequest(at) } else { Fate::ResetAnswer }
        } else if roll < weather.resets + weather.damages {
            Fate::Damage(at)
        } else if roll < weather.resets + weather.damages + weather.stalls {
            Fate::Stall(at)
        } else if roll < weather.resets + weather.damages + weather.stalls + weather.refusals {
            let answers = ["429 Too Many", "500 Broken", "503 Busy"];
            Fate::Refuse(at, answers[usize::try_from(self.below(3)).unwrap_or(0)])
        } else {
            Fate::Spared
        }
    }
}

/// A value that both directions see.
struct Shared<T>(Mutex<T>);

impl<T: Copy> Shared<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    fn get(&self) -> T {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

async fn carry(
    client: TcpStream,
    server: SocketAddr,
    (weather, mut chance): (Weather, Chance),
    bodies: Arc<AtomicU64>,
) {
    let Ok(upstream) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let (fate, between) = (Shared::new(Fate::Spared), Shared::new(true));
    let refused = Shared::new(None);
    let back = async {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(got @ 1..) = from_server.read(&mut piece).await {
            if matches!(fate.get(), Fate::ResetAnswer) || to_client.write_all(&piece[..got]).await.is_err() {
                return;
            }
            between.set(true);
        }
    };
    let forth = async {
        let (mut piece, mut passed, mut head, mut in_body) = (vec![0; FRAME], 0, Vec::new(), false);
        while let Ok(got @ 1..) = from_client.read(&mut piece).await {
            if between.get() {
                between.set(false);
                fate.set(chance.fate(weather));
                (passed, in_body) = (0, false);
                head.clear();
            }
            let was_in_body = in_body;
            if !in_body {
                head.extend_from_slice(&piece[..got]);
            }
            let end = super::http::find(&head, b"\r\n\r\n").filter(|_| !in_body);
            in_body = in_body || end.is_some();
            let of_body = if was_in_body { got } else { end.map_or(0, |end| head.len() - end - 4) };
            bodies.fetch_add(of_body as u64, Ordering::SeqCst);
            let mut good = got;
            match fate.get() {
                Fate::ResetRequest(at) if passed + got > at => good = at - passed.min(at),
                Fate::Stall(at) if passed + got > at => std::future::pending::<()>().await,
                Fate::Refuse(at, status) if in_body && passed + got > at => {
                    refused.set(Some(status));
                    return;
                }
                // only bodies: damage of the head would be another question
                Fate::Damage(at) if was_in_body && passed + got > at => {
                    piece[got / 2] ^= 0x20;
                    fate.set(Fate::Spared);
                }
                _ => {}
            }
            passed += got;
            if to_server.write_all(&piece[..good]).await.is_err() || good < got {
                return;
            }
        }
    };
    tokio::select! {
        () = back => {}
        () = forth => {}
    }
    if let Some(status) = refused.get() {
        let answer = format!("HTTP/1.1 {status}\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = to_client.write_all(answer.as_bytes()).await;
        let _ = to_client.shutdown().await;
        // What comes still is read, so that the answer is not lost by a reset; the sender should stop by itself.
        let mut piece = vec![0; FRAME];
        while let Ok(got @ 1..) = from_client.read(&mut piece).await {
            bodies.fetch_add(got as u64, Ordering::SeqCst);
        }
        return;
    }
    if !matches!(fate.get(), Fate::Spared) {
        socket2::SockRef::from(to_client.as_ref()).set_linger(Some(Duration::ZERO)).expect("a socket");
    }
}
