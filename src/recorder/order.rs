//! What is to be recorded and how, and what came of it: data only.
//! Above: `call::recording`. Below: nothing.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;

use super::names::{Counted, Names};
use super::rate::Rate;
use crate::audio::codec::Codec;

/// Bytes of a file at most, below the 4 GiB that a WAV header can count.
pub const ROLL_AT_BYTES: u64 = 4_294_000_000;

/// A recording that is wanted.
#[derive(Clone, Debug)]
pub struct Order {
    /// The file, under its final name from the first byte on. It must not exist, but for `append`.
    pub path: PathBuf,
    /// Who hands out the names of further files; by itself they are counted: `NAME-2.wav`, ….
    pub names: Arc<dyn Names>,
    /// How the parties share it.
    pub layout: Layout,
    /// What kind of file it is.
    pub container: Container,
    /// How its samples are written, where it is not Ogg Opus.
    pub form: Form,
    /// Samples a second; what is kept as it came has its own, and an existing recording that goes on has what it had.
    pub rate: Rate,
    /// What becomes of what supervisors say.
    pub whispers: Whispers,
    /// Go on at the end of an existing recording of the same form, if there is one.
    pub append: bool,
    /// Bytes at which a further file is begun.
    pub roll_at_bytes: u64,
    /// Begin a further file after this much time, each time.
    pub segment: Option<Duration>,
    /// How loud each party is; only for [`Form::Pcm16`].
    pub levels: Levels,
    /// Nothing is written while the file system has fewer free bytes than this.
    pub floor_bytes: u64,
    /// Told what happens meanwhile; what it does not take is lost.
    pub notices: Option<mpsc::Sender<Notice>>,
}

impl Order {
    /// Both parties side by side in `path`, 16 bit, without supervisors.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            names: Arc::new(Counted),
            layout: Layout::Split,
            container: Container::Wav,
            form: Form::Pcm16,
            rate: Rate::default(),
            whispers: Whispers::LeaveOut,
            append: false,
            roll_at_bytes: ROLL_AT_BYTES,
            segment: None,
            levels: Levels::default(),
            floor_bytes: 0,
            notices: None,
        }
    }
}

/// How the parties share a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The calling party on the left, the answering one on the right.
    Split,
    /// Both in one, each at its full level.
    Mix,
    /// One party alone.
    One(Side),
}

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 16 bit (WAV format 1).
    Pcm16,
    /// The bytes of a G.711 law as they came (WAV formats 6 and 7); what comes in the other law is rewritten in this one.
    AsCame(Codec),
    /// The octets of G.722 as they came, in Matroska with a track for each side; what comes otherwise is encoded. Where several supervisors
    /// share a track one is heard at a time.
    G722,
}

/// What kind of file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Container {
    /// WAV, of samples in a [`Form`]; Matroska, where that is [`Form::G722`].
    #[default]
    Wav,
    /// Ogg with the packets of Opus as they came, in a stream for each side; what comes otherwise is encoded.
    OggOpus,
}

/// What becomes of what supervisors say to the parties. It is never in the parties' own tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whispers {
    /// It is not recorded.
    LeaveOut,
    /// It is on a further track, the last.
    OwnTrack,
}

/// How loud a party is: as it came at 0, 1 and −1, else times the number, or divided by it when it is negative (Asterisk's steps, −4 to 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// What the left party says.
    pub spoken: i8,
    /// What it hears: the right party.
    pub heard: i8,
}

/// What happens to a recording while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Nothing can be written at present: why. Told once until it goes on.
    Failing(String),
    /// It goes on; the lost stretch is a gap.
    GoesOn,
    /// A further file was begun.
    Rolled(PathBuf),
}

/// Why a recording cannot begin.
#[derive(Debug, Error)]
pub enum RecorderError {
    /// The system refused a thread.
    #[error("cannot start the recorder's thread: {0}")]
    Start(#[source] io::Error),
    /// The file cannot be created, opened or written.
    #[error("cannot record into {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file exists, and is not a recording of this form.
    #[error("cannot append to {}: it is not a WAV file of {wanted}", path.display())]
    OtherForm {
        /// The file.
        path: PathBuf,
        /// What it would have to be.
        wanted: String,
    },
    /// Too little space is free.
    #[error("cannot record into {}: {free} bytes are free, fewer than the {floor} that are to stay free", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes that are to stay free.
        floor: u64,
    },
    /// Sound that is kept as it came can neither be mixed nor made louder.
    #[error("sound cannot be kept as it came and be mixed or changed in level")]
    NotAsCame,
    /// Packets and octets are not added to a file that is there.
    #[error("cannot append to {}: sound that is kept as it came in Opus or G.722 has a file of its own", path.display())]
    NotAppended {
        /// The file.
        path: PathBuf,
    },
    /// The recorder has ended.
    #[error("the recorder has ended")]
    Ended,
}

/// Which party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The calling one.
    Left,
    /// The answering one.
    Right,
}

/// Why a stretch of a recording is silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Packets were lost on the network, or came too late.
    Lost,
    /// The party was on hold. What it said meanwhile is there nevertheless, if it came.
    Held,
    /// The party spoke a codec that cannot be decoded.
    Undecodable,
    /// Nothing came for two seconds or more.
    Nothing,
    /// The recorder could not keep up.
    Dropped,
    /// The disk did not take it.
    Disk,
    /// It could not be kept as it came: beside the packets before it, or cut out whole with a pause.
    Unfit,
}

impl Why {
    /// As written in manifests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Held => "held",
            Self::Undecodable => "cannot be decoded",
            Self::Nothing => "nothing came",
            Self::Dropped => "dropped",
            Self::Disk => "disk",
            Self::Unfit => "could not be kept",
        }
    }
}

/// A stretch of one party's track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose.
    pub side: Side,
    /// Where it begins, in ms of the recording's own time.
    pub from_ms: u64,
    /// How long it is.
    pub ms: u64,
    /// Why.
    pub why: Why,
}

/// A stretch of the whole recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins, in ms of the recording's own time.
    pub from_ms: u64,
    /// How long it is; of a pause, how much time was cut out there.
    pub ms: u64,
}

/// A file of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The file.
    pub path: PathBuf,
    /// Samples of each track in it.
    pub frames: u64,
    /// Its size.
    pub bytes: u64,
}

/// Packets of both parties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    /// Taken up.
    pub received: u64,
    /// Never seen.
    pub lost: u64,
    /// Too late for their place, which was silence by then.
    pub late: u64,
}

/// What came of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its files, in order.
    pub files: Vec<Part>,
    /// What kind of files they are.
    pub container: Container,
    /// How samples are written, where they are not in Ogg Opus.
    pub form: Form,
    /// Samples a second.
    pub rate_hz: u32,
    /// Tracks.
    pub channels: u16,
    /// Samples of each track, in all files together.
    pub frames: u64,
    /// Stretches of a party that are not sound, in order of their end; at most [`MOST_GAPS`].
    pub gaps: Vec<Gap>,
    /// Where time was cut out.
    pub pauses: Vec<Span>,
    /// Where silence took the place of sound.
    pub masks: Vec<Span>,
    /// Packets seen.
    pub packets: Packets,
    /// Copies of packets that the recorder did not take in time.
    pub dropped: u64,
    /// The first error of the disk, if there was any.
    pub error: Option<String>,
}

/// Gaps that are listed; further ones are only counted as lost packets.
pub const MOST_GAPS: usize = 4_096;
