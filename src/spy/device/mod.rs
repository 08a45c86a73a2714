//! Where a session's sound goes and where the supervisor's voice comes from, when not standard streams.
//! Above: `session`. One device, one file, one line in `open`.

mod file;
mod none;

use std::path::PathBuf;

use thiserror::Error;
use tokio::sync::mpsc;

use super::sound::Heard;
use super::spool::SinkFailure;
use crate::audio::file::SoundError;
use crate::audio::resample::ResampleError;
use crate::control::supervision::VoiceFrame;

/// A sound device. Both calls come once a beat of the call, and neither may wait.
pub trait Device: Send {
    /// Plays what is heard.
    fn play(&mut self, heard: &Heard);

    /// The next frame of the supervisor's voice; `None` is silence. Asked only in a speaking mode, so a microphone need not be open before.
    fn voice(&mut self) -> Option<VoiceFrame>;

    /// The session is over; what was played is brought to an end.
    fn finish(self: Box<Self>);
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
}

/// Why a device cannot be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// No such device.
    #[error("unknown device `{0}`, known are `file:IN.wav[,OUT.wav]` and `none`")]
    Unknown(String),
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

impl std::str::FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        if name == "none" {
            return Ok(Self::None);
        }
        let files = name.strip_prefix("file:").ok_or_else(|| DeviceError::Unknown(name.to_owned()))?;
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
    /// [`DeviceError`] when a file cannot be used.
    pub fn open(&self, failures: mpsc::UnboundedSender<SinkFailure>) -> Result<Box<dyn Device>, DeviceError> {
        match self {
            Self::None => Ok(Box::new(none::Silence)),
            Self::File { voice, heard } => {
                Ok(Box::new(file::Files::open(voice.as_deref(), heard.as_deref(), failures)?))
            }
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
        for wrong in ["", "file:", "file:,", "card", "FILE:a"] {
            assert!(matches!(name(wrong), Err(DeviceError::Unknown(_))), "{wrong}");
        }
    }
}
