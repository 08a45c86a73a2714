//! The words between a media thread and the rest: commands in, events out, and the facts they carry.
//! Above: `call`. Below: `engine` takes commands, `shard` obeys them.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::stats::PortStats;
use crate::audio::codec::Codec;
use crate::audio::frame::FRAME_SAMPLES;

/// A leg's end in a media thread. Given by [`Engine::open`](super::Engine::open), never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub(super) u64);

/// One playing of a sound; chosen by whoever plays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlayId(pub u64);

/// A supervisor's end at a bridge; chosen by whoever attaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TapId(pub u64);

/// A room; chosen by whoever makes it, and by it the thread that all of its ports are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoomId(pub u64);

/// How the media threads are set up.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Address that RTP and RTCP sockets are bound to.
    pub bind: IpAddr,
    /// Port numbers to use, RTP on even ones and RTCP on the next.
    pub ports: RangeInclusive<u16>,
    /// Media threads, at least one.
    pub threads: usize,
    /// Silence on the network after which [`Event::Silent`] is told; zero never tells it.
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
    /// The codec of both directions.
    pub codec: Codec,
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

/// What a port can play.
#[derive(Clone, Debug)]
pub enum Source {
    /// Mono samples. At 8 kHz they are played as they are; others are resampled by the caller's thread in `send`.
    Samples {
        /// Samples a second.
        rate_hz: u32,
        /// The sound.
        samples: Arc<[i16]>,
        /// From the start again at the end, until stopped.
        repeat: bool,
    },
    /// Tones and pauses, one after the other.
    Tones {
        /// The steps.
        steps: Arc<[ToneStep]>,
        /// From the first step again after the last, until stopped.
        repeat: bool,
    },
    /// Silence until stopped.
    Silence,
}

/// One step of a tone plan, such as 1 s of 425 Hz.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToneStep {
    /// Up to two tones, in Hz; 0 is none.
    pub hz: [f32; 2],
    /// How long, in ms.
    pub ms: u32,
    /// Level of each tone, in dB relative to full scale.
    pub level_db: f32,
}

/// Two parties of a bridge: which of them something concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// The left party: the one that called.
    pub left: bool,
    /// The right party: the one that answered.
    pub right: bool,
}

impl Sides {
    /// Nobody.
    pub const NONE: Self = Self { left: false, right: false };
    /// The left party.
    pub const LEFT: Self = Self { left: true, right: false };
    /// The right party.
    pub const RIGHT: Self = Self { left: false, right: true };
    /// Both parties.
    pub const BOTH: Self = Self { left: true, right: true };
}

/// A supervisor's ends of sound in the media thread. Frames are 20 ms at 8 kHz.
#[derive(Debug)]
pub struct TapAudio {
    /// What the supervisor hears: 160 samples of the left party, then 160 of the right. A full ring drops.
    pub out: rtrb::Producer<[i16; 2 * FRAME_SAMPLES]>,
    /// What the supervisor says, mono.
    pub voice: rtrb::Consumer<[i16; FRAME_SAMPLES]>,
    /// Told when the tap ends.
    pub events: mpsc::Sender<Event>,
}

/// What a media thread is asked to do. Commands about ports and taps that are gone do nothing.
#[derive(Debug)]
pub enum Command {
    /// Sets or changes what a port exchanges with its peer. The same remote keeps what was learnt about it.
    Configure {
        /// The port.
        port: PortId,
        /// What was negotiated.
        stream: Stream,
    },
    /// Lets two ports hear each other. What they played stops; former bridges are parted.
    Join {
        /// One port.
        a: PortId,
        /// The other.
        b: PortId,
    },
    /// Ends the bridge a port is in.
    Part {
        /// Either port of the bridge.
        port: PortId,
    },
    /// Lets a port hear everybody in a room and be heard by them. What it played stops; it leaves the bridge or room it was in.
    /// The room is made for its first port and gone with its last.
    EnterRoom {
        /// The room.
        room: RoomId,
        /// The port.
        port: PortId,
        /// Whether it only listens.
        muted: bool,
    },
    /// Lets the others in a port's room hear it no longer, or again.
    MuteInRoom {
        /// The port.
        port: PortId,
        /// Whether it only listens.
        muted: bool,
    },
    /// Takes a port out of the room it is in.
    LeaveRoom {
        /// The port.
        port: PortId,
    },
    /// Plays to everybody in a room, over what they say. What played before stops.
    PlayToRoom {
        /// The room.
        room: RoomId,
        /// The sound.
        source: Source,
    },
    /// Plays to a port's peer while it is not bridged; in a room, over what it hears there. What played before stops.
    Play {
        /// The port.
        port: PortId,
        /// Comes back in [`Event::Played`].
        id: PlayId,
        /// The sound.
        source: Source,
    },
    /// Stops what plays on a port.
    StopPlay {
        /// The port.
        port: PortId,
    },
    /// Sends everything a port receives back to it, or ends that.
    Echo {
        /// The port.
        port: PortId,
        /// Whether to echo.
        on: bool,
    },
    /// Tells by [`Event::Sound`] when a port's peer begins and ends to make a sound, or stops telling. Silence is taken for
    /// granted at first.
    TellSound {
        /// The port.
        port: PortId,
        /// Whether to tell.
        on: bool,
    },
    /// Presses keys towards a port's peer (RFC 4733; as tones where events were not negotiated).
    SendDigits {
        /// The port.
        port: PortId,
        /// Comes back in [`Event::Played`].
        id: PlayId,
        /// `0`–`9 * # A`–`D`; `w` waits 500 ms, `W` 1 s; others are skipped.
        digits: String,
        /// Length of a press, in ms.
        tone_ms: u32,
        /// Time between presses, in ms.
        gap_ms: u32,
    },
    /// Puts a supervisor on two ports of one bridge.
    Attach {
        /// The tap.
        tap: TapId,
        /// The party that called.
        left: PortId,
        /// The party that answered.
        right: PortId,
        /// Whom the supervisor hears.
        hears: Sides,
        /// Who hears the supervisor.
        heard_by: Sides,
        /// The supervisor's ends.
        audio: TapAudio,
    },
    /// Changes who hears whom. Voice that was queued before is dropped.
    SetTap {
        /// The tap.
        tap: TapId,
        /// Whom the supervisor hears.
        hears: Sides,
        /// Who hears the supervisor.
        heard_by: Sides,
    },
    /// Takes a supervisor off.
    Detach {
        /// The tap.
        tap: TapId,
    },
    /// Tells what a port has seen so far; no word when it is gone.
    Measure {
        /// The port.
        port: PortId,
        /// Gets the numbers.
        reply: oneshot::Sender<PortStats>,
    },
    /// Closes a port; [`Event::Closed`] follows.
    Close {
        /// The port.
        port: PortId,
    },
}

/// What a media thread tells the owner of a port or tap. An owner that does not keep up misses events.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The peer pressed a key and let it go.
    Digit {
        /// The port.
        port: PortId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How long it was held, in ms.
        ms: u32,
    },
    /// A sound or a row of digits is over.
    Played {
        /// As given.
        id: PlayId,
        /// Whether it was played to its end.
        finished: bool,
    },
    /// Nothing was received for the RTP timeout. Told again after each further timeout, as long as the silence lasts.
    Silent {
        /// The port.
        port: PortId,
    },
    /// The peer began or ended to make a sound; only after [`Command::TellSound`].
    Sound {
        /// The port.
        port: PortId,
        /// It makes one now.
        is_loud: bool,
    },
    /// The peer's address behind a NAT is known; from now on only packets from there are taken.
    Latched {
        /// The port.
        port: PortId,
        /// Where the peer sends from.
        remote: SocketAddr,
    },
    /// A tap is over because one of its ports closed, or could not be attached.
    TapEnded {
        /// The tap.
        tap: TapId,
    },
    /// A port is closed. Its last event.
    Closed {
        /// The port.
        port: PortId,
        /// What it saw.
        stats: PortStats,
    },
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
