//! What each ear must hear in each mode: written down here by hand, on purpose without a look at the engine's own table.
//! Above: `selftest` runs it row by row. Beside: `scene`, which compares.

use crate::control::supervision::{Hear, Mode, Party, Side};

/// What a party's phone must hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// The other party, bit for bit as it speaks, without a packet missing or too many.
    Peer,
    /// The other party and the supervisor.
    PeerAndSupervisor,
    /// The supervisor and nobody else.
    Supervisor,
    /// The server's music and nobody.
    Music,
}

impl Hears {
    /// As the report says it.
    pub(super) fn words(self, peer: &str) -> String {
        match self {
            Self::Peer => format!("{peer}, untouched"),
            Self::PeerAndSupervisor => format!("{peer} + supervisor"),
            Self::Supervisor => "supervisor".to_owned(),
            Self::Music => "music".to_owned(),
        }
    }
}

/// One row: how a supervisor attends, and who hears whom then.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Whose UUID the supervisor gave: the customer's (A called) or the agent's (B answered).
    pub leg: Side,
    /// The mode.
    pub mode: Mode,
    /// Whom a whisper is for, as it was asked for.
    pub to: Option<Party>,
    /// Whom the supervisor asked to hear.
    pub hear: Hear,
    /// What the customer must hear.
    pub customer: Hears,
    /// What the agent must hear.
    pub agent: Hears,
    /// Whether the supervisor must hear the customer, and the agent.
    pub supervisor: [bool; 2],
}

const fn row(leg: Side, (mode, to, hear): (Mode, Option<Party>, Hear), parties: [Hears; 2], hears: [bool; 2]) -> Row {
    Row { leg, mode, to, hear, customer: parties[0], agent: parties[1], supervisor: hears }
}

const NOBODY: [Hears; 2] = [Hears::Peer, Hears::Peer];
const CUSTOMER: [Hears; 2] = [Hears::PeerAndSupervisor, Hears::Peer];
const AGENT: [Hears; 2] = [Hears::Peer, Hears::PeerAndSupervisor];
const BOTH: [Hears; 2] = [Hears::PeerAndSupervisor, Hears::PeerAndSupervisor];
const REPLACED: [Hears; 2] = [Hears::Supervisor, Hears::Music];

/// A whisper to somebody, both parties heard.
const fn whisper(to: Party) -> (Mode, Option<Party>, Hear) {
    (Mode::Whisper, Some(to), Hear::Both)
}

/// Another mode, both parties heard.
const fn mode(mode: Mode) -> (Mode, Option<Party>, Hear) {
    (mode, None, Hear::Both)
}

/// Every mode on either leg. The customer called (A), the agent answered (B).
pub const TABLE: &[Row] = &[
    row(Side::A, mode(Mode::Listen), NOBODY, [true, true]),
    row(Side::A, whisper(Party::Target), CUSTOMER, [true, true]),
    row(Side::A, whisper(Party::Peer), AGENT, [true, true]),
    row(Side::A, whisper(Party::Agent), AGENT, [true, true]),
    row(Side::A, whisper(Party::Customer), CUSTOMER, [true, true]),
    row(Side::A, mode(Mode::Barge), BOTH, [true, true]),
    row(Side::A, mode(Mode::Takeover), REPLACED, [true, false]),
    row(Side::A, (Mode::Listen, None, Hear::A), NOBODY, [true, false]),
    row(Side::A, (Mode::Listen, None, Hear::B), NOBODY, [false, true]),
    row(Side::A, (Mode::Whisper, Some(Party::Agent), Hear::Customer), AGENT, [true, false]),
    row(Side::B, mode(Mode::Listen), NOBODY, [true, true]),
    row(Side::B, whisper(Party::Target), AGENT, [true, true]),
    row(Side::B, whisper(Party::Peer), CUSTOMER, [true, true]),
    row(Side::B, whisper(Party::Agent), AGENT, [true, true]),
    row(Side::B, whisper(Party::Customer), CUSTOMER, [true, true]),
    row(Side::B, mode(Mode::Barge), BOTH, [true, true]),
    row(Side::B, mode(Mode::Takeover), REPLACED, [true, false]),
    row(Side::B, (Mode::Listen, None, Hear::A), NOBODY, [true, false]),
    row(Side::B, (Mode::Listen, None, Hear::B), NOBODY, [false, true]),
    row(Side::B, (Mode::Whisper, Some(Party::Customer), Hear::Agent), CUSTOMER, [false, true]),
];
