//! Where a session's sound goes and where the supervisor's voice comes from, when not standard streams.
//! Above: `session`. One device, one file, one line in `open`.

mod card;
mod file;
mod none;
mod pulse;

use std::path::PathBuf;

use thiserror::Error;
use tokio::sync::mpsc;

pub use card::EchoWish;
pub use pulse::{CardInfo, Kind, SoundServer, list};

use super::sound::Heard;
use super::spool::SinkFailure;
use crate::audio::file::SoundError;
use crate::audio::resample::ResampleError;
use crate::control::supervision::VoiceFrame;

/// A sound device. Both calls come once a beat of the call, and neither may wait.
pub trait Device: Send {
    /// Plays what is heard.
    fn play(&mut self, heard: &Heard);

    /// The next frame of the supervisor's voice; `None` is silence. Asked only while the microphone is open.
    fn voice(&mut self) -> Option<VoiceFrame>;

    /// The mode begins to speak, or no longer does: nothing listens to the room in between.
    fn microphone(&mut self, _wanted: Microphone) {}

    /// Drops what was said and not asked for yet: it was not meant for who hears from now on.
    fn forget(&mut self) {}

    /// What has happened to the device since it was last asked; told once.
    fn trouble(&mut self) -> Option<String> {
        None
    }

    /// The session is over; what was played is brought to an end.
    fn finish(self: Box<Self>);
}

/// Whether the supervisor's room is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Microphone {
    /// In a speaking mode.
    Open,
    /// In listen mode.
    Closed,
}

/// A device by its name on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// `none`: no sound, no voice.
    None,
    /// `file:IN.wav[,OUT.wav]`: the voice from one file, what is heard into another.
    File {
        /// The voice: WAV or FLAC, any rate. Empty: none.
        voice: Option<PathBuf>,
        /// What is heard: WAV, 8 kHz, mixed.
        heard: Option<PathBuf>,
    },
    /// `NAME[,MICROPHONE]`: a sound card.
    Card(CardName),
}

/// A sound card by the names of its two ends, whole or a part that only it has; `default` is the sound server's own choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardName {
    /// Plays.
    pub speaker: String,
    /// Hears; absent: that of the speaker's name, else the default one.
    pub microphone: Option<String>,
}

impl CardName {
    fn is_default(&self) -> bool {
        let is_default = |name: &str| name.is_empty() || name == "default";
        is_default(&self.speaker) && self.microphone.as_deref().is_none_or(is_default)
    }
}

/// What opening a device needs beside its name.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Where the sound server is.
    pub server: SoundServer,
    /// Whether the loudspeaker is kept out of the microphone.
    pub echo: EchoWish,
    /// Told when a file cannot be written.
    pub failures: mpsc::UnboundedSender<SinkFailure>,
}

/// Why a device cannot be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// No such device.
    #[error("unknown device `{0}`, known are a sound card's name, `default`, `file:IN.wav[,OUT.wav]` and `none`")]
    Unknown(String),
    /// No sound server: neither PulseAudio nor PipeWire.
    #[error("no sound server runs here, neither PulseAudio nor PipeWire")]
    NoServer,
    /// The sound server refuses, or does not answer.
    #[error("{0}")]
    Server(String),
    /// The sound server knows none.
    #[error("no {kind} is called `{wanted}`")]
    NoSuchCard {
        /// The name given.
        wanted: String,
        /// What it was to be.
        kind: Kind,
    },
    /// Several could be meant.
    #[error("`{wanted}` may be either {kind} of {one} and {other}")]
    Ambiguous {
        /// The name given.
        wanted: String,
        /// What it was to be.
        kind: Kind,
        /// One that matches.
        one: String,
        /// Another.
        other: String,
    },
    /// The voice's file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The voice's file is no sound.
    #[error("{path}: {source}")]
    Sound {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SoundError,
    },
    /// The voice's rate cannot be changed to the call's.
    #[error("{path}: {source}")]
    Rate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ResampleError,
    },
}

impl DeviceError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoServer | Self::Server(_) => {
                Some("`--stdout` hands the sound to another program, `--device none` shows the meters without sound")
            }
            Self::NoSuchCard { .. } | Self::Ambiguous { .. } => Some("`spy --list-devices` shows their names"),
            Self::Unknown(_) | Self::File { .. } | Self::Sound { .. } | Self::Rate { .. } => None,
        }
    }
}

impl Default for DeviceName {
    /// The sound server's own choice.
    fn default() -> Self {
        Self::Card(CardName { speaker: "default".to_owned(), microphone: None })
    }
}

impl std::str::FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        if name == "none" {
            return Ok(Self::None);
        }
        let Some(files) = name.strip_prefix("file:") else {
            let (speaker, microphone) = name.split_once(',').map_or((name, None), |(one, two)| (one, Some(two)));
            if speaker.is_empty() && microphone.is_none_or(str::is_empty) {
                return Err(DeviceError::Unknown(name.to_owned()));
            }
            return Ok(Self::Card(CardName {
                speaker: speaker.to_owned(),
                microphone: microphone.map(ToOwned::to_owned),
            }));
        };
        let (voice, heard) = files.split_once(',').unwrap_or((files, ""));
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        match (path(voice), path(heard)) {
            (None, None) => Err(DeviceError::Unknown(name.to_owned())),
            (voice, heard) => Ok(Self::File { voice, heard }),
        }
    }
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] when a file cannot be used, or no such card.
    pub async fn open(&self, opening: Opening) -> Result<Box<dyn Device>, DeviceError> {
        match self {
            Self::None => Ok(Box::new(none::Silence)),
            Self::File { voice, heard } => {
                Ok(Box::new(file::Files::open(voice.as_deref(), heard.as_deref(), opening.failures)?))
            }
            Self::Card(name) => Ok(Box::new(pulse::open(&opening.server, name, opening.echo).await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_on_the_command_line() {
        let name = |text: &str| text.parse::<DeviceName>();
        let file = |voice: Option<&str>, heard: Option<&str>| DeviceName::File {
            voice: voice.map(PathBuf::from),
            heard: heard.map(PathBuf::from),
        };
        assert_eq!(name("none").expect("a device"), DeviceName::None);
        assert_eq!(name("file:a.wav").expect("a device"), file(Some("a.wav"), None));
        assert_eq!(name("file:a.wav,b.wav").expect("a device"), file(Some("a.wav"), Some("b.wav")));
        assert_eq!(name("file:,b.wav").expect("a device"), file(None, Some("b.wav")));
        let card = |speaker: &str, microphone: Option<&str>| {
            DeviceName::Card(CardName { speaker: speaker.into(), microphone: microphone.map(Into::into) })
        };
        assert_eq!(name("jabra").expect("a device"), card("jabra", None));
        assert_eq!(name("out,in").expect("a device"), card("out", Some("in")));
        assert_eq!(name("default").expect("a device"), DeviceName::default());
        for wrong in ["", ",", "file:", "file:,"] {
            assert!(matches!(name(wrong), Err(DeviceError::Unknown(_))), "{wrong}");
        }
    }
}
