//! The settings with their defaults: what `pbx.toml` means once it is read. Filled by `read`, used by every room above.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::recording::{RecordChoice, RecordingSettings};
use super::remotes::RemoteSettings;
use super::serve::ServeSettings;
use super::supervision::{SupervisionSettings, USUAL_SPY_PARAMS};
use super::{Match, Secret};

/// All settings of a running server. Paths of input files are absolute or relative to `pbx.toml`'s folder and already joined with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[sip]`
    pub sip: SipSettings,
    /// `[media]`
    pub media: MediaSettings,
    /// `[dialplan]`
    pub dialplan: DialplanSettings,
    /// `[guests]`; absent: a call from an unknown source is refused.
    pub guests: Option<Guests>,
    /// `[users.NAME]`
    pub users: BTreeMap<String, User>,
    /// `[trunks.NAME]`
    pub trunks: BTreeMap<String, Trunk>,
    /// `[remotes.NAME]`
    pub remotes: BTreeMap<String, RemoteSettings>,
    /// `[supervision]`
    pub supervision: SupervisionSettings,
    /// `[control]`
    pub control: ControlSettings,
    /// `[records]`
    pub records: RecordsSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[astdb]`
    pub astdb: AstdbSettings,
    /// `[recording]`
    pub recording: RecordingSettings,
    /// `[limits]`
    pub limits: Limits,
    /// `[serve]`
    pub serve: ServeSettings,
}

/// `[sip]`: where and as whom we speak SIP.
#[derive(Clone, Debug, PartialEq)]
pub struct SipSettings {
    /// Sockets to listen on; port 0 takes any free one.
    pub bind: Vec<Bind>,
    /// The address peers are told to use, when it is not the one we are bound to.
    pub advertise: Option<IpAddr>,
    /// Digest realm.
    pub realm: String,
}

impl Default for SipSettings {
    fn default() -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        let bind = [SipTransport::Udp, SipTransport::Tcp].map(|transport| Bind { transport, address: local });
        Self { bind: bind.to_vec(), advertise: None, realm: "wirechief".to_owned() }
    }
}

/// One socket to listen on: `udp://127.0.0.1:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind {
    /// UDP or TCP.
    pub transport: SipTransport,
    /// Local address and port.
    pub address: SocketAddr,
}

/// What carries SIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SipTransport {
    /// Datagrams.
    #[default]
    Udp,
    /// A stream.
    Tcp,
}

impl SipTransport {
    /// As written in the settings and in SIP URIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// `[media]`: RTP.
#[derive(Clone, Debug, PartialEq)]
pub struct MediaSettings {
    /// Address of the RTP sockets.
    pub bind: IpAddr,
    /// Ports for RTP (even) and RTCP (odd).
    pub ports: RangeInclusive<u16>,
    /// Codecs offered, in order of preference; those that cannot be decoded only from phone to phone.
    pub codecs: Vec<CodecChoice>,
    /// A call whose legs are both silent this long ends; zero switches it off.
    pub rtp_timeout: Duration,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: 10_000..=19_999,
            codecs: vec![CodecChoice::Ulaw, CodecChoice::Alaw],
            rtp_timeout: Duration::from_secs(60),
        }
    }
}

/// A codec by its name in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecChoice {
    /// G.711 µ-law, `PCMU`.
    Ulaw,
    /// G.711 A-law, `PCMA`.
    Alaw,
    /// G.722, only passed on.
    G722,
    /// G.723.1, only passed on.
    G723,
    /// G.729, only passed on.
    G729,
    /// GSM 06.10, only passed on.
    Gsm,
    /// iLBC, only passed on.
    Ilbc,
    /// Opus, only passed on.
    Opus,
}

impl CodecChoice {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Ulaw, Self::Alaw, Self::G722, Self::G723, Self::G729, Self::Gsm, Self::Ilbc, Self::Opus];

    /// It can be decoded, so that prompts, rooms and supervisors work with it.
    pub fn can_be_decoded(self) -> bool {
        matches!(self, Self::Ulaw | Self::Alaw)
    }

    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ulaw => "ulaw",
            Self::Alaw => "alaw",
            Self::G722 => "g722",
            Self::G723 => "g723",
            Self::G729 => "g729",
            Self::Gsm => "gsm",
            Self::Ilbc => "ilbc",
            Self::Opus => "opus",
        }
    }
}

/// `[dialplan]`: where what calls do is written.
#[derive(Clone, Debug, PartialEq)]
pub struct DialplanSettings {
    /// Files in order; a later one overlays an earlier one, and the last of several may be absent.
    pub files: Vec<PathBuf>,
    /// Folder in which `Playback` finds its sounds.
    pub sounds: PathBuf,
    /// Names of the environment variables that `ENV()` may read.
    pub env: Vec<String>,
    /// What `System` and `TrySystem` may do.
    pub system: SystemChoice,
    /// With [`SystemChoice::Argv`]: the programs that may be started, by absolute path.
    pub programs: Vec<PathBuf>,
    /// Variables whose values appear in no log, trace or event; `DB(pin/*)` is a family of the store.
    pub secrets: Vec<String>,
}

impl DialplanSettings {
    /// Whether what the store has in this family is to be shown to nobody.
    pub fn is_secret_family(&self, family: &str) -> bool {
        let named = |entry: &String| entry.strip_prefix("DB(")?.strip_suffix("/*)").map(|named| named == family);
        self.secrets.iter().filter_map(named).any(|is_it| is_it)
    }
}

/// What the dialplan's `System` may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemChoice {
    /// Nothing.
    #[default]
    Off,
    /// Start one of the listed programs with a list of arguments; there is no shell.
    Argv,
    /// Run a line of shell; what comes from a call reaches it as whole words only.
    Shell,
}

impl SystemChoice {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Argv => "argv",
            Self::Shell => "shell",
        }
    }
}

impl Default for DialplanSettings {
    fn default() -> Self {
        Self {
            files: vec![PathBuf::from("extensions.conf"), PathBuf::from("extensions_custom.conf")],
            sounds: PathBuf::from("sounds"),
            env: Vec::new(),
            system: SystemChoice::Off,
            programs: Vec::new(),
            secrets: Vec::new(),
        }
    }
}

/// `[guests]`: callers that are neither a user nor a trunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Guests {
    /// Context their calls start in.
    pub context: String,
    /// Source addresses admitted; empty admits none.
    pub from: Vec<Match>,
}

/// `[users.NAME]`: a person with phones.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Password of the user's phones.
    pub password: Secret,
    /// Context of the user's calls.
    pub context: String,
    /// Name and number shown to those called: `Alice <1001>`.
    pub caller_id: Option<CallerIdText>,
    /// Whom the user may hear, and how.
    pub may_spy: SpyRight,
    /// Whether others may hear this user's calls.
    pub may_be_spied: bool,
    /// Groups that the user's calls belong to.
    pub groups: Vec<String>,
    /// Groups the user may spy on; `None` is every group, and calls of no group.
    pub spy_groups: Option<Vec<String>>,
    /// Letters of `ChanSpy` for the supervision codes that the user dials.
    pub spy_params: String,
    /// Which of the user's calls are recorded; `None`: as `[recording]` says.
    pub record: Option<RecordChoice>,
}

impl User {
    /// A user without rights, groups or caller id.
    pub fn new(password: Secret, context: String) -> Self {
        Self {
            password,
            context,
            caller_id: None,
            may_spy: SpyRight::None,
            may_be_spied: true,
            groups: Vec::new(),
            spy_groups: None,
            spy_params: USUAL_SPY_PARAMS.to_owned(),
            record: None,
        }
    }
}

/// A caller id as written in the settings: `Alice <1001>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerIdText {
    /// Display name, may be empty.
    pub name: String,
    /// Number, may be empty.
    pub number: String,
}

/// What a supervisor may do; each right includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpyRight {
    /// Nothing.
    #[default]
    None,
    /// Hear both parties.
    Listen,
    /// Also speak to one of them.
    Whisper,
    /// Also speak to both.
    Barge,
}

impl SpyRight {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Listen => "listen",
            Self::Whisper => "whisper",
            Self::Barge => "barge",
        }
    }
}

/// `[trunks.NAME]`: another SIP system.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Host name or address, without port.
    pub host: String,
    /// Port, when it is written.
    pub port: Option<u16>,
    /// How to reach it.
    pub transport: SipTransport,
    /// Sources whose calls are this trunk's, without a challenge.
    pub matches: Vec<Match>,
    /// Context of its calls; absent: calls from it are refused.
    pub context: Option<String>,
    /// Which of its calls are recorded; `None`: as `[recording]` says.
    pub record: Option<RecordChoice>,
}

/// `[control]`: the control socket.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlSettings {
    /// Absent: socket 0600 in a 0700 folder; with it: 0660 in 0750, for that group.
    pub group: Option<String>,
}

/// `[records]`: detail records.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordsSettings {
    /// File of JSON lines, relative to the state folder.
    pub file: PathBuf,
}

impl Default for RecordsSettings {
    fn default() -> Self {
        Self { file: PathBuf::from("calls.jsonl") }
    }
}

/// `[astdb]`: the store of families and keys.
#[derive(Clone, Debug, PartialEq)]
pub struct AstdbSettings {
    /// The store, relative to the state folder; made at the first put.
    pub file: PathBuf,
    /// Where the server has the key from.
    pub key: KeyChoice,
    /// With [`KeyChoice::File`]: the file, relative to the state folder; made with the store.
    pub key_file: PathBuf,
    /// Whether a new store hides the names of families and keys.
    pub hide_names: bool,
}

impl Default for AstdbSettings {
    fn default() -> Self {
        Self {
            file: PathBuf::from("astdb.sqlite3"),
            key: KeyChoice::File,
            key_file: PathBuf::from("astdb.key"),
            hide_names: false,
        }
    }
}

/// Where the server has the store's key from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyChoice {
    /// A file.
    #[default]
    File,
    /// Nowhere: `astdb unlock` gives it to the running server, which keeps it in memory for a while.
    Held,
}

impl KeyChoice {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Held => "held",
        }
    }
}

/// `[log]`: what goes to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// Least important level shown.
    pub level: LogLevel,
    /// Text or JSON.
    pub format: LogFormat,
}

/// Levels of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// Also what an administrator should look at.
    Warn,
    /// Also one line per noteworthy event.
    #[default]
    Info,
    /// Also each step.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// `[limits]`; 0 means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once.
    pub calls: u32,
    /// Calls at once of one user.
    pub calls_per_user: u32,
    /// Requests per second from one source address. Trunks are never limited; programs on this machine only where it is
    /// written: absent, it is [`Self::USUAL_REQUESTS`] for all others.
    pub requests_per_second_per_source: Option<u32>,
    /// Failed logins until a source is banned.
    pub bad_logins: u32,
    /// First ban; doubled each time.
    pub ban_time: Duration,
}

impl Limits {
    /// Requests per second from one source address that is no trunk's and not this machine's, where nothing is written.
    pub const USUAL_REQUESTS: u32 = 50;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 0,
            calls_per_user: 10,
            requests_per_second_per_source: None,
            bad_logins: 5,
            ban_time: Duration::from_secs(300),
        }
    }
}
