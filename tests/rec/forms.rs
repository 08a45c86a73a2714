//! Forms of sound that `rec` reads and writes: what other exchanges leave behind, MP3, and recordings of 16 and 48 kHz.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use jiff::Timestamp;
use wirechief::audio::source;
use wirechief::audio::tone::amplitude;
use wirechief::audio::wave::pcm_head;
use wirechief::outbox::manifest::Audio;
use wirechief::outbox::{Manifest, Outbox};

use super::{Home, fails, ok, wav};
use crate::interop::is_installed;

/// Left 440 Hz, right 1 kHz, of one second.
fn tones(rate_hz: u32) -> Vec<i16> {
    let tone = |at: u32, hz: f32| ((at as f32 * hz * std::f32::consts::TAU / rate_hz as f32).sin() * 8_000.0) as i16;
    (0..rate_hz).flat_map(|at| [tone(at, 440.0), tone(at, 1_000.0)]).collect()
}

/// A recording of that rate, as the settings may ask for.
fn recorded(home: &Home, rate_hz: u32) -> String {
    fs::create_dir_all(home.spool().parent().unwrap()).unwrap();
    let outbox = Outbox::open(&home.spool()).unwrap();
    let mut manifest = Manifest::new(&format!("at-{rate_hz}.wav"), Timestamp::now());
    manifest.ended = Some(Timestamp::now());
    (manifest.from, manifest.to) = ("1001".to_owned(), "+41 78".to_owned());
    let mut bytes = pcm_head(rate_hz, 2, Some(rate_hz.into())).to_vec();
    bytes.extend(tones(rate_hz).iter().flat_map(|sample| sample.to_le_bytes()));
    outbox.spool().write_whole(&manifest.file, &bytes).unwrap();
    let format = "pcm16".to_owned();
    let frames = rate_hz.into();
    manifest.audio = Audio { format, rate_hz, channels: 2, frames, duration_s: 1.0, ..Audio::default() };
    outbox.adopt(manifest).unwrap().id.to_string()
}

fn sides(home: &Home, name: &str) -> (u32, [Vec<i16>; 2]) {
    let mut source = source::open(File::open(home.path().join(name)).unwrap(), "").unwrap();
    let (mut sides, mut block) = ([Vec::new(), Vec::new()], Vec::new());
    assert_eq!(source.channels(), 2, "{name}");
    while source.next(&mut block).is_ok() && !block.is_empty() {
        for pair in block.chunks_exact(2) {
            sides[0].push(pair[0]);
            sides[1].push(pair[1]);
        }
    }
    (source.rate_hz(), sides)
}

#[test]
fn recordings_of_any_rate_are_shown_exported_in_every_form_and_verified() {
    let home = Home::with("");
    for rate_hz in [8_000, 16_000, 48_000] {
        let id = recorded(&home, rate_hz);
        let shown = ok(home.run(&["show", &id]));
        assert!(shown.contains(&format!("pcm16, {rate_hz} Hz, channels 2, 1s, {} bytes", 44 + 4 * rate_hz)), "{shown}");
        for ending in ["wav", "flac", "opus", "mp3"] {
            let name = format!("{rate_hz}.{ending}");
            ok(home.run(&["export", &id, "-o", &name]));
            let (rate, [left, right]) = sides(&home, &name);
            assert_eq!(rate, if ending == "opus" { 48_000 } else { rate_hz }, "{name}");
            // A frame before, and what the last one has too much: only some players take them off.
            let more = if ending == "mp3" { 5 * 1_152 } else { 0 };
            assert!((rate as usize..=rate as usize + more).contains(&left.len()), "{name}: {}", left.len());
            let inner = |side: &[i16], hz: f32| {
                let side = &side[side.len() / 4..side.len() / 4 * 3];
                amplitude(side, hz * 8_000.0 / rate as f32)
            };
            for (side, own, other) in [(&left, 440.0, 1_000.0), (&right, 1_000.0, 440.0)] {
                let (own, other) = (inner(side, own), inner(side, other));
                assert!((6_500.0..9_500.0).contains(&own) && own > 20.0 * other, "{name}: {own} {other}");
            }
        }
    }
    let verified = home.run(&["verify", "--deep"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let file = home.spool().join("at-48000.wav");
    let length = fs::metadata(&file).unwrap().len();
    File::options().write(true).open(&file).unwrap().set_len(length - 96_000).unwrap();
    let verified = home.run(&["verify"]);
    assert_eq!(verified.status.code(), Some(5), "{verified:?}");
    assert!(String::from_utf8_lossy(&verified.stdout).contains("at-48000.wav"), "{verified:?}");
}

#[test]
fn mp3_plays_elsewhere_with_its_length_and_says_what_it_is() {
    if !is_installed("ffmpeg") {
        return;
    }
    let home = Home::with("");
    for rate_hz in [8_000, 16_000, 48_000] {
        let id = recorded(&home, rate_hz);
        let name = format!("{rate_hz}.mp3");
        ok(home.run(&["export", &id, "-o", &name]));
        let piped = home.run(&["export", &id, "--format", "mp3", "-o", "-"]);
        fs::write(home.path().join("piped.mp3"), &piped.stdout).unwrap();
        for name in [name.as_str(), "piped.mp3"] {
            let decoded = Command::new("ffmpeg")
                .args(["-loglevel", "error", "-i", name, "-f", "s16le", "-"])
                .current_dir(home.path())
                .output()
                .unwrap();
            assert!(decoded.status.success() && decoded.stderr.is_empty(), "{name}: {decoded:?}");
            let frames = decoded.stdout.len() / 4;
            // Into a pipe the length is not known before the end.
            let more = if name == "piped.mp3" { 5 * 1_152 } else { 0 };
            let second = rate_hz as usize;
            assert!((second..=second + more).contains(&frames), "{name}: {frames}");
        }
        let bytes = fs::read(home.path().join(&name)).unwrap();
        let head = String::from_utf8_lossy(&bytes[..200]).into_owned();
        assert!(head.starts_with("ID3") && head.contains("1001 to +41 78") && head.contains(&id), "{head:?}");
    }
}

#[test]
fn what_other_exchanges_write_is_imported_and_what_cannot_be_read_is_told() {
    let home = Home::with("");
    let monitor = home.path().join("monitor");
    fs::create_dir(&monitor).unwrap();
    let put = |name: &str, bytes: &[u8]| File::create(monitor.join(name)).unwrap().write_all(bytes).unwrap();
    let bytes = |nth: u8| -> Vec<u8> { (0..1_650u16).map(|at| (at % 250) as u8 ^ nth).collect() };
    let raw = ["sln", "sln16", "sln192", "ulaw", "pcm", "mu", "alaw", "alw", "g722", "raw"];
    for (nth, ending) in (1..).zip(raw) {
        put(&format!("{ending}-call.{ending}"), &bytes(nth));
    }
    put("kept.opus", include_bytes!("../data/sounds/high.opus"));
    put("other.ogg", include_bytes!("../data/sounds/low.opus"));
    put("vorbis.oga", include_bytes!("../data/sounds/wide.ogg"));
    put("wide.aiff", include_bytes!("../data/sounds/wide.aiff"));
    put("wide.mp3", include_bytes!("../data/sounds/wide.mp3"));
    put("tone.gsm", include_bytes!("../data/sounds/tone.gsm"));
    put("microsoft.WAV49", &wav(1, &[7; 900]));
    put("lean.g729", &bytes(99));
    put("notes.txt", b"no sound");
    let imported = home.run(&["import", "monitor", "--quiet-for", "0s", "--json"]);
    assert_eq!(imported.status.code(), Some(6), "{imported:?}");
    let told: serde_json::Value = serde_json::from_slice(&imported.stdout).unwrap();
    let names: Vec<&str> =
        told["imported"].as_array().unwrap().iter().map(|one| one["file"].as_str().unwrap()).collect();
    assert_eq!(names.len(), raw.len() + 7, "{names:?}");
    assert_eq!(told["refused"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["refused"][0]["why"], "`.g729` is a format that is not read here");
    for name in ["kept.opus", "other.ogg"] {
        assert_eq!(home.json(&["show", name])["manifest"]["audio"]["format"], "opus", "{name}");
    }
    let verified = home.run(&["verify", "--deep"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    for name in names {
        ok(home.run(&["export", name, "-o", &format!("{name}.again.wav")]));
    }
    fails(&home.run(&["export", "kept.opus", "-o", "kept.gsm"]), 2, "`.gsm`: no format that can be written");
}
