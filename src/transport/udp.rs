//! UDP sockets of the `sip` task: opened wide enough for bursts, read and written without waiting.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::unreachable;

/// What the kernel is asked to hold for us, in bytes; it gives what it is allowed to.
const KERNEL_BUFFER: usize = 4 << 20;
/// Most messages that wait for a full kernel buffer; more are dropped as the network would.
const BACKLOG: usize = 8_192;
/// Errors read over in one go.
const ERRORS: usize = 16;
/// Most peers whose route is remembered.
const ROUTES: usize = 4_096;

/// One bound socket.
pub(super) struct Udp {
    socket: UdpSocket,
    pub(super) address: SocketAddr,
    backlog: VecDeque<(SocketAddr, Bytes)>,
    /// For a socket bound to all addresses: which of them a peer sees.
    routes: HashMap<IpAddr, IpAddr>,
    unreachable: Vec<SocketAddr>,
}

impl Udp {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?; // the IPv4 socket of the same port is another one
        }
        socket.set_nonblocking(true)?;
        // Smaller buffers than wished for are still buffers.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        unreachable::watch(&socket)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, backlog: VecDeque::new(), routes: HashMap::new(), unreachable: Vec::new() })
    }

    /// Ready when a datagram is there, or when what waited can be sent.
    pub(super) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        let readable = self.socket.poll_recv_ready(context).is_ready();
        let writable = !self.backlog.is_empty() && self.socket.poll_send_ready(context).is_ready();
        if readable || writable { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The next datagram, if one is there.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        for _ in 0..ERRORS {
            match self.socket.try_recv_from(buffer) {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => self.note_unreachable(), // of an earlier datagram; the next read goes on
            }
        }
        None
    }

    /// A peer that an ICMP message says cannot be reached, each once.
    pub(super) fn take_unreachable(&mut self) -> Option<SocketAddr> {
        self.unreachable.pop()
    }

    /// Sends, or keeps for later when the kernel's buffer is full.
    pub(super) fn send(&mut self, to: SocketAddr, bytes: Bytes) -> io::Result<()> {
        if !self.backlog.is_empty() {
            self.keep(to, bytes);
            return Ok(());
        }
        let sent = self.socket.try_send_to(&bytes, to).or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Err(error),
            // It may be about an earlier datagram, to someone else: only the second word counts.
            _ => {
                self.note_unreachable();
                self.socket.try_send_to(&bytes, to)
            }
        });
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.keep(to, bytes);
                Ok(())
            }
            sent => sent.map(drop),
        }
    }

    /// Sends what waited.
    pub(super) fn flush(&mut self) {
        while let Some((to, bytes)) = self.backlog.front() {
            match self.socket.try_send_to(bytes, *to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => drop(self.backlog.pop_front()),
            }
        }
    }

    /// Our address as the peer sees it.
    pub(super) fn local_for(&mut self, remote: IpAddr) -> SocketAddr {
        if !self.address.ip().is_unspecified() {
            return self.address;
        }
        if self.routes.len() >= ROUTES {
            self.routes.clear();
        }
        let ip = *self.routes.entry(remote).or_insert_with(|| local_ip_towards(remote).unwrap_or(self.address.ip()));
        SocketAddr::new(ip, self.address.port())
    }

    fn note_unreachable(&mut self) {
        for _ in 0..ERRORS {
            let Some(peer) = unreachable::next(&self.socket) else { return };
            if !self.unreachable.contains(&peer) {
                self.unreachable.push(peer);
            }
        }
    }

    fn keep(&mut self, to: SocketAddr, bytes: Bytes) {
        if self.backlog.len() < BACKLOG {
            self.backlog.push_back((to, bytes));
        }
    }
}

/// The address of ours that the system would use towards a peer; nothing is sent.
pub(super) fn local_ip_towards(remote: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = std::net::UdpSocket::bind((any, 0)).ok()?;
    probe.connect((remote, 9)).ok()?;
    probe.local_addr().ok().map(|address| address.ip())
}
