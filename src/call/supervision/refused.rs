//! Why there is no supervision: in words, as a code for programs, and as a prompt for phones.
//! Above: `pbx` makes faults of it, the dialplan speaks it. The log keeps the code.

use thiserror::Error;

use crate::call::supervision::permission::Refusal;

/// Why there is no supervision.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SpyError {
    /// No live leg has this UUID.
    #[error("no live call has the UUID {0}")]
    NoSuchCall(String),
    /// Of those looked for nobody is in a call that may be heard.
    #[error("there is no call that you may listen to")]
    NobodyThere,
    /// Its leg ended meanwhile.
    #[error("the call ended")]
    Ended,
    /// The supervisor's own.
    #[error("{0} is a leg of your own call: nobody supervises himself")]
    OwnLeg(String),
    /// Its phone is a supervisor's.
    #[error("{0} is the phone of a supervisor, who is listening to another call")]
    Supervisor(String),
    /// It is not answered yet, so there is nothing to hear.
    #[error("call {0} is not answered yet")]
    NoMedia(String),
    /// There is one party only, and the mode needs two.
    #[error("call {0} is not connected to a second party")]
    NotConnected(String),
    /// It is in a conference room.
    #[error("call {uuid} is in conference room {room}: only calls between two parties can be listened to")]
    InRoom {
        /// As asked for.
        uuid: String,
        /// The room.
        room: String,
    },
    /// A party sends what cannot be turned into sound here.
    #[error("a party of call {uuid} uses the codec {codec}, which cannot be decoded here")]
    Codec {
        /// As asked for.
        uuid: String,
        /// The codec.
        codec: String,
    },
    /// Somebody else has taken the agent's place.
    #[error("another supervisor has taken over call {0}")]
    TakenOver(String),
    /// Not allowed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// `agent` or `customer` where both parties, or neither, are users.
    #[error("this call has {0} configured users, so agent and customer are not clear")]
    Ambiguous(usize),
    /// What the supervision was to be like is misspelt or not understood: it may have been meant to protect somebody.
    #[error("a setting of the supervision is not understood: {0}")]
    Setting(String),
    /// It could not be put on record, so it did not happen.
    #[error("the supervision log cannot be written, so nobody may listen: {0}")]
    Log(String),
}

impl SpyError {
    /// The class in one word, for the log, channel variables and scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchCall(_) => "no-such-call",
            Self::NobodyThere => "nobody-there",
            Self::Ended => "ended",
            Self::OwnLeg(_) => "own-leg",
            Self::Supervisor(_) => "supervisor",
            Self::NoMedia(_) => "no-media",
            Self::NotConnected(_) => "not-connected",
            Self::InRoom { .. } => "in-room",
            Self::Codec { .. } => "codec",
            Self::TakenOver(_) => "taken-over",
            Self::Refused(refusal) => refusal.code(),
            Self::Ambiguous(_) => "ambiguous",
            Self::Setting(_) => "setting",
            Self::Log(_) => "log",
        }
    }

    /// The prompt that tells a phone why: `spy/no-such-call`.
    pub fn spoken(&self) -> String {
        format!("spy/{}", self.code())
    }

    /// The call belongs to none of the groups wanted.
    pub(super) fn is_group(&self) -> bool {
        matches!(self, Self::Refused(Refusal::Group))
    }

    /// The same wish may be granted later, as the call goes on.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NoMedia(_) | Self::NotConnected(_) | Self::InRoom { .. } | Self::TakenOver(_))
    }
}
