//! Music on hold: a class is a folder `moh/CLASS` of the sounds folder, or one sound of that name. Above: `app/*`.

use std::path::Path;

use super::{LANGUAGE, MAX_FILE_BYTES, PLAYED_HZ, Samples, Shelf, SoundProblem, Sounds, file_in};
use crate::media::Source;

/// The class where none is named.
pub(in crate::dialplan) const DEFAULT: &str = "default";

/// Samples of one class that are played, about 35 minutes; what comes after them is left out.
const MAX_SAMPLES: usize = 32 << 20 >> 1;

impl Sounds {
    /// The music of a class, over and over: all sounds of its folder in the order of their names.
    ///
    /// # Errors
    /// There is no such class, or nothing in it can be played.
    pub async fn music(&self, class: &str) -> Result<Source, SoundProblem> {
        let class = if class.is_empty() { DEFAULT } else { class }.to_owned();
        let (shelf, name) = (self.shelf.clone(), format!("moh/{class}"));
        let reading = tokio::task::spawn_blocking(move || shelf.music(&format!("moh/{class}")));
        let samples = reading.await.unwrap_or_else(|_| Err(self.shelf.missing(&name)))?;
        Ok(Source::Samples { rate_hz: PLAYED_HZ, samples, repeat: true })
    }
}

impl Shelf {
    fn music(&self, name: &str) -> Result<Samples, SoundProblem> {
        let titles =
            if name.split('/').any(|part| part == "..") { Vec::new() } else { titles(&self.folder().join(name)) };
        let mut all: Vec<i16> = Vec::new();
        let mut only = None;
        for title in &titles {
            match self.read(LANGUAGE, &format!("{name}/{title}")) {
                Ok(samples) if titles.len() == 1 => only = Some(samples),
                Ok(samples) if all.len() + samples.len() <= MAX_SAMPLES => all.extend_from_slice(&samples),
                Ok(_) => tracing::warn!(class = name, title, "music on hold: left out, there is too much of it"),
                Err(problem) => tracing::warn!(class = name, %problem, "music on hold"),
            }
        }
        match only {
            Some(samples) => Ok(samples),
            None if all.is_empty() => self.read(LANGUAGE, name),
            None => Ok(all.into()),
        }
    }
}

/// The sounds of a folder, without endings, in the order of their names.
fn titles(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut titles: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.metadata().is_ok_and(|facts| facts.is_file() && facts.len() <= MAX_FILE_BYTES))
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .filter(|title| file_in(folder, title).is_some())
        .collect();
    titles.sort();
    titles.dedup();
    titles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(sounds: &Sounds, class: &str) -> Option<Vec<i16>> {
        sounds.shelf.music(&format!("moh/{class}")).ok().map(|samples| samples.to_vec())
    }

    #[test]
    fn a_class_is_all_sounds_of_its_folder_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let class = folder.path().join("moh/jazz");
        std::fs::create_dir_all(&class).unwrap();
        for (name, value) in [("b.sln", 2_i16), ("a.sln", 1), ("c.txt", 9)] {
            std::fs::write(class.join(name), value.to_le_bytes()).unwrap();
        }
        let sounds = Sounds::new(folder.path().to_owned());
        assert_eq!(played(&sounds, "jazz"), Some(vec![1, 2]));
        assert_eq!(played(&sounds, "none"), None);
        assert_eq!(played(&sounds, "../moh/jazz"), None);
        assert!(played(&sounds, "default").is_some_and(|music| music.len() > 10 * 8_000), "the built-in one");
    }
}
