//! Where a message came from or goes to: transport and both addresses. Used by everything from the stack to the sockets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What carries a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// One message per datagram.
    Udp,
    /// A stream, framed by Content-Length.
    Tcp,
}

impl Transport {
    /// As written in a Via header: `UDP`, `TCP`.
    pub fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// As written in a URI's `transport` parameter: `udp`, `tcp`.
    pub fn uri_name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// The transport of a Via header or a `transport` parameter; `None` for those we do not speak.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp].into_iter().find(|transport| transport.via_name().eq_ignore_ascii_case(name))
    }

    /// Whether it delivers by itself, so that no timer repeats a message on it (RFC 3261 §17.1.1.2).
    pub fn is_reliable(self) -> bool {
        self == Self::Tcp
    }
}

/// One way between us and a peer. A TCP connection is found by its two addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hop {
    /// What carries the messages.
    pub transport: Transport,
    /// Our socket's address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

impl Hop {
    /// Whether the remote address is of one socket: no group, no broadcast, no unspecified address, and a port.
    pub fn is_answerable(self) -> bool {
        !is_crowd(self.remote.ip()) && self.remote.port() != 0
    }
}

/// Whether an address means all hosts, many hosts, or none (threat S13).
pub(crate) fn is_crowd(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_multicast() || ip.is_unspecified() || ip == Ipv4Addr::BROADCAST
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.uri_name(), self.remote)
    }
}
