//! Sounds that are part of the program: the demo's two talkers and the prompts of the built-in dialplan.
//! Below: `file` decodes them. Above: Playback and `pbx demo`. `sounds/make.sh` makes the files anew.

mod table;

use table::SOUNDS;

/// The built-in sound of that name (as in `Playback(beep)`: no ending), as the bytes of a FLAC file.
pub fn find(name: &str) -> Option<&'static [u8]> {
    let at = SOUNDS.binary_search_by_key(&name, |(name, _)| name).ok()?;
    SOUNDS.get(at).map(|(_, bytes)| *bytes)
}

/// The names of all built-in sounds, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOUNDS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_name_is_found_and_is_flac() {
        assert!(names().is_sorted(), "the table is searched by halving");
        for name in names() {
            assert!(find(name).is_some_and(|bytes| bytes.starts_with(b"fLaC")), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_not_found() {
        assert_eq!(find("digits/21"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn every_prompt_that_has_a_text_and_every_sound_of_the_folder_is_in_the_table() {
        let texts = include_str!("../../sounds/prompts.txt");
        let spoken = texts.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('|'));
        for (name, text) in spoken {
            assert!(find(name).is_some() && !text.is_empty(), "{name}");
        }
        let mut files = 0;
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("sounds")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files += usize::from(path.extension().is_some_and(|ending| ending == "flac"));
                }
            }
        }
        assert_eq!(files, names().count());
    }

    #[test]
    fn s200_the_prompts_of_the_documents_are_built_in() {
        for name in [
            "extension",
            "agent-pass",
            "vm-goodbye",
            "pin-number-accepted",
            "pin-invalid",
            "conf-getconfno",
            "beep",
            "conf-invalid",
        ] {
            assert!(find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_talkers_keep_turns_because_their_files_have_one_length() {
        assert_eq!(total_samples("demo/agent"), total_samples("demo/customer"));
    }

    /// The last 36 bits of FLAC's fixed fields before the checksum (RFC 9639 §8.2).
    fn total_samples(name: &str) -> Vec<u8> {
        find(name).map(|bytes| bytes[22..26].to_vec()).unwrap_or_default()
    }
}
