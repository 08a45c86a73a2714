//! Sounds that are part of the program: the demo's two talkers and the prompts of the built-in dialplan.
//! Below: `file` decodes them. Above: Playback and `pbx demo`. `sounds/make.sh` makes the files anew.

/// Every built-in sound by its dialplan name, sorted: FLAC, mono, 16 kHz.
const SOUNDS: &[(&str, &[u8])] = &[
    ("beep", include_bytes!("../../sounds/beep.flac")),
    ("demo-welcome", include_bytes!("../../sounds/demo-welcome.flac")),
    ("demo/agent", include_bytes!("../../sounds/demo/agent.flac")),
    ("demo/customer", include_bytes!("../../sounds/demo/customer.flac")),
    ("digits/0", include_bytes!("../../sounds/digits/0.flac")),
    ("digits/1", include_bytes!("../../sounds/digits/1.flac")),
    ("digits/2", include_bytes!("../../sounds/digits/2.flac")),
    ("digits/3", include_bytes!("../../sounds/digits/3.flac")),
    ("digits/4", include_bytes!("../../sounds/digits/4.flac")),
    ("digits/5", include_bytes!("../../sounds/digits/5.flac")),
    ("digits/6", include_bytes!("../../sounds/digits/6.flac")),
    ("digits/7", include_bytes!("../../sounds/digits/7.flac")),
    ("digits/8", include_bytes!("../../sounds/digits/8.flac")),
    ("digits/9", include_bytes!("../../sounds/digits/9.flac")),
    ("silence/1", include_bytes!("../../sounds/silence/1.flac")),
];

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
        assert_eq!(find("digits/10"), None);
        assert_eq!(find(""), None);
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
