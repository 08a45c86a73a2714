//! The manifest: what is known of a recording, as JSON beside its audio and in the queue.
//! Above: whoever records, delivers or lists. Below: `spool` writes it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use uuid::Uuid;

/// The schema's name and number in every manifest.
pub const SCHEMA: &str = "wirechief.recording/1";

/// What a later version or somebody else has added; kept as it is when a manifest is written again.
pub type Extra = BTreeMap<String, Value>;

/// Which recording: given once at its beginning, the idempotency key of its delivery, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(Uuid);

impl RecordingId {
    /// A new one, by chance.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RecordingId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for RecordingId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordingId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// How far a recording is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being written.
    #[default]
    Open,
    /// Whole.
    Finished,
    /// Its writer ended before the call did; what there is has been repaired.
    Interrupted,
    /// Its audio was removed after delivery, and its receipts are kept; or a party did not agree to it, and there never was any.
    Gone,
}

impl State {
    /// As in the manifest.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Gone => "gone",
        }
    }

    /// The state of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Open, Self::Finished, Self::Interrupted, Self::Gone].into_iter().find(|state| state.word() == word)
    }
}

/// Where a call came from and went, seen from the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From a trunk or a guest to a user.
    In,
    /// From a user to a trunk or a foreign host.
    Out,
    /// Between users.
    #[default]
    Internal,
}

impl Direction {
    /// As in the manifest and in file names.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Internal => "internal",
        }
    }

    /// The direction of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::In, Self::Out, Self::Internal].into_iter().find(|direction| direction.word() == word)
    }
}

/// A side of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The caller's.
    Left,
    /// The callee's.
    Right,
    /// A supervisor's, on a track of its own.
    Whisper,
}

/// Who was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Party {
    /// On which side.
    pub side: Side,
    /// The leg's UUID.
    #[serde(default)]
    pub uuid: String,
    /// The configured user, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The number it called from or was called by.
    #[serde(default)]
    pub number: String,
    /// Its name as shown.
    #[serde(default)]
    pub name: String,
    /// What else there is.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What the audio is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Audio {
    /// `pcm16`, `ulaw`, `alaw`, `g722`, `opus`, …
    pub format: String,
    /// Samples a second.
    pub rate_hz: u32,
    /// 2: caller left, callee right; 1: mixed; 3: whispers on the third.
    pub channels: u16,
    /// Samples of one channel, in all parts.
    pub frames: u64,
    /// Seconds, in all parts.
    pub duration_s: f64,
    /// Bytes of the (first) file.
    pub bytes: u64,
    /// SHA-256 of the (first) file, 64 hexadecimal digits; empty while it is open.
    pub sha256: String,
    /// What else there is.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One of several files of a recording that was rolled, or went on after the disk had been full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Relative to the spool.
    pub file: String,
    /// Samples of one channel.
    pub frames: u64,
    /// Bytes; filled in when the recording is finished.
    pub bytes: u64,
    /// SHA-256, 64 hexadecimal digits; filled in when the recording is finished.
    pub sha256: String,
    /// What else there is.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where a side has no sound of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// On which side.
    pub side: Side,
    /// From the beginning of the audio, milliseconds.
    pub from_ms: u64,
    /// How long, milliseconds.
    pub ms: u64,
    /// `hold`, `loss`, `late`, `silent`, `disk`, …
    pub why: String,
}

/// A pause (time that is cut out) or a mask (silence in place).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// From the beginning of the audio, milliseconds.
    pub from_ms: u64,
    /// How long, milliseconds.
    pub ms: u64,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// What was played to whom about the recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    /// The announcement, or `beep`.
    pub announcement: String,
    /// When it had been played.
    pub at: Timestamp,
    /// To which side; both where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Side>,
    /// What else there is.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A supervisor who listened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listener {
    /// Who.
    pub user: String,
    /// The highest mode: `listen`, `whisper`, `barge`, `takeover`.
    pub mode: String,
    /// From when.
    pub from: Timestamp,
    /// Until when; the end of the recording where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// How the audio is sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sealed {
    /// `age`.
    pub form: String,
    /// To whom the file's key is wrapped.
    pub recipients: Vec<String>,
    /// What else there is.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is known of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// Which recording.
    pub id: RecordingId,
    /// Its (first) file, relative to the spool. A label: it may be renamed.
    pub file: String,
    /// How far it is.
    pub state: State,
    /// The call: its calling leg's UUID.
    #[serde(default)]
    pub call: String,
    /// The leg whose call is recorded.
    #[serde(default)]
    pub leg: String,
    /// `UNIQUEID` in the dialplan.
    #[serde(default)]
    pub uniqueid: String,
    /// The calling number.
    #[serde(default)]
    pub from: String,
    /// The caller's name.
    #[serde(default)]
    pub from_name: String,
    /// The dialled number.
    #[serde(default)]
    pub to: String,
    /// Where the call came from and went.
    #[serde(default)]
    pub direction: Direction,
    /// The user who talks with somebody outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The trunk the call came or went by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// The conference room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// When recording began.
    pub started: Timestamp,
    /// When the call was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Timestamp>,
    /// When recording ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// How long it was recorded by a clock that nobody can set, pauses included, milliseconds; absent where nobody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasted_ms: Option<u64>,
    /// Who was recorded.
    #[serde(default)]
    pub parties: Vec<Party>,
    /// What the audio is.
    #[serde(default)]
    pub audio: Audio,
    /// All files in order where there are several, the first included; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Where a side has no sound of its own.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// Time that was cut out.
    #[serde(default)]
    pub pauses: Vec<Span>,
    /// Time that was made silent.
    #[serde(default)]
    pub masks: Vec<Span>,
    /// What was played about the recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consent: Vec<Consent>,
    /// Who listened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
    /// Channel variables that were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// By which rule or wish it was recorded: `always`, `user 1001`, `MixMonitor`, `rec start by ann`, `import`, …
    #[serde(default)]
    pub reason: String,
    /// How the audio is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// What else there is.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What says in a manifest how much sound, in milliseconds, its file had before it was continued.
const BEFORE: &str = "continues_ms";

/// What says in a manifest that no remote is to have the recording unless somebody asks for it.
const DELIVER: (&str, &str) = ("deliver", "nowhere");

impl Manifest {
    /// No remote is to have it, unless it is asked for by name.
    pub fn keep_to_ourselves(&mut self) {
        self.extra.insert(DELIVER.0.to_owned(), DELIVER.1.into());
    }

    /// Whether no remote is to have it, unless it is asked for by name.
    #[must_use]
    pub fn is_for_nobody(&self) -> bool {
        self.extra.get(DELIVER.0).is_some_and(|to| to == DELIVER.1)
    }

    /// It goes on in the file of another, with so much sound already.
    pub(super) fn goes_on_after(&mut self, before: &Self) {
        let ms = Duration::try_from_secs_f64(before.audio.duration_s).unwrap_or_default().as_millis();
        self.extra.insert("continues".into(), before.id.to_string().into());
        self.extra.insert(BEFORE.into(), u64::try_from(ms).unwrap_or(u64::MAX).into());
    }

    /// How much sound its file had before it was continued.
    pub(super) fn before(&self) -> Duration {
        Duration::from_millis(self.extra.get(BEFORE).and_then(Value::as_u64).unwrap_or(0))
    }

    /// How long it was recorded, pauses included: as measured, or by a clock that may have been set meanwhile.
    pub(super) fn lasted(&self) -> Option<Duration> {
        let by_clock = || Duration::try_from(self.ended?.duration_since(self.started)).ok();
        self.lasted_ms.map(Duration::from_millis).or_else(by_clock)
    }

    /// The configured users that talked in it, the agent among them; some are named twice.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.parties.iter().filter_map(|party| party.user.as_deref()).chain(self.agent.as_deref())
    }

    /// Of a recording that begins, with a new id; `file` is the name wished for, relative to the spool, with its extension.
    #[must_use]
    pub fn new(file: &str, started: Timestamp) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id: RecordingId::random(),
            file: file.to_owned(),
            state: State::Open,
            call: String::new(),
            leg: String::new(),
            uniqueid: String::new(),
            from: String::new(),
            from_name: String::new(),
            to: String::new(),
            direction: Direction::Internal,
            agent: None,
            trunk: None,
            room: None,
            started,
            answered: None,
            ended: None,
            lasted_ms: None,
            parties: Vec::new(),
            audio: Audio::default(),
            parts: Vec::new(),
            gaps: Vec::new(),
            pauses: Vec::new(),
            masks: Vec::new(),
            consent: Vec::new(),
            listeners: Vec::new(),
            variables: BTreeMap::new(),
            reason: String::new(),
            sealed: None,
            extra: Extra::new(),
        }
    }

    /// Reads one; of a later minor form as well, as unknown fields are kept.
    ///
    /// # Errors
    /// It is no JSON, or no manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.schema != SCHEMA {
            let text = format!("its schema is `{}`, not `{SCHEMA}`", manifest.schema.escape_debug());
            return Err(de::Error::custom(text));
        }
        Ok(manifest)
    }

    /// As it stands in its file: indented, with a line end.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        // Maps with text keys and numbers that are finite or null: nothing in it that JSON cannot say.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// All files in order: (name, bytes, SHA-256).
    pub fn files(&self) -> impl Iterator<Item = (&str, u64, &str)> {
        let first = self.parts.is_empty().then_some((self.file.as_str(), self.audio.bytes, self.audio.sha256.as_str()));
        first.into_iter().chain(self.parts.iter().map(|part| (part.file.as_str(), part.bytes, part.sha256.as_str())))
    }
}

/// The manifest's file for an audio file: `a/b.wav` → `a/b.json`.
#[must_use]
pub fn manifest_name(file: &str) -> String {
    format!("{}.json", stem(file))
}

/// A name without its last extension: `a/b.c.wav` → `a/b.c`.
#[must_use]
pub fn stem(file: &str) -> &str {
    let name_at = file.rfind('/').map_or(0, |at| at + 1);
    match file.rfind('.') {
        Some(at) if at > name_at => file.get(..at).unwrap_or(file),
        _ => file,
    }
}
