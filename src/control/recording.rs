//! What is said on the control socket about recordings. The field names are those of `rec start --json` and its like.
//! Above: `protocol` re-exports them. Below: filled from `call::recording`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::calls::to_rfc3339;
use super::protocol::method;

/// What is to become of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordVerb {
    /// A new one begins.
    Start,
    /// They end, and are complete.
    Stop,
    /// Nothing is recorded for a while: the time is cut out.
    Pause,
    /// The end of a pause.
    Resume,
    /// Silence is recorded for a while: the time goes on.
    Mask,
    /// The end of the silence.
    Unmask,
    /// Nothing: they are only told of.
    Look,
}

impl RecordVerb {
    /// The method of each.
    pub const ALL: [(&'static str, Self); 7] = [
        (method::RECORD_START, Self::Start),
        (method::RECORD_STOP, Self::Stop),
        (method::RECORD_PAUSE, Self::Pause),
        (method::RECORD_RESUME, Self::Resume),
        (method::RECORD_MASK, Self::Mask),
        (method::RECORD_UNMASK, Self::Unmask),
        (method::RECORD_LOOK, Self::Look),
    ];

    /// The one that a method asks for.
    pub fn of(asked: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == asked).map(|(_, verb)| *verb)
    }
}

/// Which recordings something is done to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordTarget {
    /// The UUID of an answered leg: all recordings that it can be heard in. But for a start also the id of one recording.
    pub uuid: String,
    /// What a new recording is called, below the spool; as the settings say when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The recordings to which it was done (`rec.record/1`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// As they are now.
    pub recordings: Vec<RecordingInfo>,
}

/// A recording that runs, or has just ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordingInfo {
    /// Its id.
    pub id: String,
    /// The leg that it follows.
    pub uuid: String,
    /// The call that it began in.
    pub call: String,
    /// Its file, relative to the spool; empty as long as it has none.
    pub file: String,
    /// Since when.
    #[serde(serialize_with = "to_rfc3339")]
    pub since: Timestamp,
    /// `announcing`, `recording`, `paused`, `masked`, `finished` or `failed`.
    pub state: String,
}
