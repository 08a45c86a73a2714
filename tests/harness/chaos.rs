//! A bad network in front of a server: a TCP proxy that resets connections, damages bodies and stalls, by a seed.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
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
}

/// The proxy; gone when dropped, with its connections.
pub(crate) struct Chaos {
    pub(crate) address: SocketAddr,
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
}

impl Chaos {
    /// In front of `server`, on a free port of 127.0.0.1; the same seed brings the same weather, connection by connection and request by request.
    pub(crate) async fn start(server: SocketAddr, weather: Weather, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let mut chance = Chance(seed | 1);
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let own = Chance(chance.below(u64::MAX) | 1);
                tasks.spawn(carry(client, server, weather, own));
                while tasks.try_join_next().is_some() {}
            }
        });
        Self { address, task }
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
        let (roll, at) = (self.below(100), usize::try_from(self.below(8_000)).unwrap_or(0));
        if roll < weather.resets {
            if self.below(2) == 0 { Fate::ResetRequest(at) } else { Fate::ResetAnswer }
        } else if roll < weather.resets + weather.damages {
            Fate::Damage(at)
        } else if roll < weather.resets + weather.damages + weather.stalls {
            Fate::Stall(at)
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

async fn carry(client: TcpStream, server: SocketAddr, weather: Weather, mut chance: Chance) {
    let Ok(upstream) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let (fate, between) = (Shared::new(Fate::Spared), Shared::new(true));
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
        let (mut piece, mut passed, mut in_body) = (vec![0; 4096], 0, false);
        while let Ok(got @ 1..) = from_client.read(&mut piece).await {
            if between.get() {
                between.set(false);
                fate.set(chance.fate(weather));
                (passed, in_body) = (0, false);
            }
            match fate.get() {
                Fate::ResetRequest(at) if passed + got > at => return,
                Fate::Stall(at) if passed + got > at => std::future::pending::<()>().await,
                // only bodies: damage of the head would be another question
                Fate::Damage(at) if in_body && passed + got > at => {
                    piece[got / 2] ^= 0x20;
                    fate.set(Fate::Spared);
                }
                _ => in_body = in_body || super::http::find(&piece[..got], b"\r\n\r\n").is_some(),
            }
            passed += got;
            if to_server.write_all(&piece[..got]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = back => {}
        () = forth => {}
    }
    if !matches!(fate.get(), Fate::Spared) {
        socket2::SockRef::from(to_client.as_ref()).set_linger(Some(Duration::ZERO)).expect("a socket");
    }
}
