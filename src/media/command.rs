//! The words between a media thread and the rest: commands in, events out, and the facts they carry.
//! Above: `call`. Below: `engine` takes commands, `shard` obeys them.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::copies::Copies;
use super::setup::Stream;
use super::stats::PortStats;
use crate::audio::frame::{FRAME_SAMPLES, Frame};

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

/// 20 ms of what a supervisor hears, at 8 kHz: 160 samples of the left party, 160 of the right, 160 of the other supervisors.
pub type EarFrame = [i16; 3 * FRAME_SAMPLES];

/// A supervisor's ends of sound in the media thread. Frames are 20 ms at 8 kHz.
#[derive(Debug)]
pub struct TapAudio {
    /// What the supervisor hears, a frame every 20 ms from [`Command::Attach`] to [`Command::Detach`]. A full ring drops.
    pub out: rtrb::Producer<EarFrame>,
    /// What the supervisor says, mono.
    pub voice: rtrb::Consumer<Frame>,
    /// Told when a side of the tap becomes empty, and when the tap ends.
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
    /// Puts a supervisor on the ports of a call. From now on it gets a frame every 20 ms until [`Command::Detach`], silence where
    /// nothing is to be heard, whatever happens to the ports. Nothing about the ports changes: a port that is gone, or on another
    /// media thread than `left` (ports of one bridge share one), leaves its side empty, which is told by [`Event::SideEmpty`].
    ///
    /// What a supervisor says to at least one party is also heard, once, by every other tap that shares a port with this one,
    /// whichever side it calls it and whoever came first; except by those that hear nobody (`hears` is [`Sides::NONE`]).
    Attach {
        /// The tap. One of the same id ends.
        tap: TapId,
        /// The party that called.
        left: Option<PortId>,
        /// The party that answered.
        right: Option<PortId>,
        /// Whom the supervisor hears.
        hears: Sides,
        /// Who hears the supervisor.
        heard_by: Sides,
        /// The supervisor's ends.
        audio: TapAudio,
    },
    /// Puts a call on record: from now on every packet of its ports is copied for a recorder until [`Command::Detach`], also while they
    /// are held; what supervisors say to the parties is copied apart from them, and what is played over to a party is not copied.
    /// While a side has no port, what the other side hears from us (prompts, music, its room) is copied in its place. Ports that
    /// are gone, or on another media thread than `left`, leave their side empty, which is told by [`Event::SideEmpty`].
    Record {
        /// The recording; it shares its numbers with taps. One of the same id ends.
        tap: TapId,
        /// The party that called.
        left: Option<PortId>,
        /// The party that answered.
        right: Option<PortId>,
        /// Where the copies go.
        copies: Copies,
    },
    /// Puts a supervisor or a recording on other ports, on whatever media thread they are, as [`Command::Attach`] or [`Command::Record`] would; its rings, its beat and
    /// who hears whom stay. A port that stays goes on without a gap. Nobody new hears what was said before.
    MoveTap {
        /// The tap.
        tap: TapId,
        /// The party that called.
        left: Option<PortId>,
        /// The party that answered.
        right: Option<PortId>,
    },
    /// Changes who hears whom, at once. Who did not hear the supervisor before hears nothing of what was said before: what is
    /// queued is dropped, and so is what comes in the next 110 ms, since it was still on its way from the supervisor's phone.
    SetTap {
        /// The tap.
        tap: TapId,
        /// Whom the supervisor hears.
        hears: Sides,
        /// Who hears the supervisor.
        heard_by: Sides,
    },
    /// Takes a supervisor or a recording off.
    Detach {
        /// The tap.
        tap: TapId,
    },
    /// Makes a port a supervisor's phone: its peer hears the frames of `heard` (all three parts in one, as loud as
    /// [`Command::SetVolume`] says), a steady stream with silence while the ring is empty, and what it says goes into `voice`, a
    /// frame every 20 ms. Keys never sound in `voice`: telephone-events are no sound, and in-band tones are taken out whole; both are
    /// told as [`Event::Digit`]. What the port played stops; it leaves its bridge or room. Ends with [`Command::StopSupervising`],
    /// or when the port is joined, enters a room, echoes or closes; the port then drops both ends.
    Supervise {
        /// The phone.
        port: PortId,
        /// The other end of a tap's [`TapAudio::out`].
        heard: rtrb::Consumer<EarFrame>,
        /// The other end of the same tap's [`TapAudio::voice`].
        voice: rtrb::Producer<Frame>,
    },
    /// Makes a supervisor's phone a port like any other, alone.
    StopSupervising {
        /// The phone.
        port: PortId,
    },
    /// How loud a port's peer hears what it supervises, from now on: as it is at 0, 1 and −1, else times `steps`, or divided by
    /// `-steps` (Asterisk's steps). Kept until it is set again, also before and between supervisions.
    SetVolume {
        /// The phone.
        port: PortId,
        /// −4 to 4; what is beyond is taken for the nearest.
        steps: i8,
    },
    /// Plays over whatever a port's peer hears: its bridge, room, supervision, music on hold, or what plays. Nobody else hears it.
    /// What played over before stops. Ends with [`Event::Played`].
    PlayOver {
        /// The port.
        port: PortId,
        /// Comes back in [`Event::Played`].
        id: PlayId,
        /// The sound.
        source: Source,
    },
    /// Stops what plays over.
    StopPlayOver {
        /// The port.
        port: PortId,
    },
    /// Holds a port: nobody in its bridge or room hears its peer, and its peer hears `music` instead of them. Supervisors hear it and
    /// are heard by it as before. The other party of the bridge hears silence at once, and what is played over to it. Ends with
    /// [`Command::Unhold`], and when the port is joined, enters a room or supervises; parted it stays held.
    Hold {
        /// The port.
        port: PortId,
        /// What its peer hears; silence after its end.
        music: Source,
    },
    /// Ends the hold of a port.
    Unhold {
        /// The port.
        port: PortId,
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
    /// A port of a tap has closed, gone to another media thread, or was not there: its side is silent until the tap is moved.
    SideEmpty {
        /// The tap.
        tap: TapId,
    },
    /// A tap or recording is over: detached, replaced by one of its id, or nobody has the other end of its ring any more.
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
