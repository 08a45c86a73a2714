//! Sockets for SIP: UDP and TCP, name lookup, and the `sip` task that drives the stack.
//!
//! Above: `call` holds a [`Sip`] handle, takes [`Arrival`]s and sends commands. Below: [`crate::sip::stack::Stack`].
//! `driver` is the task, `udp` and `tcp` are the sockets, `dispatch` brings events to their legs, `limit` guards the door.

mod dispatch;
mod driver;
mod handle;
mod limit;
pub mod resolve;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod unreachable;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rsip::Request;
use tokio::sync::mpsc;

use crate::config::Match;
use crate::sip::hop::{Hop, Transport};
use crate::sip::stack::{RequestId, SessionEvent, SessionId, StackConfig};

pub use driver::Driver;
pub use handle::{Sip, Traffic};

/// What the `sip` task needs to know.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Sockets to open; port 0 takes any.
    pub binds: Vec<(Transport, SocketAddr)>,
    /// Settings of the stack.
    pub stack: StackConfig,
    /// Requests read each second from one source; more are dropped unread. 0 is no limit.
    pub requests_per_second_per_source: u32,
    /// Sources that the limit does not concern.
    pub unlimited: Vec<Match>,
    /// Limits of TCP connections.
    pub tcp: TcpLimits,
    /// Calls and requests that may wait to be taken; more get 503.
    pub arrivals: usize,
    /// How long a shutdown waits for the answers to its BYEs.
    pub grace: Duration,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            binds: Vec::new(),
            stack: StackConfig::default(),
            requests_per_second_per_source: 0,
            unlimited: Vec::new(),
            tcp: TcpLimits::default(),
            arrivals: 4096,
            grace: Duration::from_secs(1),
        }
    }
}

/// Limits of TCP connections (threat S10).
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// Most connections at one time.
    pub connections: usize,
    /// Most connections from one address.
    pub connections_per_source: usize,
    /// How long a message may take to arrive whole, and a new connection to send its first.
    pub message_deadline: Duration,
    /// How long a connection may be silent.
    pub idle_deadline: Duration,
    /// How long connecting, and writing a message, may take.
    pub send_deadline: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            connections_per_source: 4_096,
            message_deadline: Duration::from_secs(10),
            idle_deadline: Duration::from_secs(1_800),
            send_deadline: Duration::from_secs(10),
        }
    }
}

/// Why the sockets could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Another program has this port.
    #[error("{}:{address} is taken by another program", transport.uri_name())]
    Taken {
        /// UDP or TCP.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system refuses this address.
    #[error("cannot listen on {}:{address}: {cause}", transport.uri_name())]
    Bind {
        /// UDP or TCP.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl TransportError {
    fn bind(transport: Transport, address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { transport, address },
            _ => Self::Bind { transport, address, cause },
        }
    }
}

/// What comes to us from outside.
#[derive(Debug)]
pub enum Arrival {
    /// A new call.
    Call {
        /// Its session.
        id: SessionId,
        /// The INVITE, its body taken out.
        request: Box<Request>,
        /// Where it came from.
        hop: Hop,
        /// The offer; without one, our answer carries the offer.
        offer: Option<Bytes>,
        /// What happens in the session from here on; ends after its last event.
        events: mpsc::Receiver<SessionEvent>,
    },
    /// A request outside any call, to be answered with `Command::Respond`.
    Request {
        /// To be named in the answer.
        id: RequestId,
        /// The request.
        request: Box<Request>,
        /// Where it came from.
        hop: Hop,
    },
}
