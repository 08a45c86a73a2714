//! Sounds by their dialplan names: files below the sounds folder, those built in, and `silence/N`. Above: `app/*`.
//! Below: `audio/file` and `audio/raw` decode, `cache` keeps what was decoded.

mod cache;
mod missing;
mod music;

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::audio::{file, prompts, raw, resample};
use crate::media::Source;

use cache::{Cache, Origin, Samples, Stamp};

/// Longest `silence/N`, in seconds.
const MAX_SILENCE_S: usize = 60;

/// Samples a second of what is played.
const PLAYED_HZ: u32 = 8_000;

/// Longest file read.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// The language of the built-in sounds, and of channels that were told no other.
const LANGUAGE: &str = "en";

/// Endings of files that say themselves what they are.
const CONTAINERS: &[&str] = &["wav", "flac", "aiff", "aif", "caf", "ogg", "oga", "mp3"];

/// Where sounds come from. Clones share what was decoded.
#[derive(Clone, Debug)]
pub struct Sounds {
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    folder: RwLock<PathBuf>,
    cache: Mutex<Cache>,
}

/// Why there is nothing to play.
#[derive(Debug, thiserror::Error)]
pub enum SoundProblem {
    /// Neither a file nor built in.
    #[error("no sound `{name}`: none is built in, and {} has no {name}.wav or other sound file", folder.display())]
    Missing {
        /// As given.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A name that leads out of the sounds folder.
    #[error("`{0}` is no name of a sound: it leads out of the sounds folder")]
    Outside(String),
    /// A file that cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is no sound.
    #[error("{}: {source}", path.display())]
    Unplayable {
        /// The file, or the name of a built-in sound.
        path: PathBuf,
        /// Why.
        source: file::SoundError,
    },
    /// A sound whose rate nothing can be made of.
    #[error("{}: {source}", path.display())]
    Rate {
        /// The file, or the name of a built-in sound.
        path: PathBuf,
        /// Why.
        source: resample::ResampleError,
    },
}

/// What a name stands for, before it is read.
enum Found {
    Silence { samples: usize },
    File { path: PathBuf, ending: &'static str, stamp: Stamp },
    BuiltIn(&'static [u8]),
}

impl Sounds {
    /// Sounds below `folder`, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { shelf: Arc::new(Shelf { folder: RwLock::new(folder), cache: Mutex::default() }) }
    }

    /// Looks below another folder from now on.
    pub fn set_folder(&self, folder: PathBuf) {
        *self.shelf.folder.write().unwrap_or_else(PoisonError::into_inner) = folder;
    }

    /// The sound of that name, without ending, in English. Reads and decodes away from the tasks that serve calls.
    ///
    /// # Errors
    /// There is no such sound, or it cannot be played.
    pub async fn load(&self, name: &str) -> Result<Source, SoundProblem> {
        self.load_in(LANGUAGE, name).await
    }

    /// The sound of that name in a language (`de`, `en_GB`; none is English), else the one that is in no language's folder.
    ///
    /// # Errors
    /// There is no such sound, or it cannot be played.
    pub async fn load_in(&self, language: &str, name: &str) -> Result<Source, SoundProblem> {
        let language = if language.is_empty() { LANGUAGE } else { language };
        let (wanted, language) = (name.to_owned(), language.to_owned());
        self.reads(name, move |shelf| shelf.read(&language, &wanted)).await
    }

    /// The sound in a WAV file that is known to be one that may be played, wherever it lies.
    ///
    /// # Errors
    /// It is not there, or it cannot be played.
    pub(super) async fn load_file(&self, path: PathBuf) -> Result<Source, SoundProblem> {
        let name = path.to_string_lossy().into_owned();
        self.reads(&name, move |shelf| shelf.read_file(path)).await
    }

    async fn reads(
        &self,
        name: &str,
        read: impl FnOnce(&Shelf) -> Result<Samples, SoundProblem> + Send + 'static,
    ) -> Result<Source, SoundProblem> {
        let shelf = self.shelf.clone();
        let reading = tokio::task::spawn_blocking(move || read(&shelf));
        let samples = reading.await.unwrap_or_else(|_| Err(self.shelf.missing(name)))?;
        Ok(Source::Samples { rate_hz: PLAYED_HZ, samples, repeat: false })
    }

    /// Whether there is a sound of that name in English or in no language; it is not decoded.
    ///
    /// # Errors
    /// There is none.
    pub fn check(&self, name: &str) -> Result<(), SoundProblem> {
        self.shelf.find(LANGUAGE, name).map(|_| ())
    }
}

impl Shelf {
    fn folder(&self) -> PathBuf {
        self.folder.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn missing(&self, name: &str) -> SoundProblem {
        SoundProblem::Missing { name: name.to_owned(), folder: self.folder() }
    }

    fn find(&self, language: &str, name: &str) -> Result<Found, SoundProblem> {
        let folder = self.folder();
        // dialplans written for a fixed folder name it; what is below it is not outside
        let inner = name.strip_prefix(&*folder.to_string_lossy()).and_then(|rest| rest.strip_prefix('/'));
        let name = inner.unwrap_or(name);
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
        if name.is_empty() || name.contains('\0') || !Path::new(name).components().all(inside) {
            return Err(SoundProblem::Outside(name.to_owned()));
        }
        for below in folders(&folder, language) {
            if let Some(found) = file_in(&below, name) {
                return Ok(found);
            }
        }
        if let Some(seconds) = name.strip_prefix("silence/").and_then(|text| text.parse::<usize>().ok()) {
            return Ok(Found::Silence { samples: seconds.min(MAX_SILENCE_S) * PLAYED_HZ as usize });
        }
        prompts::find(name).map(Found::BuiltIn).ok_or_else(|| self.missing(name))
    }

    fn read(&self, language: &str, name: &str) -> Result<Samples, SoundProblem> {
        self.decoded(name, self.find(language, name)?)
    }

    /// A file that is no link to another one.
    fn read_file(&self, path: PathBuf) -> Result<Samples, SoundProblem> {
        let facts = std::fs::symlink_metadata(&path);
        let facts = facts.map_err(|source| SoundProblem::Unreadable { path: path.clone(), source })?;
        if !facts.is_file() || facts.len() > MAX_FILE_BYTES {
            return Err(SoundProblem::Outside(path.to_string_lossy().into_owned()));
        }
        let stamp = facts.modified().ok().map(|changed| (changed, facts.len()));
        self.decoded("", Found::File { path, ending: "wav", stamp })
    }

    fn decoded(&self, name: &str, found: Found) -> Result<Samples, SoundProblem> {
        let (origin, stamp) = match &found {
            Found::Silence { samples } => return Ok(vec![0; *samples].into()),
            Found::File { path, stamp, .. } => (Origin::File(path.clone()), *stamp),
            Found::BuiltIn(_) => (Origin::BuiltIn(name.to_owned()), None),
        };
        if let Some(samples) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&origin, stamp) {
            return Ok(samples);
        }
        let samples: Samples = match found {
            Found::File { path, ending, .. } => {
                let bytes = std::fs::read(&path);
                let bytes = bytes.map_err(|source| SoundProblem::Unreadable { path: path.clone(), source })?;
                decode(ending, &bytes, &path)?
            }
            Found::BuiltIn(bytes) => decode("flac", bytes, Path::new(name))?,
            Found::Silence { .. } => Vec::new(),
        }
        .into();
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(origin, stamp, &samples);
        Ok(samples)
    }
}

/// Where a name is looked for: `folder/en_GB`, `folder/en`, `folder`. A language that is no plain word is none.
fn folders(folder: &Path, language: &str) -> Vec<PathBuf> {
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let short = language.split(['_', '-']).next().unwrap_or_default();
    let mut languages: Vec<&str> = [language, short].into_iter().filter(|text| plain(text)).collect();
    languages.dedup();
    languages.into_iter().map(|language| folder.join(language)).chain([folder.to_owned()]).collect()
}

/// The best file of that name in one folder.
fn file_in(folder: &Path, name: &str) -> Option<Found> {
    CONTAINERS.iter().copied().chain(raw::endings()).find_map(|ending| {
        let path = folder.join(format!("{name}.{ending}"));
        let facts = std::fs::metadata(&path).ok().filter(|facts| facts.is_file() && facts.len() <= MAX_FILE_BYTES)?;
        let stamp = facts.modified().ok().map(|changed| (changed, facts.len()));
        Some(Found::File { path, ending, stamp })
    })
}

/// The samples of a file at the rate they are played with.
fn decode(ending: &str, bytes: &[u8], path: &Path) -> Result<Vec<i16>, SoundProblem> {
    let sound = match raw::decode(ending, bytes) {
        Some(sound) => sound,
        None => file::decode(bytes).map_err(|source| SoundProblem::Unplayable { path: path.to_owned(), source })?,
    };
    resample::to_8khz(&sound.samples, sound.rate_hz)
        .map_err(|source| SoundProblem::Rate { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sounds folder with these files.
    fn sounds(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Sounds) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let sounds = Sounds::new(folder.path().to_owned());
        (folder, sounds)
    }

    fn length(sounds: &Sounds, language: &str, name: &str) -> Option<usize> {
        sounds.shelf.read(language, name).ok().map(|samples| samples.len())
    }

    #[test]
    fn a_file_of_the_folder_comes_before_a_built_in_sound() {
        let (_folder, sounds) = sounds(&[("u.ulaw", &[0xff; 5])]);
        assert!(length(&sounds, "en", "beep") > Some(1_000));
        std::fs::write(_folder.path().join("beep.sln"), [1, 0, 2, 0, 3, 0]).unwrap();
        assert_eq!(length(&sounds, "en", "beep"), Some(3));
        assert_eq!(length(&sounds, "en", "u"), Some(5));
        assert_eq!(length(&sounds, "en", "silence/2"), Some(16_000));
    }

    #[test]
    fn the_folder_of_the_language_comes_first_and_is_no_duty() {
        let files: [(&str, &[u8]); 4] =
            [("de/no.sln", &[0; 2]), ("no.sln", &[0; 4]), ("en/digits/1.sln", &[0; 6]), ("de_CH/no.alaw", &[0; 9])];
        let (_folder, sounds) = sounds(&files);
        assert_eq!(length(&sounds, "de", "no"), Some(1));
        assert_eq!(length(&sounds, "de_AT", "no"), Some(1), "de_AT is de when it has no folder");
        assert_eq!(length(&sounds, "de_CH", "no"), Some(9));
        assert_eq!(length(&sounds, "fr", "no"), Some(2));
        assert_eq!(length(&sounds, "../../etc", "no"), Some(2));
        assert_eq!(length(&sounds, "en", "digits/1"), Some(3));
        assert!(length(&sounds, "fr", "digits/1") > Some(1_000), "the built-in one");
    }

    #[test]
    fn every_format_of_prompt_packs_is_played() {
        let g722 = include_bytes!("../../tests/data/sounds/wide.g722");
        let gsm = include_bytes!("../../tests/data/sounds/tone.gsm");
        let (aiff, mp3, ogg) = (
            include_bytes!("../../tests/data/sounds/wide.aiff"),
            include_bytes!("../../tests/data/sounds/wide.mp3"),
            include_bytes!("../../tests/data/sounds/wide.ogg"),
        );
        let files: [(&str, &[u8]); 6] = [
            ("a.g722", g722),
            ("b.gsm", gsm),
            ("c.aiff", aiff),
            ("d.mp3", mp3),
            ("e.ogg", ogg),
            ("f.sln48", &[0; 9_600]),
        ];
        let (_folder, sounds) = sounds(&files);
        // 200 ms, but the tone of the GSM file 400 ms and the raw one 100 ms; MP3 adds its own edges
        for (name, samples) in [("a", 1_600), ("b", 3_200), ("c", 1_600), ("d", 1_600), ("e", 1_600), ("f", 800)] {
            let length = length(&sounds, "en", name).expect(name);
            assert!(length.abs_diff(samples) <= if name == "d" { 1_000 } else { 40 }, "{name}: {length}");
        }
    }

    #[test]
    fn a_changed_file_is_read_again_and_an_unchanged_one_is_decoded_once() {
        let (folder, sounds) = sounds(&[("x.sln", &[0; 10])]);
        let first = sounds.shelf.read("en", "x").unwrap();
        assert!(Arc::ptr_eq(&first, &sounds.shelf.read("en", "x").unwrap()));
        std::fs::write(folder.path().join("x.sln"), [0; 20]).unwrap();
        assert_eq!(length(&sounds, "en", "x"), Some(10));
    }

    #[test]
    fn another_folder_is_used_from_the_next_sound_on() {
        let (_one, sounds) = sounds(&[("x.sln", &[0; 10])]);
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("x.sln"), [0; 4]).unwrap();
        assert_eq!(length(&sounds, "en", "x"), Some(5));
        sounds.set_folder(other.path().to_owned());
        assert_eq!(length(&sounds, "en", "x"), Some(2));
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        let sounds = Sounds::new("/nowhere".into());
        for name in ["../secret", "/etc/passwd", "a/../../b", "", "a\0b", "/nowhere", "/nowhere/../x"] {
            assert!(matches!(sounds.check(name), Err(SoundProblem::Outside(_))), "{name:?}");
        }
        for name in ["nope", "/nowhere/nope"] {
            assert!(matches!(sounds.check(name), Err(SoundProblem::Missing { .. })), "{name:?}");
        }
        assert!(sounds.check("/nowhere/beep").is_ok());
    }

    #[test]
    fn what_is_no_sound_says_which_file_it_is() {
        let (_folder, sounds) = sounds(&[("x.wav", b"hello")]);
        let problem = sounds.shelf.read("en", "x").unwrap_err();
        assert!(problem.to_string().contains("x.wav"), "{problem}");
    }
}
