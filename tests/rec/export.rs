//! `rec export`: what comes out is what was recorded, by the word of other people's programs.

use std::process::Command;

use super::{Home, fails, ok, wav};
use crate::interop::is_installed;

#[test]
fn a_recording_is_written_in_every_form_and_nothing_is_overwritten() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    ok(home.run(&["export", "1001-2001"]));
    let same = std::fs::read(home.path().join("1001-2001.wav")).unwrap();
    assert_eq!(same, std::fs::read(home.spool().join("1001-2001.wav")).unwrap());
    fails(&home.run(&["export", "1001-2001"]), 1, "it is there already");
    for name in ["a.flac", "a.opus", "b.ogg"] {
        ok(home.run(&["export", "1001-2001", "-o", name]));
    }
    let begins = |name: &str| std::fs::read(home.path().join(name)).unwrap()[..4].to_vec();
    assert_eq!(
        [begins("a.flac"), begins("a.opus"), begins("b.ogg")],
        [b"fLaC", b"OggS", b"OggS"].map(|magic| magic.to_vec())
    );
    let piped = home.run(&["export", "1001-2001", "-o", "-", "--channels", "mix"]);
    let first: Vec<i16> =
        piped.stdout[44..].chunks(2).take(3).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    assert_eq!((piped.stdout.len(), first), (44 + 1_600, vec![1, 5, 9]), "0 + 1, 2 + 3, 4 + 5");
    fails(&home.run(&["export", "1001-2001", "-o", "nowhere/a.wav"]), 3, "nowhere/a.wav");
    fails(&home.run(&["export", "1001-2001", "-o", "a.mp3"]), 2, "`.mp3`: no format that can be written");
    let left: Vec<_> = home.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
}

#[test]
fn flac_and_sox_agree_that_it_is_the_same_sound() {
    if !is_installed("flac") || !is_installed("sox") {
        return;
    }
    let home = Home::with_folder();
    home.recording("1001", "2001");
    ok(home.run(&["export", "1001-2001", "-o", "a.flac"]));
    let by = |program: &str, words: &[&str]| {
        let done = Command::new(program).args(words).current_dir(home.path()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        done.stdout
    };
    by("flac", &["--silent", "--test", "--warnings-as-errors", "a.flac"]);
    let raw = |file: &str| by("sox", &[file, "-t", "raw", "-e", "signed", "-b", "16", "-L", "-"]);
    std::fs::write(home.path().join("again.wav"), wav(2, &(0..1_600).collect::<Vec<i16>>())).unwrap();
    assert_eq!(raw("a.flac"), raw("again.wav"));
    let piped = ok_bytes(&home, &["export", "1001-2001", "--format", "flac", "-o", "-"]);
    std::fs::write(home.path().join("piped.flac"), piped).unwrap();
    by("flac", &["--silent", "--test", "piped.flac"]);
}

fn ok_bytes(home: &Home, words: &[&str]) -> Vec<u8> {
    let output = home.run(words);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    output.stdout
}
