//! How media threads and ports are set up, and why they cannot be. Beside: `command`, the words while they run.
//! Above: `call`, `pbx.rs`. Below: `engine`.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

use super::command::PortId;
use crate::audio::codec::Coding;

/// How the media threads are set up.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Address that RTP and RTCP sockets are bound to.
    pub bind: IpAddr,
    /// Port numbers to use, RTP on even ones and RTCP on the next.
    pub ports: RangeInclusive<u16>,
    /// Media threads, at least one.
    pub threads: usize,
    /// Silence on the network after which [`Event::Silent`](super::Event::Silent) is told; zero never tells it.
    pub rtp_timeout: Duration,
    /// How long a closed port whose peer was heard stays bound, so that late packets do not meet the next call.
    pub drain: Duration,
    /// Mean time between RTCP reports (RFC 3550 §6.2 recommends 5 s); zero sends none.
    pub rtcp_interval: Duration,
}

impl Default for MediaConfig {
    /// Loopback, ports 10,000 to 19,999, one thread for two processors.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            bind: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            ports: 10_000..=19_999,
            threads: processors.div_ceil(2),
            rtp_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(2),
            rtcp_interval: Duration::from_secs(5),
        }
    }
}

/// What a port exchanges with its peer, as negotiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Where the description says the peer receives RTP.
    pub remote: SocketAddr,
    /// Where the peer receives RTCP.
    pub rtcp: SocketAddr,
    /// How the sound of both directions is coded.
    pub coding: Coding,
    /// Its payload type.
    pub payload: u8,
    /// Length of the packets we make, in ms (10 to 60, a multiple of 5).
    pub ptime_ms: u32,
    /// Payload type of telephone-events; `None` when not negotiated.
    pub telephone_event: Option<u8>,
    /// Whether we send to the peer.
    pub send: bool,
    /// Whether we listen to the peer.
    pub receive: bool,
    /// The address signalling came from, when it differs from the description's: the peer may be behind a NAT.
    pub nat_source: Option<IpAddr>,
    /// RTCP on the RTP port (RFC 5761).
    pub rtcp_mux: bool,
}

/// A port that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPort {
    /// Its id.
    pub id: PortId,
    /// Where it receives RTP.
    pub rtp: SocketAddr,
}

/// Why media threads or a port could not be started.
#[derive(Debug, Error)]
pub enum MediaError {
    /// No even number with its successor in the range, or no thread.
    #[error("no RTP port fits into {first}-{last}")]
    NoRange {
        /// First number of the range.
        first: u16,
        /// Last number of the range.
        last: u16,
    },
    /// Every number of the range is in use.
    #[error("all RTP ports from {first} to {last} on {bind} are taken")]
    NoPortLeft {
        /// The address.
        bind: IpAddr,
        /// First number of the range.
        first: u16,
        /// Last number of the range.
        last: u16,
    },
    /// The address cannot be bound at all.
    #[error("cannot bind an RTP port on {address}: {source}")]
    Bind {
        /// The address tried.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A thread, queue or timer could not be made.
    #[error("cannot start a media thread: {0}")]
    Start(#[source] std::io::Error),
    /// The system gave no random numbers.
    #[error("no random numbers for an RTP port: {0}")]
    Random(getrandom::Error),
    /// The engine was shut down.
    #[error("the media threads have ended")]
    Ended,
}
