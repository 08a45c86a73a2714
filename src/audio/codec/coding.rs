//! What a stream carries: a codec that is decoded here, or one that is only passed on.
//! Above: `media::Stream`, `sdp`, `call`. Below: `Codec` and `Foreign`.

use super::{Codec, Foreign};

/// How the sound of a stream is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// So that it can be turned into samples here, and samples into it.
    Sound(Codec),
    /// So that it can only be passed on.
    Foreign(Foreign),
}

impl From<Codec> for Coding {
    fn from(codec: Codec) -> Self {
        Self::Sound(codec)
    }
}

impl Coding {
    /// G.711 µ-law.
    pub const PCMU: Self = Self::Sound(Codec::Pcmu);
    /// G.711 A-law.
    pub const PCMA: Self = Self::Sound(Codec::Pcma);

    /// What a description means by a name (any case), a clock rate in Hz, and a number of channels.
    pub fn described(name: &str, clock_hz: u32, channels: u8) -> Option<Self> {
        let is_plain = clock_hz == 8_000 && channels < 2;
        match name {
            n if is_plain && n.eq_ignore_ascii_case("PCMU") => Some(Self::PCMU),
            n if is_plain && n.eq_ignore_ascii_case("PCMA") => Some(Self::PCMA),
            n => Foreign::described(n, clock_hz, channels).map(Self::Foreign),
        }
    }

    /// What a payload type means that needs no `rtpmap` (RFC 3551 §6).
    pub fn of_static(payload: u8) -> Option<Self> {
        match payload {
            0 => Some(Self::PCMU),
            8 => Some(Self::PCMA),
            other => Foreign::of_static(other).map(Self::Foreign),
        }
    }

    /// The codec, where there are samples.
    pub fn codec(self) -> Option<Codec> {
        match self {
            Self::Sound(codec) => Some(codec),
            Self::Foreign(_) => None,
        }
    }

    /// Whether it can be turned into samples here, and samples into it.
    pub fn can_be_decoded(self) -> bool {
        self.codec().is_some()
    }

    /// Whether the recorder turns it into samples.
    pub fn can_be_recorded(self) -> bool {
        match self {
            Self::Sound(_) => true,
            Self::Foreign(foreign) => foreign.can_be_recorded(),
        }
    }

    /// Whether what is sent so can be passed on to who speaks `other`, as it is or rewritten.
    pub fn reaches(self, other: Self) -> bool {
        self == other || (self.can_be_decoded() && other.can_be_decoded())
    }

    /// Its name in the settings and in lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sound(Codec::Pcmu) => "ulaw",
            Self::Sound(Codec::Pcma) => "alaw",
            Self::Foreign(foreign) => foreign.word(),
        }
    }

    /// The encoding of SDP's `rtpmap` (RFC 3551 §6): `PCMU/8000`.
    pub fn encoding(self) -> String {
        match self {
            Self::Sound(codec) => format!("{}/8000", codec.name()),
            Self::Foreign(foreign) => foreign.encoding(),
        }
    }

    /// The payload type it is offered with: the static one (RFC 3551 §6), where there is one.
    pub fn payload(self) -> u8 {
        match self {
            Self::Sound(codec) => codec.static_payload(),
            Self::Foreign(foreign) => foreign.payload(),
        }
    }

    /// The clock of its RTP time stamps, in Hz.
    pub fn clock_hz(self) -> u32 {
        match self {
            Self::Sound(_) => 8_000,
            Self::Foreign(foreign) => foreign.clock_hz(),
        }
    }

    /// How many samples at 8 kHz a payload of so many bytes lasts.
    pub fn samples(self, bytes: usize) -> usize {
        match self {
            Self::Sound(_) => bytes,
            Self::Foreign(foreign) => foreign.samples(bytes),
        }
    }
}
