//! The sockets of a media thread: one for RTP and one for RTCP a port, connected once the peer's address is sure.
//! Above: `shard`. Beside: `board`, which sends through [`Sockets`] as its [`Wire`].

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect_unspec, socket_with, sockopt};

use super::board::{Seat, Target, Wire};
use super::numbers::Numbers;

/// Receive buffer of a socket: a second of packets. The kernel doubles it for its own bookkeeping.
const BUFFER_BYTES: usize = 32 * 1_024;

/// A port's two sockets. Dropping it gives its number back.
#[derive(Debug)]
pub(super) struct Pair {
    rtp: Plug,
    rtcp: Plug,
    /// RTCP goes through the RTP socket.
    is_muxed: bool,
    /// Whether `epoll` watches it; not before it knows whom to expect.
    is_watched: bool,
    number: u16,
    numbers: Arc<Numbers>,
}

/// A socket and where it sends.
#[derive(Debug)]
struct Plug {
    socket: UdpSocket,
    to: Option<SocketAddr>,
    is_connected: bool,
    /// What was queued before the socket was connected may come from anyone.
    is_settled: bool,
}

/// Which of a port's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Rtp,
    Rtcp,
}

impl Pair {
    /// Binds `number` and the next one.
    ///
    /// # Errors
    ///
    /// What the system says; `AddrInUse` when either is taken.
    pub(super) fn bind(address: IpAddr, number: u16, numbers: &Arc<Numbers>) -> io::Result<Self> {
        let rtp = Plug::bind(SocketAddr::new(address, number))?;
        let rtcp = Plug::bind(SocketAddr::new(address, number + 1))?; // numbers are even
        Ok(Self { rtp, rtcp, is_muxed: false, is_watched: false, number, numbers: Arc::clone(numbers) })
    }

    /// The number of the RTP socket.
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    fn plug(&mut self, which: Which) -> &mut Plug {
        match which {
            Which::Rtp => &mut self.rtp,
            Which::Rtcp => &mut self.rtcp,
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.numbers.give_back(self.number);
    }
}

impl Plug {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = UdpSocket::from(socket_with(family, SocketType::DGRAM, flags, None)?);
        rustix::net::bind(&socket, &address)?;
        sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES)?;
        Ok(Self { socket, to: None, is_connected: false, is_settled: false })
    }

    fn open(&mut self, to: SocketAddr) {
        if self.is_connected {
            // Fails only on a socket that is none.
            let _ = connect_unspec(&self.socket);
        }
        (self.to, self.is_connected, self.is_settled) = (Some(to), false, false);
    }

    fn connect(&mut self, to: SocketAddr) {
        self.is_connected = self.socket.connect(to).is_ok();
        (self.to, self.is_settled) = (Some(to), false);
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, Option<SocketAddr>)> {
        if self.is_connected && self.is_settled {
            return self.socket.recv(buffer).ok().map(|length| (length, None));
        }
        match self.socket.recv_from(buffer) {
            Ok((length, from)) => Some((length, Some(from))),
            Err(error) => {
                self.is_settled |= error.kind() == ErrorKind::WouldBlock;
                None
            }
        }
    }

    fn send(&self, packet: &[u8]) -> io::Result<usize> {
        let once = || match self.to {
            _ if self.is_connected => self.socket.send(packet),
            Some(to) => self.socket.send_to(packet, to),
            None => Err(ErrorKind::NotConnected.into()),
        };
        match once() {
            // The refusal is of an earlier packet; this one has not been sent yet.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => once(),
            sent => sent,
        }
    }
}

/// The sockets of all ports of a thread, by seat.
#[derive(Debug)]
pub(super) struct Sockets {
    epoll: Arc<OwnedFd>,
    pairs: Vec<Option<Pair>>,
    pub(super) sent: u64,
    pub(super) failed: u64,
}

impl Sockets {
    /// None yet; `epoll` will watch them.
    pub(super) fn new(epoll: Arc<OwnedFd>) -> Self {
        Self { epoll, pairs: Vec::new(), sent: 0, failed: 0 }
    }

    /// Puts the sockets of a port on its seat.
    pub(super) fn put(&mut self, seat: Seat, pair: Pair) {
        if self.pairs.len() <= seat.index() {
            self.pairs.resize_with(seat.index() + 1, || None);
        }
        let is_watched = pair.is_watched;
        self.pairs[seat.index()] = Some(pair);
        if is_watched {
            self.watch(seat);
        }
    }

    /// Takes the sockets of a port away to close them, which ends their watch too.
    pub(super) fn close(&mut self, seat: Seat) {
        drop(self.pairs.get_mut(seat.index()).and_then(Option::take));
    }

    /// Takes the sockets of a port away; they are no longer watched.
    pub(super) fn take(&mut self, seat: Seat) -> Option<Pair> {
        let pair = self.pairs.get_mut(seat.index())?.take()?;
        if pair.is_watched {
            let _ = epoll::delete(&self.epoll, &pair.rtp.socket);
            let _ = epoll::delete(&self.epoll, &pair.rtcp.socket);
        }
        Some(pair)
    }

    /// Receives one datagram; where it came from only when the kernel does not see to that.
    pub(super) fn receive(
        &mut self,
        seat: Seat,
        which: Which,
        buffer: &mut [u8],
    ) -> Option<(usize, Option<SocketAddr>)> {
        self.pairs.get_mut(seat.index())?.as_mut()?.plug(which).receive(buffer)
    }

    /// Whether more must be read at once, until nothing is left of before the socket was connected.
    pub(super) fn is_settling(&self, seat: Seat) -> bool {
        let pair = self.pairs.get(seat.index()).and_then(Option::as_ref);
        pair.is_some_and(|pair| pair.rtp.is_connected && !pair.rtp.is_settled)
    }

    fn watch(&self, seat: Seat) {
        let Some(pair) = self.pairs.get(seat.index()).and_then(Option::as_ref) else { return };
        for (which, plug) in [(Which::Rtp, &pair.rtp), (Which::Rtcp, &pair.rtcp)] {
            let data = epoll::EventData::new_u64(token(seat, which));
            // Out of memory or watches: the port stays deaf, and its silence is told.
            let _ = epoll::add(&self.epoll, plug.socket.as_fd(), data, epoll::EventFlags::IN);
        }
    }

    fn with(&mut self, seat: Seat, change: impl FnOnce(&mut Pair)) {
        if let Some(pair) = self.pairs.get_mut(seat.index()).and_then(Option::as_mut) {
            change(pair);
        }
    }
}

/// What `epoll` knows a socket by.
fn token(seat: Seat, which: Which) -> u64 {
    u64::from(seat.0) << 1 | u64::from(which == Which::Rtcp)
}

/// The socket that an `epoll` token names.
pub(super) fn of_token(token: u64) -> (Seat, Which) {
    let which = if token & 1 == 1 { Which::Rtcp } else { Which::Rtp };
    (Seat((token >> 1) as u32), which) // tokens are made of seats
}

impl Wire for Sockets {
    fn send(&mut self, seat: Seat, packet: &[u8]) {
        let Some(pair) = self.pairs.get(seat.index()).and_then(Option::as_ref) else { return };
        match pair.rtp.send(packet) {
            Ok(_) => self.sent += 1,
            Err(_) => self.failed += 1,
        }
    }

    fn send_report(&mut self, seat: Seat, packet: &[u8]) {
        let Some(pair) = self.pairs.get(seat.index()).and_then(Option::as_ref) else { return };
        // A peer without RTCP refuses reports; that is no failure.
        let _ = if pair.is_muxed { pair.rtp.send(packet) } else { pair.rtcp.send(packet) };
    }

    fn aim(&mut self, seat: Seat, target: &Target) {
        let mut begins = false;
        self.with(seat, |pair| {
            if target.nat.is_some() {
                pair.rtp.open(target.rtp);
                pair.rtcp.open(target.rtcp);
            } else {
                pair.rtp.connect(target.rtp);
                pair.rtcp.connect(target.rtcp);
            }
            pair.is_muxed = target.is_muxed;
            begins = !std::mem::replace(&mut pair.is_watched, true);
        });
        if begins {
            self.watch(seat);
        }
    }

    fn lock(&mut self, seat: Seat, remote: SocketAddr) {
        self.with(seat, |pair| pair.rtp.connect(remote));
    }

    fn aim_reports(&mut self, seat: Seat, remote: SocketAddr) {
        self.with(seat, |pair| pair.rtcp.to = Some(remote));
    }
}

impl Pair {
    /// Makes closed sockets keep as little as the kernel allows of what still arrives.
    pub(super) fn drain(&mut self) {
        self.is_watched = false;
        for plug in [&self.rtp, &self.rtcp] {
            let _ = sockopt::set_socket_recv_buffer_size(&plug.socket, 0);
        }
    }
}
