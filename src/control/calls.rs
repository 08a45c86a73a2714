//! What is said on the control socket about calls and their legs. The field names are those of `pbx calls --json`.
//! Above: `protocol` re-exports them. Below: filled from `call::live`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a call or a leg is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// No answer of any kind yet.
    #[default]
    Trying,
    /// It rings.
    Ringing,
    /// Answered.
    Up,
    /// Answered, and one side holds.
    Held,
    /// Being taken down.
    Ending,
}

impl CallState {
    /// The word of tables and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Ringing => "ringing",
            Self::Up => "up",
            Self::Held => "held",
            Self::Ending => "ending",
        }
    }
}

/// Who began a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LegDirection {
    /// They called us.
    #[default]
    In,
    /// We called them.
    Out,
}

/// A call as lists show it (`pbx.calls/1`), and with [`LegDetail`] in full (`pbx.call/1`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallInfo<L = LegInfo> {
    /// The calling leg's.
    pub uuid: String,
    /// The caller's number.
    pub from: String,
    /// The number called.
    pub to: String,
    /// How far it is.
    pub state: CallState,
    /// When the call came.
    #[serde(serialize_with = "to_rfc3339")]
    pub started: Timestamp,
    /// Seconds since then.
    #[serde(serialize_with = "to_milliseconds")]
    pub duration_s: f64,
    /// Whether it is being recorded.
    pub recorded: bool,
    /// How many supervisors are on it.
    pub spied: u32,
    /// The legs, the calling one first.
    pub legs: Vec<L>,
}

/// A call with all that is known of its legs.
pub type CallDetail = CallInfo<LegDetail>;

/// A leg as lists show it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegInfo {
    /// Its own.
    pub uuid: String,
    /// The configured user, if it is one.
    pub user: Option<String>,
    /// The number of the party.
    pub number: String,
    /// Who began it.
    pub direction: LegDirection,
    /// How far it is.
    pub state: CallState,
    /// `ulaw`, `alaw`; none before negotiation.
    pub codec: Option<String>,
    /// Where its audio goes, `127.0.0.1:40000`; none before negotiation.
    pub address: Option<String>,
}

/// A leg in full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegDetail {
    /// What lists show.
    #[serde(flatten)]
    pub leg: LegInfo,
    /// `SIP/1001-00000001`.
    pub channel: String,
    /// The SIP Call-ID.
    pub call_id: String,
    /// Channel variables.
    pub variables: BTreeMap<String, String>,
    /// Its audio in numbers; none before a port is open.
    pub media: Option<MediaInfo>,
}

/// The audio of a leg in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MediaInfo {
    /// Our RTP address.
    pub local: String,
    /// Packets that came from the party.
    pub packets_in: u64,
    /// Packets sent to the party.
    pub packets_out: u64,
    /// Packets of the party that never came.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 §6.4.1), in milliseconds.
    pub jitter_ms: f64,
}

/// RFC 3339 in UTC with milliseconds: `2026-11-20T21:00:00.123Z`.
pub(super) fn to_rfc3339<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.3}"))
}

/// Seconds, not finer than a millisecond.
pub(super) fn to_milliseconds<S: serde::Serializer>(seconds: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((seconds * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_document_has_the_fields_scripts_rely_on() {
        let call = CallInfo {
            uuid: "u".into(),
            started: "2026-11-20T21:00:00.123456789Z".parse().unwrap(),
            duration_s: 12.500_04,
            legs: vec![LegInfo::default()],
            ..CallInfo::default()
        };
        assert_eq!(
            serde_json::to_string(&call).unwrap(),
            r#"{"uuid":"u","from":"","to":"","state":"trying","started":"2026-11-20T21:00:00.123Z","duration_s":12.5,"recorded":false,"spied":0,"legs":[{"uuid":"","user":null,"number":"","direction":"in","state":"trying","codec":null,"address":null}]}"#
        );
    }
}
