//! `MixMonitor` and its like: what a script records is heard in the file, under the name it gave, complete when it says so.

mod apps;
mod macros;
mod transport;

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::time::{Duration, Instant, interval};
use wirechief::call::trace::{Traced, What};

use crate::call::{hear_each_other, talk};
use crate::harness::{Call, PATIENCE, Sound, TestPbx, Tone, WINDOW, only, sound_of};

/// Samples of a packet.
const PIECE: usize = 160;

/// The folder of a test server's recordings.
fn spool(pbx: &TestPbx) -> PathBuf {
    pbx.pbx.exchange().recordings.spool().folder().to_owned()
}

/// The names of all recordings there, folders before them.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir(folder, folder);
    names.sort();
    names
}

fn walkdir(folder: &Path, base: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            names.extend(walkdir(&path, base));
        } else if path.extension().is_some_and(|ending| ending == "wav") {
            names.push(path.strip_prefix(base).expect("below it").to_string_lossy().into_owned());
        }
    }
    names
}

/// The tracks of a recording.
fn tracks(path: &Path) -> Vec<Vec<i16>> {
    let wav = hound::WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(wav.spec().sample_format, hound::SampleFormat::Int);
    let count = usize::from(wav.spec().channels);
    let samples: Vec<i16> = wav.into_samples().map(|sample| sample.expect("a sample")).collect();
    (0..count).map(|track| samples.iter().skip(track).step_by(count).copied().collect()).collect()
}

/// Whether the left track ever sounds like this.
fn says(path: &Path, sound: &Sound) -> bool {
    tracks(path)[0].windows(WINDOW).step_by(PIECE).any(|window| sound_of(window).as_ref() == Some(sound))
}

/// Whether these sounds are ever heard at once, one in each track.
fn holds(path: &Path, sounds: &[Sound]) -> bool {
    let tracks = tracks(path);
    assert_eq!(tracks.len(), sounds.len(), "{}", path.display());
    (0..=tracks[0].len().saturating_sub(WINDOW)).step_by(PIECE).any(|from| {
        let window = |track: &Vec<i16>| sound_of(&track[from..from + WINDOW]);
        tracks[0].len() >= WINDOW
            && tracks.iter().zip(sounds).all(|(track, sound)| window(track).as_ref() == Some(sound))
    })
}

/// The manifest beside a recording.
fn manifest(path: &Path) -> Value {
    let text = std::fs::read_to_string(path.with_extension("json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}

/// What the script's `UserEvent(v,text:…)` said so far.
fn told(pbx: &TestPbx) -> Vec<String> {
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let text = |fields: &Value| fields["text"].as_str().unwrap_or_default().to_owned();
    events.iter().filter(|event| event.kind == "user").map(|event| text(&event.fields["fields"])).collect()
}

/// `UserEvent` of a text.
fn tell(text: &str) -> String {
    format!("UserEvent(v,text:{text})")
}

/// Alice calls that number, which rings bob; both speak and hear each other for a while.
async fn conversation(pbx: &TestPbx, number: &str) -> (Call, Call) {
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, number).await;
    hear_each_other(&mut calling, &mut called).await;
    called.dialog.media.receives("bob", 25).await;
    (calling, called)
}

/// Bob hangs up, and the call is over.
async fn bob_hangs_up(pbx: &TestPbx, (calling, called): (&mut Call, &mut Call)) {
    called.hangs_up().await;
    calling.is_hung_up().await;
    pbx.is_idle().await;
}

/// Waits until the followed script is at a step that begins so.
async fn reaches(lines: &mut tokio::sync::mpsc::Receiver<Traced>, text: &str) {
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.recv()).await;
        let line = line.unwrap_or_else(|_| panic!("{text} is not reached")).expect("a call that lives");
        if matches!(&line.what, What::Step { step, .. } if step.starts_with(text)) {
            return;
        }
    }
}

/// Looks again and again, until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
    while !is_so() {
        assert!(Instant::now() < end, "waits in vain for {what}");
        beat.tick().await;
    }
}

/// Half a second of a recording is there.
async fn is_recorded(path: &Path) {
    until("a recording", || path.exists() && tracks(path)[0].len() >= 4_000).await;
}

/// The conversation of alice and bob, side by side.
fn both() -> [Sound; 2] {
    [only(Tone::A), only(Tone::B)]
}
