//! What is said on the control socket: requests, replies, and the facts they carry.
//! Above: `server` and `client`. The field names are those of the `--json` documents, so scripts rely on them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::call::journal::EventRecord;
pub use crate::call::trace::{Traced, What as TracedWhat};

pub use super::calls::{CallDetail, CallInfo, CallState, LegDetail, LegDirection, LegInfo, MediaInfo};
pub use super::conferences::{MemberInfo, RoomChanged, RoomInfo, RoomMute, RoomTarget};
pub use super::evidence::LogVerify;
pub use super::perms::{Perms, UserPerms};
pub use super::recording::{RecordTarget, RecordVerb, Recorded, RecordingInfo};
pub use super::store::{
    KeyForm, StoreChange, StoreEntry, StoreGeneration, StoreKey, StoreList, StoreOrder, StoreSelect, StoreValue,
    StoreVerified, Unlock,
};
pub use super::supervision::{
    Announce, EndedBecause, Hear, HearChange, HeardFrame, Mode, ModeChange, Order, Party, PartyFacts, Role, Side,
    SpyEnd, SpyFacts, SpyInfo, SpyRequest, SpyState, SpyTarget, SpyWord, VoiceFrame,
};
pub use super::verbs::{
    Application, Bridge, Bridged, Dtmf, Held, Hold, KeysWay, Moves, Originate, Originated, Place, Pressed, Transfer,
    Transferred,
};

/// A request of a client: `{"id":1,"method":"calls","params":{…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the client, repeated in every reply.
    pub id: u64,
    /// What is wanted: a name of [`method`].
    pub method: String,
    /// The arguments, an object.
    #[serde(default)]
    pub params: Value,
}

/// One word of the server about a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request it belongs to; 0 where none could be read.
    pub id: u64,
    /// What is said.
    #[serde(flatten)]
    pub body: Body,
}

/// The forms of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Done; this is what came out. The last word of a single request, the first of a spy session.
    Result(Value),
    /// Not done. The last word.
    Error(Fault),
    /// One item of a list or a stream.
    Event(Value),
    /// A list or a stream is over (`true`). The last word.
    End(bool),
}

/// The methods by name.
pub mod method {
    /// [`super::Status`].
    pub const STATUS: &str = "status";
    /// A list of [`super::CallInfo`].
    pub const CALLS: &str = "calls";
    /// [`super::Target`] → [`super::CallDetail`].
    pub const CALL: &str = "call";
    /// [`super::Hangup`] → [`super::Hungup`].
    pub const HANGUP: &str = "hangup";
    /// [`super::Dtmf`] → [`super::Pressed`].
    pub const DTMF: &str = "dtmf";
    /// [`super::Transfer`] → [`super::Transferred`].
    pub const TRANSFER: &str = "transfer";
    /// [`super::Bridge`] → [`super::Bridged`].
    pub const BRIDGE: &str = "bridge";
    /// [`super::Hold`] → [`super::Held`].
    pub const HOLD: &str = "hold";
    /// [`super::Hold`] → [`super::Held`].
    pub const UNHOLD: &str = "unhold";
    /// [`super::Originate`] → [`super::Originated`].
    pub const ORIGINATE: &str = "originate";
    /// A list of [`super::UserInfo`].
    pub const USERS: &str = "users";
    /// A list of [`super::RegistrationInfo`].
    pub const REGISTRATIONS: &str = "registrations";
    /// A list of [`super::RoomInfo`].
    pub const ROOMS: &str = "rooms";
    /// [`super::RoomTarget`] → [`super::RoomChanged`].
    pub const ROOM_KICK: &str = "room.kick";
    /// [`super::RoomMute`] → [`super::RoomChanged`].
    pub const ROOM_MUTE: &str = "room.mute";
    /// [`super::RecordTarget`] → [`super::Recorded`].
    pub const RECORD_START: &str = "record.start";
    /// [`super::RecordTarget`] → [`super::Recorded`], complete.
    pub const RECORD_STOP: &str = "record.stop";
    /// [`super::RecordTarget`] → [`super::Recorded`].
    pub const RECORD_PAUSE: &str = "record.pause";
    /// [`super::RecordTarget`] → [`super::Recorded`].
    pub const RECORD_RESUME: &str = "record.resume";
    /// [`super::RecordTarget`] → [`super::Recorded`].
    pub const RECORD_MASK: &str = "record.mask";
    /// [`super::RecordTarget`] → [`super::Recorded`].
    pub const RECORD_UNMASK: &str = "record.unmask";
    /// [`super::RecordTarget`] → [`super::Recorded`], nothing changed.
    pub const RECORD_LOOK: &str = "record.look";
    /// A list of [`super::CodeInfo`].
    pub const CODES: &str = "codes";
    /// [`super::RecordsSince`] → a list of detail records.
    pub const RECORDS: &str = "records";
    /// [`super::SettingsInForce`].
    pub const SETTINGS: &str = "settings";
    /// [`super::ReloadWhat`] → [`super::ReloadReport`].
    pub const RELOAD: &str = "reload";
    /// [`super::Stop`] → [`super::Stopping`].
    pub const STOP: &str = "stop";
    /// [`super::EventsSince`] → a stream of [`super::EventRecord`] without end.
    pub const EVENTS: &str = "events";
    /// [`super::ConsoleLine`] → [`super::ConsoleSaid`].
    pub const CONSOLE: &str = "console";
    /// [`super::TraceWanted`] → a stream of [`super::Traced`] until the channel is over.
    pub const TRACE: &str = "trace";
    /// [`super::StoreOrder`] → what it says.
    pub const STORE: &str = "astdb";
    /// [`super::StoreList`] → a list of what it says.
    pub const STORE_LIST: &str = "astdb.list";
    /// [`super::Unlock`] → the word to send the key, then [`super::StoreKey`].
    pub const STORE_UNLOCK: &str = "astdb.unlock";
    /// [`crate::control::supervision::SpyRequest`] → [`crate::control::supervision::SpyFacts`], then audio both ways.
    pub const SPY: &str = "spy";
    /// A list of [`super::SpyInfo`].
    pub const SPIES: &str = "spies";
    /// Within a spy session: nothing → goes on to the next call; its facts come as they are.
    pub const SPY_NEXT: &str = "spy.next";
    /// [`crate::evidence::Wanted`] → a list of [`crate::evidence::Record`].
    pub const SPY_LOG: &str = "spy.log";
    /// [`super::LogVerify`] → [`crate::evidence::Report`].
    pub const SPY_LOG_VERIFY: &str = "spy.log.verify";
    /// [`super::Perms`].
    pub const SPY_PERMS: &str = "spy.perms";
    /// Within a spy session: [`crate::control::supervision::ModeChange`] → the new facts.
    pub const SPY_MODE: &str = "spy.mode";
    /// Within a spy session: [`crate::control::supervision::HearChange`] → the new facts.
    pub const SPY_HEAR: &str = "spy.hear";
}

/// Why something was not done, in the words of the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The class; decides the exit code.
    pub code: FaultCode,
    /// `what: why`, one line.
    pub message: String,
    /// What to do about it, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    /// A fault without a hint.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The classes of faults. Their exit codes are given in `cli/exit.rs` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultCode {
    /// Something else went wrong.
    Failure,
    /// The request makes no sense.
    Usage,
    /// No such call, user, file.
    NotFound,
    /// The asker may not.
    Denied,
    /// A configuration, a dialplan or a file is wrong.
    Invalid,
    /// Some items done, some not.
    Partial,
    /// The server, a phone or a remote does not answer.
    Unreachable,
    /// The call ended first.
    Ended,
    /// Locked, full or stopping: later it may work.
    TryAgain,
}

/// A line for the console of Asterisk's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleLine {
    /// As typed behind `pbx -rx`.
    pub line: String,
}

/// What the console said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSaid {
    /// Lines as Asterisk prints them, each with its newline.
    pub text: String,
    /// What went wrong, where Asterisk only prints a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultCode>,
}

/// Which script to follow: that of a live call, or of the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceWanted {
    /// A live call, by the UUID of any of its legs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The next call to, or from, this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The server in one document (`pbx.status/1`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The process.
    pub pid: u32,
    /// `1.0.0`.
    pub version: String,
    /// Seconds since start.
    #[serde(serialize_with = "super::calls::to_milliseconds")]
    pub uptime_s: f64,
    /// What SIP listens on: `udp://127.0.0.1:5060`, real port numbers.
    pub sip: Vec<String>,
    /// Live calls.
    pub calls: u64,
    /// Live legs.
    pub legs: u64,
    /// Live SIP transactions.
    pub transactions: u64,
    /// Live SIP dialogs.
    pub dialogs: u64,
    /// Open RTP ports, without those that drain.
    pub ports: u64,
    /// Bindings of users' phones.
    pub registrations: u64,
    /// Running spy sessions.
    pub spies: u64,
    /// Running recordings.
    pub recordings: u64,
    /// How late the beat of the media threads is, 99th percentile, in microseconds.
    pub tick_late_p99_us: u64,
    /// The store is locked until `astdb unlock` gives the server its key; absent where the key is in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_locked: Option<bool>,
    /// No new calls are taken: a graceful stop is under way.
    #[serde(default)]
    pub stopping: bool,
}

/// Names a call by the UUID of any of its legs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The UUID of a leg.
    pub uuid: String,
}

/// Ends a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hangup {
    /// The UUID of a leg.
    pub uuid: String,
    /// Q.850 cause; normal clearing (16) when absent.
    #[serde(default)]
    pub cause: Option<u8>,
}

/// A call that was ended (`pbx.hangup/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hungup {
    /// The legs that were told to end.
    pub legs: Vec<String>,
}

/// A configured user (`pbx.users/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// The name.
    pub user: String,
    /// `Alice <1001>`.
    pub caller_id: Option<String>,
    /// Where his calls enter the dialplan.
    pub context: String,
    /// How many phones are registered.
    pub registrations: u32,
    /// How many calls he is in.
    pub calls: u32,
    /// `none`, `listen`, `whisper` or `barge`.
    pub may_spy: String,
    /// Whether his calls may be spied on.
    pub may_be_spied: bool,
    /// The groups his calls belong to.
    pub groups: Vec<String>,
}

/// A phone of a user (`pbx.regs/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationInfo {
    /// The user.
    pub user: String,
    /// The Contact URI.
    pub contact: String,
    /// Where it registered from, `udp://127.0.0.1:5070`.
    pub source: String,
    /// Seconds until it lapses.
    pub expires_in_s: u64,
    /// What the phone calls itself.
    pub user_agent: Option<String>,
    /// Its `+sip.instance` (RFC 5626 §4.1).
    pub instance: Option<String>,
}

/// A feature code of the dialplan (`pbx.codes/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeInfo {
    /// The extension as written: `_*88X.`.
    pub code: String,
    /// The context it is dialled in.
    pub context: String,
    /// The application that tells what it does, as written.
    pub application: String,
    /// The file it is written in.
    pub file: String,
    /// The line there; 0 for a code of the settings.
    pub line: u32,
}

/// Which detail records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordsSince {
    /// Only of calls that ended then or later.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// At most so many, the latest; all when absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// The settings in force and where they came from (`pbx.config/1`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SettingsInForce {
    /// The files read, in order.
    pub sources: Vec<String>,
    /// The settings, secrets masked.
    pub settings: Value,
}

/// What a reload reads again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reload {
    /// The dialplan files.
    Dialplan,
    /// `pbx.toml` and its parts.
    Config,
    /// Both.
    #[default]
    All,
}

/// The parameters of a reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadWhat {
    /// What to read again.
    #[serde(default)]
    pub what: Reload,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a reload changed (`pbx.reload/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// One line a change; empty when all is as before.
    pub changes: Vec<String>,
    /// One line a warning.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// How the server is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// No new calls; those that are live end by themselves.
    #[serde(default)]
    pub graceful: bool,
    /// After that time, live calls are ended; no limit when absent.
    #[serde(default, with = "seconds", rename = "timeout_s")]
    pub timeout: Option<Duration>,
}

/// The server's word that it is stopping (`pbx.stop/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// The process that will be gone.
    pub pid: u32,
}

/// Where an event stream begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsSince {
    /// The last sequence number seen; what the server still has after it comes first.
    #[serde(default)]
    pub since: Option<u64>,
    /// Only these kinds; `call` is all that begin with `call.`. Empty: all.
    #[serde(default)]
    pub types: Vec<String>,
}

mod seconds {
    use super::Duration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs_f64()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_the_four_forms_of_the_wire() {
        for (body, text) in [
            (Body::Result(serde_json::json!({"a":1})), r#"{"id":1,"result":{"a":1}}"#),
            (Body::Event(Value::from(2)), r#"{"id":1,"event":2}"#),
            (Body::End(true), r#"{"id":1,"end":true}"#),
            (
                Body::Error(Fault::new(FaultCode::NotFound, "no such call")),
                r#"{"id":1,"error":{"code":"not-found","message":"no such call"}}"#,
            ),
        ] {
            let reply = Reply { id: 1, body };
            assert_eq!(serde_json::to_string(&reply).unwrap(), text);
            assert_eq!(serde_json::from_str::<Reply>(text).unwrap(), reply);
        }
    }

    #[test]
    fn a_negative_timeout_is_refused() {
        assert!(serde_json::from_str::<Stop>(r#"{"timeout_s":-1}"#).is_err());
        let stop = Stop { graceful: true, timeout: Some(Duration::from_millis(1500)) };
        assert_eq!(serde_json::to_string(&stop).unwrap(), r#"{"graceful":true,"timeout_s":1.5}"#);
        assert_eq!(serde_json::from_str::<Stop>("{}").unwrap(), Stop::default());
    }
}
