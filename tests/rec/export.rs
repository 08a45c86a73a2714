//! `rec export`: what comes out is what was recorded, by the word of other people's programs.

use std::fs::File;
use std::io::Cursor;
use std::process::Command;

use ::ogg::PacketReader;
use jiff::Timestamp;
use wirechief::audio::codec::g722;
use wirechief::audio::matroska::Tracks;
use wirechief::audio::ogg::{self, Framing, Packet};
use wirechief::audio::source;
use wirechief::audio::tone::amplitude;
use wirechief::outbox::Manifest;
use wirechief::outbox::manifest::Audio;

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
    fails(&home.run(&["export", "1001-2001", "-o", "a.gsm"]), 2, "`.gsm`: no format that can be written");
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

/// A recording of two streams of Opus, kept as they came: two voices that another encoder made.
fn kept_in_opus(home: &Home) -> String {
    let packets = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let mut reader = PacketReader::new(Cursor::new(bytes.to_vec()));
        std::iter::from_fn(|| reader.read_packet().unwrap().map(|packet| packet.data)).skip(2).take(50).collect()
    };
    let left = packets(include_bytes!("../data/sounds/high.opus"));
    let right = packets(include_bytes!("../data/sounds/low.opus"));
    let (mut bytes, mut number) = (Vec::new(), 0);
    for head in [ogg::Head::of_sides(2).print(), ogg::tags()] {
        ogg::write_pages(&[(head, 0)], (1, &mut number), &mut bytes);
    }
    let last = bytes.len();
    let both = left.iter().zip(&right).zip(1..).map(|((left, right), at)| {
        let mut packet = Vec::new();
        for (side, framing) in [(left, Framing::SelfDelimited), (right, Framing::Plain)] {
            Packet::parse(side).unwrap().write(framing, &mut packet);
        }
        (packet, at * 960)
    });
    ogg::write_pages(&both.collect::<Vec<_>>(), (1, &mut number), &mut bytes);
    ogg::end_at(&mut bytes[last..], 48_000);
    let outbox = home.outbox();
    let mut manifest = Manifest::new("kept.opus", Timestamp::now());
    manifest.ended = Some(Timestamp::now());
    outbox.spool().write_whole(&manifest.file, &bytes).unwrap();
    let format = "opus".to_owned();
    manifest.audio =
        Audio { format, rate_hz: 48_000, channels: 2, frames: 48_000, duration_s: 1.0, ..Audio::default() };
    outbox.adopt(manifest).unwrap().id.to_string()
}

#[test]
fn opus_kept_as_it_came_is_written_in_every_form_and_looked_at_to_its_last_page() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    let id = kept_in_opus(&home);
    for name in ["a.wav", "a.flac", "a.opus"] {
        ok(home.run(&["export", &id, "-o", name]));
        let mut source = source::open(File::open(home.path().join(name)).unwrap(), "").unwrap();
        let (mut sides, mut block) = ([Vec::new(), Vec::new()], Vec::new());
        assert_eq!((source.rate_hz(), source.channels()), (48_000, 2), "{name}");
        while source.next(&mut block).is_ok() && !block.is_empty() {
            block
                .chunks_exact(2)
                .for_each(|pair| sides.iter_mut().zip(pair).for_each(|(side, sample)| side.push(*sample)));
        }
        assert_eq!(sides[0].len(), 48_000, "{name}");
        // What is heard beside the voices: 5 kHz left, 3.5 kHz right; the measure counts in samples of 8 kHz.
        let loud = |side: usize, hz: f32| amplitude(&sides[side][6_000..42_000], hz / 6.0);
        assert!(loud(0, 5_000.0) > 5.0 * loud(1, 5_000.0), "{name}: {} {}", loud(0, 5_000.0), loud(1, 5_000.0));
        assert!(loud(1, 3_500.0) > 5.0 * loud(0, 3_500.0), "{name}: {} {}", loud(1, 3_500.0), loud(0, 3_500.0));
    }
    let whole = home.run(&["verify"]);
    assert!(!String::from_utf8_lossy(&whole.stdout).contains("kept.opus"), "{whole:?}");
    let file = home.spool().join("kept.opus");
    let length = std::fs::metadata(&file).unwrap().len();
    File::options().write(true).open(&file).unwrap().set_len(length - 1).unwrap();
    let told = home.run(&["verify"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("it is cut short in the page at byte"), "{told}");
}

const LEFT: &[u8] = include_bytes!("../data/sounds/high.g722");
const RIGHT: &[u8] = include_bytes!("../data/sounds/low.g722");

/// A file of two tracks of G.722, as a call leaves it that is kept as it came.
pub(super) fn in_g722() -> Vec<u8> {
    let frames: Vec<u8> = LEFT.iter().zip(RIGHT).flat_map(|(left, right)| [*left, *right]).collect();
    let mut bytes = Tracks::of(2).head(frames.len() as u64 / 2);
    Tracks::of(2).write_clusters(0, &frames, &mut bytes);
    bytes
}

fn kept_in_g722(home: &Home) -> String {
    let outbox = home.outbox();
    let mut manifest = Manifest::new("kept.mka", Timestamp::now());
    manifest.ended = Some(Timestamp::now());
    outbox.spool().write_whole(&manifest.file, &in_g722()).unwrap();
    let (format, frames) = ("g722".to_owned(), LEFT.len() as u64 * 2);
    let duration_s = frames as f64 / 16_000.0;
    manifest.audio = Audio { format, rate_hz: 16_000, channels: 2, frames, duration_s, ..Audio::default() };
    outbox.adopt(manifest).unwrap().id.to_string()
}

#[test]
fn g722_kept_as_it_came_is_written_in_every_form_and_looked_at_to_its_last_cluster() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    let id = kept_in_g722(&home);
    for name in ["a.wav", "a.flac"] {
        ok(home.run(&["export", &id, "-o", name]));
        let mut source = source::open(File::open(home.path().join(name)).unwrap(), "").unwrap();
        let (mut sides, mut block) = ([Vec::new(), Vec::new()], Vec::new());
        assert_eq!((source.rate_hz(), source.channels()), (16_000, 2), "{name}");
        while source.next(&mut block).is_ok() && !block.is_empty() {
            block
                .chunks_exact(2)
                .for_each(|pair| sides.iter_mut().zip(pair).for_each(|(side, sample)| side.push(*sample)));
        }
        assert!(sides[0] == g722::decode(LEFT) && sides[1] == g722::decode(RIGHT), "{name}: to the sample");
    }
    ok(home.run(&["export", &id, "-o", "a.opus"]));
    let whole = home.run(&["verify", "--deep"]);
    assert!(!String::from_utf8_lossy(&whole.stdout).contains("kept.mka"), "{whole:?}");
    let file = home.spool().join("kept.mka");
    let mut bytes = std::fs::read(&file).unwrap();
    let third = Tracks::of(2).file_bytes(640) as usize;
    bytes[third] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let told = String::from_utf8(home.run(&["verify"]).stdout).unwrap();
    assert!(told.contains("it is damaged 80 ms from its beginning"), "{told}");
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let told = String::from_utf8(home.run(&["verify"]).stdout).unwrap();
    assert!(told.contains("kept.mka: its head says"), "{told}");
}

#[test]
fn g722_kept_as_it_came_is_renamed_delivered_sealed_opened_and_shredded_like_any_other() {
    let home = Home::with_folder();
    let key = age::x25519::Identity::generate();
    let secret = age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned();
    std::fs::write(home.path().join("id.txt"), secret).unwrap();
    let id = kept_in_g722(&home);
    ok(home.run(&["rename", "--template", "sales/wide", &id]));
    let file = home.spool().join("sales/wide.mka");
    assert_eq!(std::fs::read(&file).unwrap(), in_g722());
    ok(home.run(&["push"]));
    assert_eq!(std::fs::read(home.path().join("crm/sales/wide.mka")).unwrap(), in_g722());
    ok(home.run(&["seal", &id, "--to", &key.to_public().to_string()]));
    assert!(!file.exists() && home.spool().join("sales/wide.age").exists());
    ok(home.run(&["open", &id, "--identity", "id.txt", "-o", "out.mka"]));
    assert_eq!(std::fs::read(home.path().join("out.mka")).unwrap(), in_g722());
    ok(home.run(&["shred", &id, "--yes"]));
    let shredded = home.run(&["open", &id, "--identity", "id.txt", "-o", "again.mka"]);
    assert!(!shredded.status.success() && !home.path().join("again.mka").exists(), "{shredded:?}");
}

#[test]
fn g722_kept_as_it_came_is_purged_once_it_is_delivered() {
    let home = Home::with_folder();
    kept_in_g722(&home);
    ok(home.run(&["push"]));
    assert_eq!(home.json(&["purge", "--keep", "0s"])["recordings"][0]["file"], "kept.mka");
    assert!(!home.spool().join("kept.mka").exists());
}

#[test]
fn ffmpeg_finds_both_tracks_of_g722_as_they_came() {
    if !is_installed("ffmpeg") {
        return;
    }
    let home = Home::with_folder();
    std::fs::write(home.path().join("kept.mka"), in_g722()).unwrap();
    for (track, octets) in [("0:0", LEFT), ("0:1", RIGHT)] {
        let words = ["-v", "warning", "-i", "kept.mka", "-map", track, "-c", "copy", "-f", "g722", "-"];
        let done = Command::new("ffmpeg").args(words).current_dir(home.path()).output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        assert!(done.stdout == octets, "{track}: {} bytes", done.stdout.len());
    }
}
