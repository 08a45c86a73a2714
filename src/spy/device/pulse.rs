//! The sound server: PulseAudio, or PipeWire speaking its language, over its Unix socket.
//! Above: `card` between it and the session. The server is found from what the environment says, which comes in as an argument.

use std::ffi::{CString, OsString};
use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    self, ChannelMap, PlaybackStreamParams, Prop, Props, RecordStreamParams, SampleFormat, SampleSpec, SinkInfo,
    SourceInfo,
};
use pulseaudio::{AsPlaybackSource, Client, ClientError, PlaybackStream, RecordStream};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::card::{CARD_HZ, Card, Sides};
use super::{CardName, DeviceError, EchoWish, Microphone};

/// How long the sound server may take for an answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Bytes of a fragment: 20 ms of mono 16-bit samples.
const FRAGMENT: u32 = CARD_HZ / 50 * 2;
/// Bytes of the key that lets us in.
const COOKIE: usize = 256;

/// Where a sound server may be.
#[derive(Clone, Debug, Default)]
pub struct SoundServer {
    /// Its socket: the first that takes us.
    sockets: Vec<PathBuf>,
    /// Files with the key that lets us in: the first that can be read.
    cookies: Vec<PathBuf>,
}

impl SoundServer {
    /// From the environment as PulseAudio's own programs read it; `uid` is this account's number.
    pub fn from_environment(value: impl Fn(&str) -> Option<OsString>, uid: u32) -> Self {
        let path = |name: &str| value(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cookies = [
            path("PULSE_COOKIE"),
            path("XDG_CONFIG_HOME").map(|folder| folder.join("pulse/cookie")),
            path("HOME").map(|home| home.join(".config/pulse/cookie")),
            path("HOME").map(|home| home.join(".pulse-cookie")),
        ];
        let cookies = cookies.into_iter().flatten().collect();
        if let Some(named) = value("PULSE_SERVER").filter(|value| !value.is_empty()) {
            // Where a server is named, no other is meant. One over the network is none of ours.
            let named = named.to_string_lossy().into_owned();
            let local = |word: &str| {
                let word = word.rsplit_once('}').map_or(word, |(_, word)| word);
                let path = word.strip_prefix("unix:").unwrap_or(word);
                path.starts_with('/').then(|| PathBuf::from(path))
            };
            return Self { sockets: named.split_whitespace().filter_map(local).collect(), cookies };
        }
        let sockets = [
            path("PULSE_RUNTIME_PATH").map(|folder| folder.join("native")),
            path("XDG_RUNTIME_DIR").map(|folder| folder.join("pulse/native")),
            Some(PathBuf::from(format!("/run/user/{uid}/pulse/native"))),
            Some(PathBuf::from("/run/pulse/native")),
        ];
        Self { sockets: sockets.into_iter().flatten().collect(), cookies }
    }

    async fn connect(&self) -> Result<Client, DeviceError> {
        let this = self.clone();
        let connecting = tokio::task::spawn_blocking(move || this.connect_blocking());
        match timeout(ANSWER, connecting).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) | Err(_) => Err(DeviceError::Server("the sound server does not answer".to_owned())),
        }
    }

    fn connect_blocking(&self) -> Result<Client, DeviceError> {
        let connected = self.sockets.iter().find_map(|path| UnixStream::connect(path).ok());
        let socket = connected.ok_or(DeviceError::NoServer)?;
        let cookie = self.cookies.iter().find_map(|path| std::fs::read(path).ok());
        // A server that knows us by our account looks at no key, but wants one of that length.
        let cookie = cookie.filter(|cookie| cookie.len() == COOKIE).unwrap_or_else(|| vec![0; COOKIE]);
        Ok(Client::new_unix(c"spy", socket, Some(cookie))?)
    }
}

impl From<ClientError> for DeviceError {
    fn from(error: ClientError) -> Self {
        Self::Server(match error {
            ClientError::ServerError(why) => format!("the sound server refuses: {why:?}"),
            ClientError::Disconnected => "the sound server has gone".to_owned(),
            ClientError::Io(why) => format!("the sound server: {why}"),
            other => format!("the sound server: {other}"),
        })
    }
}

async fn answered<T>(answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, DeviceError> {
    match timeout(ANSWER, answer).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(DeviceError::Server("the sound server does not answer".to_owned())),
    }
}

/// What a device of the sound server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Plays.
    Speaker,
    /// Hears.
    Microphone,
    /// Hears what a speaker plays.
    Monitor,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Speaker => "speaker",
            Self::Microphone => "microphone",
            Self::Monitor => "monitor",
        })
    }
}

/// A device of the sound server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CardInfo {
    /// What `--device` takes.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// For people.
    pub description: String,
    /// Used when no name is given.
    pub default: bool,
}

impl CardInfo {
    fn speaker(sink: &SinkInfo) -> Self {
        let description = sink.description.as_deref().unwrap_or(&sink.name).to_string_lossy().into_owned();
        Self { name: sink.name.to_string_lossy().into_owned(), kind: Kind::Speaker, description, default: false }
    }

    fn source(source: &SourceInfo) -> Self {
        let description = source.description.as_deref().unwrap_or(&source.name).to_string_lossy().into_owned();
        let kind = if source.monitor_of_sink_index.is_some() { Kind::Monitor } else { Kind::Microphone };
        Self { name: source.name.to_string_lossy().into_owned(), kind, description, default: false }
    }

    fn is_played_on(&self) -> bool {
        self.kind == Kind::Speaker
    }
}

/// All devices of the sound server, speakers first.
///
/// # Errors
///
/// [`DeviceError`] when no server answers.
pub async fn list(server: &SoundServer) -> Result<Vec<CardInfo>, DeviceError> {
    list_of(&server.connect().await?).await
}

async fn list_of(client: &Client) -> Result<Vec<CardInfo>, DeviceError> {
    let defaults = answered(client.server_info()).await?;
    let sinks = answered(client.list_sinks()).await?;
    let sources = answered(client.list_sources()).await?;
    let mut cards: Vec<CardInfo> =
        sinks.iter().map(CardInfo::speaker).chain(sources.iter().map(CardInfo::source)).collect();
    for card in &mut cards {
        let default = if card.is_played_on() { &defaults.default_sink_name } else { &defaults.default_source_name };
        card.default = default.as_ref().is_some_and(|name| name.to_string_lossy() == card.name);
    }
    Ok(cards)
}

/// The name of the one device that is meant; `None`: the server's default.
fn choose(cards: &[CardInfo], wanted: &str, kind: Kind) -> Result<Option<CString>, DeviceError> {
    if wanted.is_empty() || wanted == "default" {
        return Ok(None);
    }
    let usable = |card: &&CardInfo| card.is_played_on() == (kind == Kind::Speaker);
    if let Some(card) = cards.iter().filter(usable).find(|card| card.name == wanted) {
        return Ok(CString::new(card.name.as_str()).ok());
    }
    let part = wanted.to_lowercase();
    let is_meant = |card: &&CardInfo| {
        card.kind == kind && [&card.name, &card.description].iter().any(|text| text.to_lowercase().contains(&part))
    };
    let mut meant = cards.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(card), None) => Ok(CString::new(card.name.as_str()).ok()),
        (Some(one), Some(other)) => Err(DeviceError::Ambiguous {
            wanted: wanted.to_owned(),
            kind,
            one: one.name.clone(),
            other: other.name.clone(),
        }),
        (None, _) => Err(DeviceError::NoSuchCard { wanted: wanted.to_owned(), kind }),
    }
}

/// Opens the loudspeaker; the microphone waits until someone speaks.
pub(super) async fn open(server: &SoundServer, name: &CardName, echo: EchoWish) -> Result<Card, DeviceError> {
    let client = server.connect().await?;
    let cards = if name.is_default() { Vec::new() } else { list_of(&client).await? };
    let speaker = choose(&cards, &name.speaker, Kind::Speaker)?;
    let microphone = match choose(&cards, name.microphone.as_deref().unwrap_or(&name.speaker), Kind::Microphone) {
        // One name for both: a loudspeaker without a microphone of its own is used with the default one.
        Err(DeviceError::NoSuchCard { .. }) if name.microphone.is_none() => None,
        done => done?,
    };
    let sides = Sides::new(echo);
    let playback = play(&client, speaker, &sides).await?;
    let (orders, ordered) = mpsc::unbounded_channel();
    tokio::spawn(serve(Station { client, microphone, sides: Arc::clone(&sides) }, playback, ordered));
    Card::new(sides, orders).map_err(|error| DeviceError::Server(error.to_string()))
}

/// What the card's task works with.
struct Station {
    client: Client,
    microphone: Option<CString>,
    sides: Arc<Sides>,
}

/// Holds the loudspeaker, and the microphone while it is wanted; both are given back at the end of the orders.
async fn serve(station: Station, playback: PlaybackStream, mut orders: mpsc::UnboundedReceiver<Microphone>) {
    let mut recording = None;
    while let Some(order) = orders.recv().await {
        match order {
            Microphone::Open if recording.is_none() => match record(&station).await {
                Ok(stream) => recording = Some(stream),
                Err(error) => station.sides.tell(format!("no microphone, you are not heard: {error}")),
            },
            Microphone::Open => {}
            Microphone::Closed => {
                if let Some(stream) = recording.take() {
                    let _ = answered(stream.delete()).await;
                }
            }
        }
    }
    drop(playback);
}

/// Told when the sound server's thread lets go of a stream: the server is gone.
struct Leaving(Arc<Sides>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.tell("the sound server has gone; the session goes on without sound");
    }
}

async fn play(client: &Client, sink: Option<CString>, sides: &Arc<Sides>) -> Result<PlaybackStream, DeviceError> {
    let leaving = Leaving(Arc::clone(sides));
    let source = move |bytes: &mut [u8]| {
        leaving.0.fill(bytes);
        bytes.len()
    };
    let params = PlaybackStreamParams {
        sample_spec: spec(),
        channel_map: ChannelMap::mono(),
        sink_name: Some(sink.unwrap_or_else(|| protocol::DEFAULT_SINK.to_owned())),
        buffer_attr: BufferAttr {
            target_length: 2 * FRAGMENT,
            pre_buffering: FRAGMENT,
            minimum_request_length: FRAGMENT,
            ..BufferAttr::default()
        },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        props: props(c"call"),
        ..PlaybackStreamParams::default()
    };
    answered(client.create_playback_stream(params, source.as_playback_source())).await
}

async fn record(station: &Station) -> Result<RecordStream, DeviceError> {
    let sides = Arc::clone(&station.sides);
    let params = RecordStreamParams {
        sample_spec: spec(),
        channel_map: ChannelMap::mono(),
        source_name: Some(station.microphone.clone().unwrap_or_else(|| protocol::DEFAULT_SOURCE.to_owned())),
        buffer_attr: BufferAttr { fragment_size: FRAGMENT, ..BufferAttr::default() },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        props: props(c"voice"),
        ..RecordStreamParams::default()
    };
    answered(station.client.create_record_stream(params, move |bytes: &[u8]| sides.hear(bytes))).await
}

fn spec() -> SampleSpec {
    SampleSpec { format: SampleFormat::S16Le, channels: 1, sample_rate: CARD_HZ }
}

fn props(name: &std::ffi::CStr) -> Props {
    let mut props = Props::new();
    props.set(Prop::MediaName, name);
    props.set(Prop::MediaRole, c"phone");
    props
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn server(environment: &[(&str, &str)]) -> SoundServer {
        let environment: HashMap<_, _> = environment.iter().copied().collect();
        SoundServer::from_environment(|name| environment.get(name).map(OsString::from), 1_000)
    }

    #[test]
    fn the_server_is_where_pulseaudios_own_programs_look_for_it() {
        let places = server(&[("XDG_RUNTIME_DIR", "/r"), ("PULSE_RUNTIME_PATH", "/p"), ("HOME", "/h")]);
        let paths: Vec<_> = ["/p/native", "/r/pulse/native", "/run/user/1000/pulse/native", "/run/pulse/native"]
            .map(PathBuf::from)
            .into();
        assert_eq!(places.sockets, paths);
        assert_eq!(places.cookies.first(), Some(&PathBuf::from("/h/.config/pulse/cookie")));
    }

    #[test]
    fn a_server_that_is_named_is_the_only_one_and_none_over_the_network() {
        let named = |value: &str| server(&[("PULSE_SERVER", value), ("XDG_RUNTIME_DIR", "/r")]).sockets;
        assert_eq!(named("unix:/a/b"), [PathBuf::from("/a/b")]);
        assert_eq!(named("/a/b"), [PathBuf::from("/a/b")]);
        assert_eq!(named("{d00f}unix:/a tcp:host:4713 /c"), [PathBuf::from("/a"), PathBuf::from("/c")]);
        assert!(named("tcp:host:4713").is_empty());
        assert_eq!(named("").len(), 3, "an empty word is none");
    }

    fn cards() -> Vec<CardInfo> {
        let card = |name: &str, kind, description: &str| CardInfo {
            name: name.into(),
            kind,
            description: description.into(),
            default: false,
        };
        vec![
            card("out.usb-Jabra", Kind::Speaker, "Jabra Evolve Mono"),
            card("out.pci", Kind::Speaker, "Built-in Analog"),
            card("in.usb-Jabra", Kind::Microphone, "Jabra Evolve Mono"),
            card("out.usb-Jabra.monitor", Kind::Monitor, "Monitor of Jabra Evolve Mono"),
        ]
    }

    #[test]
    fn a_card_is_meant_by_its_name_or_a_part_that_only_it_has() {
        let chosen = |wanted, kind| choose(&cards(), wanted, kind).map_err(|error| error.to_string());
        let name = |text: &str| Ok(CString::new(text).ok());
        assert_eq!(chosen("jabra", Kind::Speaker), name("out.usb-Jabra"));
        assert_eq!(
            chosen("jabra", Kind::Microphone),
            name("in.usb-Jabra"),
            "a monitor is meant only by its whole name"
        );
        assert_eq!(chosen("out.usb-Jabra.monitor", Kind::Microphone), name("out.usb-Jabra.monitor"));
        assert_eq!(chosen("default", Kind::Speaker), Ok(None));
        assert!(chosen("out.", Kind::Speaker).is_err_and(|why| why.contains("out.usb-Jabra and out.pci")));
        assert!(chosen("built-in", Kind::Microphone).is_err_and(|why| why.starts_with("no microphone is called")));
    }
}
