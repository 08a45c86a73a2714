//! Sounds by their dialplan names: files below the sounds folder, those built in, and `silence/N`. Above: `app/playback`.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::audio::{codec, file, prompts};
use crate::media::Source;

/// Longest `silence/N`, in seconds.
const MAX_SILENCE_S: usize = 60;

/// Samples a second of the formats without a header.
const RAW_RATE_HZ: u32 = 8_000;

/// Where sounds come from.
#[derive(Clone, Debug)]
pub struct Sounds {
    folder: PathBuf,
}

/// Why there is nothing to play.
#[derive(Debug, thiserror::Error)]
pub enum SoundProblem {
    /// Neither a file nor built in.
    #[error("no sound `{name}` ({name}.wav, .flac, .ulaw, .alaw or .sln in {})", folder.display())]
    Missing {
        /// As given.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A name that leads out of the sounds folder.
    #[error("`{0}` is no name of a sound: it leads out of the sounds folder")]
    Outside(String),
    /// A file that is no sound.
    #[error("{}: {source}", path.display())]
    Unplayable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: file::SoundError,
    },
}

impl Sounds {
    /// Sounds below `folder`, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The sound of that name, without ending. Reads and decodes away from the tasks that serve calls.
    ///
    /// # Errors
    /// There is no such sound, or it cannot be played.
    pub async fn load(&self, name: &str) -> Result<Source, SoundProblem> {
        let (sounds, name) = (self.clone(), name.to_owned());
        let missing = SoundProblem::Missing { name: name.clone(), folder: self.folder.clone() };
        tokio::task::spawn_blocking(move || sounds.read(&name)).await.unwrap_or(Err(missing))
    }

    fn read(&self, name: &str) -> Result<Source, SoundProblem> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
        if name.is_empty() || name.contains('\0') || !Path::new(name).components().all(inside) {
            return Err(SoundProblem::Outside(name.to_owned()));
        }
        for ending in ["wav", "flac", "ulaw", "alaw", "sln"] {
            let path = self.folder.join(format!("{name}.{ending}"));
            if let Ok(bytes) = std::fs::read(&path) {
                return decode(ending, &bytes).map_err(|source| SoundProblem::Unplayable { path, source });
            }
        }
        if let Some(seconds) = name.strip_prefix("silence/").and_then(|text| text.parse::<usize>().ok()) {
            let samples = seconds.min(MAX_SILENCE_S) * RAW_RATE_HZ as usize;
            return Ok(samples_at(RAW_RATE_HZ, vec![0; samples]));
        }
        let missing = || SoundProblem::Missing { name: name.to_owned(), folder: self.folder.clone() };
        let bytes = prompts::find(name).ok_or_else(missing)?;
        decode("flac", bytes).map_err(|source| SoundProblem::Unplayable { path: PathBuf::from(name), source })
    }
}

fn decode(ending: &str, bytes: &[u8]) -> Result<Source, file::SoundError> {
    let samples = match ending {
        "ulaw" => g711(codec::Codec::Pcmu, bytes),
        "alaw" => g711(codec::Codec::Pcma, bytes),
        "sln" => bytes.chunks_exact(2).filter_map(|pair| Some(i16::from_le_bytes(pair.try_into().ok()?))).collect(),
        _ => {
            let sound = file::decode(bytes)?;
            return Ok(samples_at(sound.rate_hz, sound.samples));
        }
    };
    Ok(samples_at(RAW_RATE_HZ, samples))
}

fn g711(codec: codec::Codec, bytes: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; bytes.len()];
    codec.decode(bytes, &mut samples);
    samples
}

fn samples_at(rate_hz: u32, samples: Vec<i16>) -> Source {
    Source::Samples { rate_hz, samples: Arc::from(samples), repeat: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(sounds: &Sounds, name: &str) -> Option<(u32, usize)> {
        match sounds.read(name) {
            Ok(Source::Samples { rate_hz, samples, .. }) => Some((rate_hz, samples.len())),
            _ => None,
        }
    }

    #[test]
    fn a_file_of_the_folder_comes_before_a_built_in_sound() {
        let folder = tempfile::tempdir().unwrap();
        let sounds = Sounds::new(folder.path().to_owned());
        assert!(length(&sounds, "beep").is_some());
        std::fs::write(folder.path().join("beep.sln"), [1, 0, 2, 0, 3, 0]).unwrap();
        std::fs::write(folder.path().join("u.ulaw"), [0xff; 5]).unwrap();
        assert_eq!(length(&sounds, "beep"), Some((8_000, 3)));
        assert_eq!(length(&sounds, "u"), Some((8_000, 5)));
        assert_eq!(length(&sounds, "silence/2"), Some((8_000, 16_000)));
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        let sounds = Sounds::new("/nowhere".into());
        for name in ["../secret", "/etc/passwd", "a/../../b", "", "a\0b"] {
            assert!(matches!(sounds.read(name), Err(SoundProblem::Outside(_))), "{name:?}");
        }
        assert!(matches!(sounds.read("nope"), Err(SoundProblem::Missing { .. })));
    }
}
