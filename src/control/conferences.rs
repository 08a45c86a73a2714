//! What is said on the control socket about conference rooms. The field names are those of `pbx conf ls --json`.
//! Above: `protocol` re-exports them. Below: filled from `call::room`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::calls::{to_milliseconds, to_rfc3339};

/// A conference room (`pbx.rooms/1`, `pbx.room/1`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// Its name.
    pub room: String,
    /// When the first member came.
    #[serde(serialize_with = "to_rfc3339")]
    pub started: Timestamp,
    /// Seconds since then.
    #[serde(serialize_with = "to_milliseconds")]
    pub duration_s: f64,
    /// Who is in it, in the order they came.
    pub members: Vec<MemberInfo>,
}

/// A member of a conference room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Its leg's UUID.
    pub uuid: String,
    /// `SIP/1001-00000001`.
    pub channel: String,
    /// The member's number.
    pub number: String,
    /// The member's name.
    pub name: String,
    /// When it came.
    #[serde(serialize_with = "to_rfc3339")]
    pub entered: Timestamp,
    /// The others do not hear it.
    pub muted: bool,
}

/// Which members of a room something is done to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomTarget {
    /// The room's name.
    pub room: String,
    /// A member's UUID or channel; everybody when absent.
    #[serde(default)]
    pub member: Option<String>,
}

/// Mutes members of a room, or lets them be heard again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomMute {
    /// Whom.
    #[serde(flatten)]
    pub target: RoomTarget,
    /// Whether they are muted from now on.
    pub muted: bool,
}

/// The members to whom it was done (`pbx.room-change/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomChanged {
    /// Their UUIDs.
    pub members: Vec<String>,
}
