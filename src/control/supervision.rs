//! What is said on the control socket about a spy session: modes, parties, facts, and its audio.
//! Above: `server`, `client`, and the listening post (`crate::spy`). Who hears whom is decided below, in `call`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::call::supervision::{Hear, Mode, Party, Side, walk::Order};

/// Samples of one 20 ms frame of one party, at 8 kHz.
pub const FRAME_SAMPLES: usize = 160;
/// A heard frame: 160 samples of party A, 160 of party B, 160 of the other supervisors.
pub type HeardFrame = [i16; 3 * FRAME_SAMPLES];
/// A spoken frame: 160 samples, mono.
pub type VoiceFrame = [i16; FRAME_SAMPLES];

/// What a party is to the house.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A configured user talking with someone who is none.
    Agent,
    /// Talks with an agent.
    Customer,
    /// Both or neither party are users.
    #[default]
    Unknown,
    /// Nobody is there.
    Absent,
}

/// Whom to listen to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpyTarget {
    /// The leg with this UUID: its party is the target. The session ends with it.
    Uuid(String),
    /// The call of an extension. The session ends with it.
    Exten(String),
    /// The call of a user.
    User {
        /// The user's name; what stands behind an `@` does not matter.
        user: String,
        /// And after it the next one, and so on, until the supervisor leaves.
        #[serde(default)]
        follow: bool,
    },
    /// One call after the other, until the supervisor leaves.
    All {
        /// In this order.
        #[serde(default)]
        order: Order,
    },
}

/// What parties hear when somebody begins to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Announce {
    /// What the settings demand.
    None,
    /// A short tone.
    Beep,
}

/// Asks for a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpyRequest {
    /// Whom to listen to.
    pub target: SpyTarget,
    /// The mode to begin in, with each new target again.
    #[serde(default)]
    pub mode: Mode,
    /// Who is whispered to; the target when absent.
    #[serde(default)]
    pub to: Option<Party>,
    /// Who is heard.
    #[serde(default)]
    pub hear: Hear,
    /// A ceiling for this session, never above the permission.
    #[serde(default)]
    pub max_mode: Option<Mode>,
    /// Only calls of one of these groups; of any when empty.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Wait for a call, or for its answer, where there is none yet.
    #[serde(default)]
    pub wait: bool,
    /// More of an announcement than the settings demand.
    #[serde(default)]
    pub announce: Option<Announce>,
    /// Why, for the log.
    #[serde(default)]
    pub reason: Option<String>,
}

impl SpyRequest {
    /// To listen to both parties of somebody's call.
    pub fn new(target: SpyTarget) -> Self {
        Self {
            target,
            mode: Mode::Listen,
            to: None,
            hear: Hear::Both,
            max_mode: None,
            groups: Vec::new(),
            wait: false,
            announce: None,
            reason: None,
        }
    }
}

/// Asks for another mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChange {
    /// The new mode.
    pub mode: Mode,
    /// Who is whispered to; the target when absent.
    #[serde(default)]
    pub to: Option<Party>,
}

/// Asks for other sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HearChange {
    /// The sides to hear.
    pub hear: Hear,
}

/// One party of a spied call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyFacts {
    /// Which side it is.
    pub side: Side,
    /// What it is to the house.
    pub role: Role,
    /// The UUID of its leg; empty where nobody is.
    #[serde(default)]
    pub uuid: String,
    /// Its number.
    pub number: String,
    /// Its name, may be empty.
    pub name: String,
    /// Its phone has put the call on hold.
    #[serde(default)]
    pub held: bool,
}

impl PartyFacts {
    /// Nobody on that side.
    pub fn nobody(side: Side) -> Self {
        let empty = String::new;
        Self { side, role: Role::Absent, uuid: empty(), number: empty(), name: empty(), held: false }
    }
}

/// Where the target is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpyState {
    /// It talks with the peer.
    #[default]
    Call,
    /// It is alone: in the dialplan, or between two calls.
    Alone,
    /// In a conference room: nobody is heard.
    Room,
    /// Where it may not be heard, for now.
    Apart,
    /// In a call with a codec that cannot be decoded here: nobody is heard until it is another.
    Undecodable,
    /// There is no target: a call is waited for.
    Waiting,
}

/// A session as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpyFacts {
    /// The session's own UUID; another one with each target.
    pub session: String,
    /// The call's: that of its calling leg.
    pub call: String,
    /// Where the target is.
    #[serde(default)]
    pub state: SpyState,
    /// The party whose UUID was given.
    pub target: PartyFacts,
    /// Its other half.
    pub peer: PartyFacts,
    /// The mode in force.
    pub mode: Mode,
    /// Who is, or would be, whispered to.
    pub to: Side,
    /// Who was asked to be heard.
    pub hear: Hear,
    /// The sides that are heard now.
    #[serde(default)]
    pub hears: Vec<Side>,
    /// The sides that hear the supervisor now.
    #[serde(default)]
    pub talks: Vec<Side>,
    /// The highest right: up to barge, which takeover needs as well.
    pub allowed: Mode,
}

impl SpyFacts {
    /// The party on that side.
    pub fn party(&self, side: Side) -> &PartyFacts {
        if self.target.side == side { &self.target } else { &self.peer }
    }
}

/// What the server tells within a session by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpyWord {
    /// Parties, state or mode are others now.
    Facts(Box<SpyFacts>),
    /// The session is over.
    Ended(SpyEnd),
}

/// A running session, as others see it (`spy.ls/1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpyInfo {
    /// By whose right: a user, or `admin`.
    pub who: String,
    /// The way in: `socket`, `dialplan`, `code`, `originate`.
    pub via: String,
    /// From where: account and user id, or the channel.
    pub from: String,
    /// Since when.
    pub since: Timestamp,
    /// Why, in the supervisor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whom, and how.
    #[serde(flatten)]
    pub facts: SpyFacts,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpyEnd {
    /// The class.
    pub why: EndedBecause,
    /// One line for people.
    pub message: String,
}

/// The classes of ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBecause {
    /// The call is over.
    CallEnded,
    /// The right was withdrawn.
    Denied,
    /// The server stops.
    Stopping,
}

/// The bytes of a heard frame: s16le.
pub fn heard_bytes(frame: &HeardFrame) -> Vec<u8> {
    frame.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// A heard frame from its bytes; `None` when the length is another.
pub fn heard_frame(bytes: &[u8]) -> Option<HeardFrame> {
    samples(bytes)
}

/// The bytes of a spoken frame: s16le.
pub fn voice_bytes(frame: &VoiceFrame) -> Vec<u8> {
    frame.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// A spoken frame from its bytes; `None` when the length is another.
pub fn voice_frame(bytes: &[u8]) -> Option<VoiceFrame> {
    samples(bytes)
}

fn samples<const N: usize>(bytes: &[u8]) -> Option<[i16; N]> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; N] = pairs.try_into().ok()?;
    Some(pairs.map(i16::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_wire_and_other_lengths_are_refused() {
        let heard: HeardFrame = std::array::from_fn(|at| i16::try_from(at).unwrap() - 160);
        assert_eq!(heard_frame(&heard_bytes(&heard)), Some(heard));
        assert_eq!(heard_bytes(&heard).len(), 960);
        assert_eq!(voice_frame(&[0; 320]), Some([0; 160]));
        assert_eq!(voice_frame(&[0; 319]), None);
        assert_eq!(heard_frame(&[0; 640]), None);
        assert_eq!(heard_frame(&[]), None);
    }

    #[test]
    fn a_request_needs_no_more_than_its_target() {
        for (text, target) in [
            (r#"{"target":{"uuid":"U"}}"#, SpyTarget::Uuid("U".into())),
            (r#"{"target":{"exten":"1001"}}"#, SpyTarget::Exten("1001".into())),
            (
                r#"{"target":{"user":{"user":"1001","follow":true}}}"#,
                SpyTarget::User { user: "1001".into(), follow: true },
            ),
            (r#"{"target":{"all":{"order":"oldest"}}}"#, SpyTarget::All { order: Order::Oldest }),
        ] {
            assert_eq!(serde_json::from_str::<SpyRequest>(text).unwrap(), SpyRequest::new(target));
        }
    }

    #[test]
    fn modes_rise() {
        assert!(Mode::Listen < Mode::Whisper && Mode::Whisper < Mode::Barge && Mode::Barge < Mode::Takeover);
    }
}
