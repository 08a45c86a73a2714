//! What is said on the control socket about a spy session: modes, parties, facts, and its audio.
//! Above: `server`, `client`, and the listening post (`crate::spy`). Who hears whom is decided below, in `call`.

use serde::{Deserialize, Serialize};

pub use crate::call::{
    permission::Mode,
    supervisor::{Party, Side},
};

/// Samples of one 20 ms frame of one party, at 8 kHz.
pub const FRAME_SAMPLES: usize = 160;
/// A heard frame: 160 samples of party A, 160 of party B, 160 of the other supervisors.
pub type HeardFrame = [i16; 3 * FRAME_SAMPLES];
/// A spoken frame: 160 samples, mono.
pub type VoiceFrame = [i16; FRAME_SAMPLES];

/// Which sides are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hear {
    /// Both.
    #[default]
    Both,
    /// Only the party that called.
    A,
    /// Only the party that answered.
    B,
}

/// What a party is to the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A configured user talking with someone who is none.
    Agent,
    /// Talks with an agent.
    Customer,
    /// Both or neither party are users.
    Unknown,
}

/// Asks for a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpyRequest {
    /// The UUID of a leg: its party is the target.
    pub uuid: String,
    /// The mode to begin in.
    #[serde(default)]
    pub mode: Mode,
    /// Who is whispered to; the target when absent.
    #[serde(default)]
    pub to: Option<Party>,
    /// Which sides are heard.
    #[serde(default)]
    pub hear: Hear,
    /// A ceiling for this session, never above the permission.
    #[serde(default)]
    pub max_mode: Option<Mode>,
    /// Why, for the log.
    #[serde(default)]
    pub reason: Option<String>,
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
    /// Its number.
    pub number: String,
    /// Its name, may be empty.
    pub name: String,
}

/// A session as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpyFacts {
    /// The session's own UUID.
    pub session: String,
    /// The call's: that of its calling leg.
    pub call: String,
    /// The party whose UUID was given.
    pub target: PartyFacts,
    /// Its other half.
    pub peer: PartyFacts,
    /// The mode in force.
    pub mode: Mode,
    /// Who is, or would be, whispered to.
    pub to: Side,
    /// Which sides are heard.
    pub hear: Hear,
    /// The highest mode this session may take.
    pub allowed: Mode,
}

impl SpyFacts {
    /// The party on that side.
    pub fn party(&self, side: Side) -> &PartyFacts {
        if self.target.side == side { &self.target } else { &self.peer }
    }
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
    fn modes_rise() {
        assert!(Mode::Listen < Mode::Whisper && Mode::Whisper < Mode::Barge);
    }
}
