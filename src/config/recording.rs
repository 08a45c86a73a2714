//! `[recording]`: which calls are recorded, how, where the files lie and what they are called, who is told.
//! Above: `call::recording` obeys it. Below: `read` fills it.

use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::supervision::AnnounceTo;
use super::units::{parse_duration, parse_size};
use super::value::{Section, Value};

/// The largest file that any player opens: the sizes within a WAV file have 32 bits, and a part is closed somewhat later than asked.
const LARGEST_PART: u64 = 4_000_000_000;
/// A second of two sides is 32 kB: smaller parts than this are more names than sound.
const SMALLEST_PART: u64 = 64 * 1024;

/// How long a key may be waited for.
const SHORTEST_CONSENT: Duration = Duration::from_secs(1);
const LONGEST_CONSENT: Duration = Duration::from_secs(60);

/// `[recording]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingSettings {
    /// Folder of the recordings and of what is known of them, relative to the state folder; 0700.
    pub spool: PathBuf,
    /// What a recording is called, without its ending; `/` makes folders within the spool.
    pub name: String,
    /// Where the two sides go.
    pub channels: RecordChannels,
    /// How sound is kept.
    pub form: RecordForm,
    /// Samples a second of files of linear samples.
    pub rate: RecordRate,
    /// What becomes of what supervisors say to one party.
    pub whispers: RecordWhispers,
    /// Size of a file, in bytes, at which a further part begins.
    pub roll: u64,
    /// Free space of the spool's file system, in bytes, below which nothing new is recorded.
    pub free_space_floor: u64,
    /// Calls that are recorded, where neither a user nor a trunk says otherwise.
    pub record: RecordChoice,
    /// Conference rooms that are recorded: one file of all who are in it.
    pub rooms: Vec<String>,
    /// Whether a call that is to be recorded and cannot be ends.
    pub required: bool,
    /// The sound that tells parties of it, played before the recording begins.
    pub announce: Option<String>,
    /// Which parties hear it.
    pub announce_to: AnnounceTo,
    /// How those who hear it agree.
    pub consent: RecordConsent,
    /// The key by which they do, where it is by a key.
    pub agree_key: char,
    /// How long the key is waited for, once the announcement is over.
    pub consent_time: Duration,
    /// What becomes of a call of somebody who does not agree.
    pub without_consent: WithoutConsent,
    /// Channel variables that are kept with a recording.
    pub variables: Vec<String>,
    /// Whom recordings are sealed to as soon as they are finished, by the age format; empty: they are not.
    pub seal_to: Vec<String>,
}

impl Default for RecordingSettings {
    fn default() -> Self {
        Self {
            spool: PathBuf::from("recordings"),
            name: "{start}-{direction}-{caller}-{callee}-{uuid}".to_owned(),
            channels: RecordChannels::default(),
            form: RecordForm::default(),
            rate: RecordRate::default(),
            whispers: RecordWhispers::default(),
            roll: 2 << 30,
            free_space_floor: 500 << 20,
            record: RecordChoice::default(),
            rooms: Vec::new(),
            required: false,
            announce: None,
            announce_to: AnnounceTo::default(),
            consent: RecordConsent::default(),
            agree_key: '1',
            consent_time: Duration::from_secs(10),
            without_consent: WithoutConsent::default(),
            variables: Vec::new(),
            seal_to: Vec::new(),
        }
    }
}

/// How parties agree to be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordConsent {
    /// They hear the announcement, and stay.
    #[default]
    Announce,
    /// They press a key.
    Key,
}

impl RecordConsent {
    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Announce => "announce",
            Self::Key => "key",
        }
    }
}

/// What becomes of a call of somebody who does not agree to be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutConsent {
    /// It goes on, and nothing of it is recorded.
    #[default]
    Unrecorded,
    /// It ends.
    End,
}

impl WithoutConsent {
    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unrecorded => "unrecorded",
            Self::End => "end",
        }
    }
}

/// Which calls are recorded by rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordChoice {
    /// None.
    #[default]
    Never,
    /// Those that come in from a trunk or a guest.
    In,
    /// Those of a user that go out to a trunk or another host.
    Out,
    /// All, from the moment they are answered.
    Always,
}

impl RecordChoice {
    const ALL: [Self; 4] = [Self::Never, Self::In, Self::Out, Self::Always];

    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::In => "in",
            Self::Out => "out",
            Self::Always => "always",
        }
    }
}

/// Where the two sides of a call go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordChannels {
    /// The party that called left, the one that answered right.
    #[default]
    Split,
    /// Both in one channel.
    Mix,
}

impl RecordChannels {
    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Mix => "mix",
        }
    }
}

/// How sound is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordForm {
    /// Linear samples of 16 bits, which everything plays.
    #[default]
    Pcm,
    /// As the phones sent it, where it can be kept so: both sides apart, in G.711, G.722 or Opus.
    AsCame,
}

impl RecordForm {
    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pcm => "pcm",
            Self::AsCame => "as-came",
        }
    }
}

/// Samples a second of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordRate {
    /// As many as the codecs carry that the parties speak when it begins.
    #[default]
    Call,
    /// So many.
    Hz(u32),
}

impl RecordRate {
    /// The rates that a file may have.
    const ALL_HZ: [u32; 3] = [8_000, 16_000, 48_000];

    fn read(value: &Value<'_>) -> Result<Self, ConfigError> {
        const WANTED: &str = "the rate is \"call\", 8000, 16000 or 48000";
        match value.integer(0..=u32::MAX) {
            Ok(hz) if Self::ALL_HZ.contains(&hz) => Ok(Self::Hz(hz)),
            Ok(_) => Err(value.bad(WANTED)),
            Err(_) => match value.str() {
                Ok("call") => Ok(Self::Call),
                _ => Err(value.bad(WANTED)),
            },
        }
    }
}

/// What becomes of what supervisors say to one party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordWhispers {
    /// It is not recorded.
    #[default]
    LeaveOut,
    /// It has a track of its own.
    OwnTrack,
}

impl RecordWhispers {
    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeaveOut => "leave-out",
            Self::OwnTrack => "own-track",
        }
    }
}

/// Reads the section into `settings`.
pub(super) fn recording(settings: &mut RecordingSettings, section: &Section<'_>) -> Result<(), ConfigError> {
    section.set("spool", &mut settings.spool, |value| text(value).map(PathBuf::from))?;
    section.set("name", &mut settings.name, text)?;
    let channels = [RecordChannels::Split, RecordChannels::Mix].map(|word| (word.as_str(), word));
    section.set("channels", &mut settings.channels, |value| value.word(&channels))?;
    let forms = [RecordForm::Pcm, RecordForm::AsCame].map(|word| (word.as_str(), word));
    section.set("form", &mut settings.form, |value| value.word(&forms))?;
    let told = section.get("form").or_else(|| section.get("channels"));
    if let Some(value) = told
        && (settings.form, settings.channels) == (RecordForm::AsCame, RecordChannels::Mix)
    {
        return Err(value.bad("what is kept as it came is not mixed: form = \"pcm\", or channels = \"split\""));
    }
    section.set("rate", &mut settings.rate, RecordRate::read)?;
    let whispers = [RecordWhispers::LeaveOut, RecordWhispers::OwnTrack].map(|word| (word.as_str(), word));
    section.set("whispers", &mut settings.whispers, |value| value.word(&whispers))?;
    section.set("roll", &mut settings.roll, |value| match value.parse(parse_size)? {
        size if (SMALLEST_PART..=LARGEST_PART).contains(&size) => Ok(size),
        _ => Err(value.bad("a part of a recording has 64K to 3G")),
    })?;
    section.set("free_space_floor", &mut settings.free_space_floor, |value| value.parse(parse_size))?;
    section.set("record", &mut settings.record, choice)?;
    section.set("rooms", &mut settings.rooms, |value| value.list(text))?;
    section.set("required", &mut settings.required, Value::bool)?;
    section.set("announce", &mut settings.announce, |value| {
        value.str().map(|name| Some(name.to_owned()).filter(|name| !name.is_empty()))
    })?;
    let to = [AnnounceTo::Both, AnnounceTo::Agent, AnnounceTo::Customer].map(|word| (word.as_str(), word));
    section.set("announce_to", &mut settings.announce_to, |value| value.word(&to))?;
    consent(settings, section)?;
    section.set("variables", &mut settings.variables, |value| value.list(text))?;
    section.set("seal_to", &mut settings.seal_to, |value| {
        value.one_or_list(|item| match item.str()? {
            recipient if recipient.parse::<age::x25519::Recipient>().is_ok() => Ok(recipient.to_owned()),
            _ => Err(item.bad("a recipient is what age-keygen prints: age1…")),
        })
    })
}

/// Those of whom a key is asked must know which.
fn consent(settings: &mut RecordingSettings, section: &Section<'_>) -> Result<(), ConfigError> {
    section.set("agree_key", &mut settings.agree_key, |value| match value.str()?.as_bytes() {
        [key @ (b'0'..=b'9' | b'*' | b'#')] => Ok(char::from(*key)),
        _ => Err(value.bad("a key is one of 0 to 9, * and #")),
    })?;
    section.set("consent_time", &mut settings.consent_time, |value| match value.parse(parse_duration)? {
        time if (SHORTEST_CONSENT..=LONGEST_CONSENT).contains(&time) => Ok(time),
        _ => Err(value.bad("a key is waited for 1s to 1m")),
    })?;
    let without = [WithoutConsent::Unrecorded, WithoutConsent::End].map(|word| (word.as_str(), word));
    section.set("without_consent", &mut settings.without_consent, |value| value.word(&without))?;
    let ways = [RecordConsent::Announce, RecordConsent::Key].map(|word| (word.as_str(), word));
    section.set("consent", &mut settings.consent, |value| value.word(&ways))?;
    // One of them may stand in an earlier file.
    match section.get("consent").or_else(|| section.get("announce")) {
        Some(value) if settings.consent == RecordConsent::Key && settings.announce.is_none() => {
            Err(value.bad("a key is asked for by the sound of `announce`: name one"))
        }
        _ => Ok(()),
    }
}

/// `record = "always"`.
pub(super) fn choice(value: &Value<'_>) -> Result<RecordChoice, ConfigError> {
    value.word(&RecordChoice::ALL.map(|choice| (choice.as_str(), choice)))
}

fn text(value: &Value<'_>) -> Result<String, ConfigError> {
    match value.str()? {
        "" => Err(value.bad("must not be empty")),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, load};

    fn read(text: &str) -> Result<Config, ConfigError> {
        load(&[PathBuf::from("pbx.toml")], &|_| Ok(text.to_owned()))
    }

    #[test]
    fn every_key_is_read_and_shown_as_it_was_written() {
        let text = "[recording]\nspool = \"calls\"\nname = \"{date}/{caller}\"\nchannels = \"split\"\nform = \"as-came\"\nrate = 16000\n\
                    whispers = \"own-track\"\nroll = \"64M\"\nfree_space_floor = \"1G\"\nrecord = \"in\"\nrooms = [\"8000\"]\n\
                    required = true\nannounce = \"told\"\nannounce_to = \"customer\"\n\
                    consent = \"key\"\nagree_key = \"#\"\nconsent_time = \"5s\"\nwithout_consent = \"end\"\nvariables = [\"CAMPAIGN\"]\n\
                    [users.1001]\npassword = \"correct horse\"\ncontext = \"c\"\nrecord = \"always\"\n\
                    [trunks.icall]\nhost = \"192.0.2.1\"\nrecord = \"never\"\n";
        let config = read(text).unwrap();
        let recording = RecordingSettings {
            spool: "calls".into(),
            name: "{date}/{caller}".into(),
            channels: RecordChannels::Split,
            form: RecordForm::AsCame,
            rate: RecordRate::Hz(16_000),
            whispers: RecordWhispers::OwnTrack,
            roll: 64 << 20,
            free_space_floor: 1 << 30,
            record: RecordChoice::In,
            rooms: vec!["8000".into()],
            required: true,
            announce: Some("told".into()),
            announce_to: AnnounceTo::Customer,
            consent: RecordConsent::Key,
            agree_key: '#',
            consent_time: Duration::from_secs(5),
            without_consent: WithoutConsent::End,
            variables: vec!["CAMPAIGN".into()],
            seal_to: Vec::new(),
        };
        assert_eq!(config.recording, recording);
        assert_eq!(config.users["1001"].record, Some(RecordChoice::Always));
        assert_eq!(config.trunks["icall"].record, Some(RecordChoice::Never));
        let shown = config.masked();
        assert_eq!((&shown["recording"]["roll"], &shown["recording"]["record"]), (&"64M".into(), &"in".into()));
        assert_eq!(
            (&shown["users"]["1001"]["record"], &shown["trunks"]["icall"]["record"]),
            (&"always".into(), &"never".into())
        );
        let keys = shown["recording"].as_object().unwrap().len() - 1;
        assert_eq!(
            keys,
            text.lines().take_while(|line| !line.starts_with("[users")).count() - 1,
            "but for `seal_to`, no key is left out"
        );
    }

    #[test]
    fn one_recipient_needs_no_brackets() {
        let one = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        for text in [format!("\"{one}\""), format!("[\"{one}\"]")] {
            assert_eq!(read(&format!("[recording]\nseal_to = {text}\n")).unwrap().recording.seal_to, [one]);
        }
        let wrong = read("[recording]\nseal_to = \"ann\"\n").unwrap_err().to_string();
        assert!(wrong.contains("age1…") && !wrong.contains("a list"), "{wrong}");
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (wrong, says) in [
            ("record = \"allways\"", "did you mean `always`"),
            ("rate = 44100", "8000, 16000 or 48000"),
            ("rate = \"wide\"", "8000, 16000 or 48000"),
            ("roll = \"5G\"", "64K to 3G"),
            ("roll = \"1K\"", "64K to 3G"),
            ("form = \"as-came\"\nchannels = \"mix\"", "is not mixed"),
            ("spool = \"\"", "must not be empty"),
            ("chanels = \"mix\"", "did you mean `channels`"),
            ("consent = \"key\"", "name one"),
            ("agree_key = \"12\"", "one of 0 to 9"),
            ("consent_time = \"5m\"", "1s to 1m"),
        ] {
            let error = read(&format!("[recording]\n{wrong}\n")).unwrap_err().to_string();
            assert!(error.contains(says) && error.starts_with("pbx.toml:2:"), "{wrong}: {error}");
        }
    }
}
