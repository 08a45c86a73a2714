//! The handle by which everything above reaches the `sip` task; it never blocks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rsip::{Request, Response, Version};
use tokio::sync::{mpsc, oneshot};

use super::dispatch::{Outlet, outlet};
use super::driver::{self, Driver};
use super::udp::local_ip_towards;
use super::{Arrival, TransportConfig, TransportError};
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::status_code;
use crate::sip::stack::{Command, Counts, RequestId, SessionEvent, SessionId};

/// What handles tell the `sip` task.
pub(super) enum ToDriver {
    Command(Command),
    /// Events of a session that is about to be started go here.
    Open(SessionId, Outlet),
    /// The response to the request of this id goes here.
    Expect(RequestId, oneshot::Sender<Response>),
    /// End all sessions, then the task; its end drops the sender.
    Shutdown(oneshot::Sender<()>),
}

/// Figures of the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages received, over UDP and TCP.
    pub received: u64,
    /// Messages sent, over UDP and TCP.
    pub sent: u64,
    /// Requests dropped unread because their source sends too many.
    pub limited: u64,
    /// Messages that could not be sent.
    pub undeliverable: u64,
    /// Events that a slow leg missed.
    pub events_dropped: u64,
    /// Calls and requests refused because nobody took them.
    pub arrivals_refused: u64,
    /// TCP connections open now.
    pub connections: usize,
}

/// What the `sip` task shows of itself after each turn.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) counts: Counts,
    pub(super) traffic: Traffic,
}

pub(super) struct Shared {
    pub(super) listening: Vec<(Transport, SocketAddr)>,
    pub(super) figures: Mutex<Figures>,
    serial: AtomicU64,
    routes: Mutex<HashMap<IpAddr, IpAddr>>,
}

impl Shared {
    pub(super) fn new(listening: Vec<(Transport, SocketAddr)>) -> Self {
        Self { listening, figures: Mutex::default(), serial: AtomicU64::new(1), routes: Mutex::default() }
    }
}

/// A handle of the `sip` task, cheap to clone. The task ends by [`Sip::shutdown`], or when the last handle is dropped.
#[derive(Clone)]
pub struct Sip {
    pub(super) commands: mpsc::UnboundedSender<ToDriver>,
    pub(super) shared: Arc<Shared>,
}

impl Sip {
    /// Opens the sockets and starts the task on the current runtime. A taken port or a refused address is the error.
    pub async fn start(config: TransportConfig) -> Result<(Self, mpsc::Receiver<Arrival>), TransportError> {
        let (sip, arrivals, driver) = Self::bind(config)?;
        tokio::spawn(driver.run());
        Ok((sip, arrivals))
    }

    /// Opens the sockets on the current runtime and leaves it to the caller to run the task, in a thread of its own if he
    /// likes: the runtime that is current here must be the one that runs it.
    pub fn bind(config: TransportConfig) -> Result<(Self, mpsc::Receiver<Arrival>, Driver), TransportError> {
        driver::bind(config)
    }

    /// Our sockets, with their real ports.
    pub fn listening(&self) -> &[(Transport, SocketAddr)] {
        &self.shared.listening
    }

    /// The hop by which a peer is reached: from the socket of that transport and address family that can send to it.
    pub fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<Hop> {
        let usable = |local: &&(Transport, SocketAddr)| {
            let (kind, address) = **local;
            kind == transport
                && address.is_ipv4() == remote.is_ipv4()
                && (!address.ip().is_loopback() || remote.ip().is_loopback())
        };
        // A socket on the loopback before one on all addresses, if both would do.
        let (_, address) =
            self.shared.listening.iter().filter(usable).min_by_key(|(_, address)| address.ip().is_unspecified())?;
        let ip = if address.ip().is_unspecified() { self.local_ip(remote.ip())? } else { address.ip() };
        Some(Hop { transport, local: SocketAddr::new(ip, address.port()), remote })
    }

    /// Makes an id for `Command::Invite` and opens the way for the session's events; `capacity` of them may wait.
    pub fn session(&self, capacity: usize) -> (SessionId, mpsc::Receiver<SessionEvent>) {
        let id = SessionId(self.new_serial());
        let (outlet, events) = outlet(capacity);
        if let Some(outlet) = outlet {
            self.tell(ToDriver::Open(id, outlet));
        }
        (id, events)
    }

    /// Gives a command; after the task has ended it does nothing.
    pub fn send(&self, command: Command) {
        self.tell(ToDriver::Command(command));
    }

    /// Sends a request outside any session and waits for its final response; 408 or 503 when none comes.
    pub async fn request(&self, hop: Hop, request: Request) -> Response {
        let id = RequestId(self.new_serial());
        let (reply, response) = oneshot::channel();
        self.tell(ToDriver::Expect(id, reply));
        self.send(Command::Request { id, hop, request: Box::new(request) });
        response.await.unwrap_or_else(|_| Response {
            status_code: status_code(503),
            version: Version::V2,
            headers: rsip::Headers::default(),
            body: Vec::new(),
        })
    }

    /// Figures of the stack, as of its last turn.
    pub fn counts(&self) -> Counts {
        self.shared.figures.lock().unwrap_or_else(PoisonError::into_inner).counts
    }

    /// Figures of the sockets, as of the last turn.
    pub fn traffic(&self) -> Traffic {
        self.shared.figures.lock().unwrap_or_else(PoisonError::into_inner).traffic
    }

    /// Ends every session, waits for the answers as long as the configuration grants, and ends the task.
    pub async fn shutdown(self) {
        let (done, ended) = oneshot::channel();
        self.tell(ToDriver::Shutdown(done));
        // An error is the end that is waited for: the task dropped the sender.
        let _ = ended.await;
    }

    fn new_serial(&self) -> u64 {
        self.shared.serial.fetch_add(1, Ordering::Relaxed)
    }

    fn tell(&self, what: ToDriver) {
        // After the task has ended there is nobody to tell, and nothing to be done.
        let _ = self.commands.send(what);
    }

    fn local_ip(&self, remote: IpAddr) -> Option<IpAddr> {
        let mut routes = self.shared.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ip) = routes.get(&remote) {
            return Some(*ip);
        }
        let ip = local_ip_towards(remote)?;
        if routes.len() >= 4_096 {
            routes.clear();
        }
        routes.insert(remote, ip);
        Some(ip)
    }
}
