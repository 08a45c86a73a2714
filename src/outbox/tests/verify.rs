//! What is missing, damaged or not delivered is found, and nothing else.

use std::path::PathBuf;

use super::{Home, at, manifest};
use crate::outbox::manifest::Span;
use crate::outbox::verify::{Call, Depth, Kind, Scope};
use crate::outbox::{DeliveryState, Manifest, Outbox, OutboxError, State, rebuild};

/// So many seconds of a stereo file of 8,000 Hz.
fn wav(seconds: u32) -> Vec<u8> {
    let bytes = seconds * 32_000;
    let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data".to_vec();
    wav.extend(bytes.to_le_bytes());
    wav.resize(wav.len() + bytes as usize, 0);
    wav
}

/// A recording of a call of so many seconds, whole.
fn recorded(home: &Home, call: &str, seconds: u32) -> Manifest {
    let begun = Manifest { call: call.into(), ..manifest(&format!("{call}.wav")) };
    let mut begun = home.outbox.begin(&begun).unwrap();
    home.write(&begun.file, &wav(seconds));
    begun.ended = Some(at(i64::from(seconds)));
    (begun.audio.frames, begun.audio.duration_s) = (u64::from(seconds) * 8000, f64::from(seconds));
    home.outbox.finish(begun).unwrap()
}

fn line(call: &str, seconds: i64, recorded: &[String]) -> String {
    let ended = at(seconds);
    let line = serde_json::json!({"uuid": call, "from": "1001", "to": "1002", "started": at(0), "answered": at(0), "ended": ended,
        "legs": [{"uuid": call, "user": "1001", "number": "1001"}], "recorded": recorded});
    format!("{line}\n")
}

fn calls(home: &Home, lines: &str) -> PathBuf {
    let path = home.folder.path().join("calls.jsonl");
    std::fs::write(&path, lines).unwrap();
    path
}

/// What is found, as (kind, call or file).
fn found(home: &Home, calls: Option<&PathBuf>, depth: Depth) -> Vec<(Kind, String)> {
    let rule = |call: &Call| call.legs.iter().any(|leg| leg.user.is_some()).then(|| "[recording] always".to_owned());
    let scope = Scope { since: None, depth, calls: calls.map(PathBuf::as_path), rule: &rule };
    let mut all = Vec::new();
    let verified = home.outbox.verify(&scope, &mut |finding| {
        assert!(!finding.what.is_empty());
        all.push((finding.kind, finding.call.or(finding.file).unwrap_or_default()));
    });
    assert_eq!(verified.unwrap().findings, all.len() as u64);
    all
}

#[test]
fn what_is_whole_and_delivered_is_not_told() {
    let home = Home::new();
    let one = recorded(&home, "one", 3);
    let path = calls(&home, &line("one", 3, &[one.id.to_string()]));
    assert_eq!(found(&home, Some(&path), Depth::Deep), []);
    // While the next call goes on.
    home.outbox.begin(&manifest("open.wav")).unwrap();
    home.write("open.wav", b"");
    assert_eq!(found(&home, Some(&path), Depth::Deep), []);
}

#[test]
fn a_call_that_should_have_been_recorded_and_was_not_is_found() {
    let home = Home::new();
    let unanswered = r#"{"uuid":"never","started":"2026-11-21T00:00:00Z","answered":null,"ended":"2026-11-21T00:00:09Z","legs":[{"uuid":"never","user":"1001"}]}"#;
    let outside = r#"{"uuid":"outside","started":"2026-11-21T00:00:00Z","answered":"2026-11-21T00:00:00Z","ended":"2026-11-21T00:00:09Z","legs":[{"uuid":"x","user":null}]}"#;
    recorded(&home, "by leg", 3);
    let lines: [&str; 5] = [
        &line("silent", 600, &[]),
        &format!("{unanswered}\n{outside}\nno record\n"),
        &line("lost", 5, &["00000000-0000-4000-8000-000000000000".into()]),
        &line("by leg", 3, &[]),
        r#"{"uuid":"half"#,
    ];
    let path = calls(&home, &lines.concat());
    let expected = [(Kind::Record, String::new()), (Kind::Unrecorded, "silent".into()), (Kind::Lost, "lost".into())];
    assert_eq!(found(&home, Some(&path), Depth::Quick), expected);
}

#[test]
fn a_changed_byte_is_found_by_reading_all() {
    let home = Home::new();
    recorded(&home, "one", 3);
    let mut bytes = std::fs::read(home.spool().join("one.wav")).unwrap();
    bytes[5000] ^= 1;
    home.write("one.wav", &bytes);
    assert_eq!(found(&home, None, Depth::Quick), []);
    assert_eq!(found(&home, None, Depth::Deep), [(Kind::Changed, "one".into())]);
}

#[test]
fn files_that_are_missing_damaged_changed_or_nobodys_are_found() {
    let home = Home::new();
    for call in ["cut", "gone", "html", "manifest", "other"] {
        recorded(&home, call, 1);
    }
    home.write("cut.wav", &wav(1)[..4000]);
    std::fs::remove_file(home.spool().join("gone.wav")).unwrap();
    home.write("html.wav", &vec![b'<'; wav(1).len()]);
    std::fs::remove_file(home.spool().join("manifest.json")).unwrap();
    home.write("other.json", b"{}");
    home.write("nobodys.wav", b"?");
    let expected = [
        (Kind::Changed, "cut"),
        (Kind::Damaged, "cut"),
        (Kind::Vanished, "gone"),
        (Kind::Damaged, "html"),
        (Kind::Manifest, "manifest"),
        (Kind::Manifest, "other"),
        (Kind::Orphan, "nobodys.wav"),
    ];
    assert_eq!(found(&home, None, Depth::Quick), expected.map(|(kind, what)| (kind, what.to_owned())));
}

#[test]
fn c23_a_recording_that_is_shorter_or_longer_than_its_call_is_found() {
    let home = Home::new();
    let finish = |call: &str, seconds: u32, change: &dyn Fn(&mut Manifest)| {
        let begun = Manifest { call: call.into(), ..manifest(&format!("{call}.wav")) };
        let mut begun = home.outbox.begin(&begun).unwrap();
        home.write(&begun.file, &wav(seconds));
        begun.ended = Some(at(i64::from(seconds)));
        (begun.audio.frames, begun.audio.duration_s) = (u64::from(seconds) * 8000, f64::from(seconds));
        change(&mut begun);
        home.outbox.finish(begun).unwrap();
    };
    finish("header", 0, &|manifest| manifest.ended = Some(at(23 * 60)));
    finish("told", 2, &|manifest| manifest.audio.frames = 90_000);
    finish("paused", 2, &|manifest| {
        manifest.ended = Some(at(60));
        manifest.pauses = vec![Span { from_ms: 1000, ms: 58_000, by: String::new() }];
    });
    finish("killed", 2, &|manifest| (manifest.state, manifest.ended) = (State::Interrupted, Some(at(60))));
    finish("long", 30, &|_| {});
    // The clock was put back in the middle.
    finish("back", 30, &|manifest| manifest.ended = Some(at(-3_570)));
    let lines = [line("long", 10, &[]), line("paused", 60, &[]), line("back", -3_570, &[])].concat();
    let path = calls(&home, &lines);
    let expected = [(Kind::Short, "header"), (Kind::Short, "told"), (Kind::Long, "long")];
    assert_eq!(found(&home, Some(&path), Depth::Quick), expected.map(|(kind, what)| (kind, what.to_owned())));
}

#[test]
fn a_clock_that_is_set_during_a_call_neither_hides_a_short_recording_nor_accuses_a_whole_one() {
    let home = Home::new();
    let finish = |begun: Manifest, seconds: u32, (ended, lasted_ms): (i64, Option<u64>)| {
        home.write(&begun.file, &wav(seconds));
        let mut ended = Manifest { ended: Some(at(ended)), lasted_ms, ..begun };
        (ended.audio.frames, ended.audio.duration_s) = (u64::from(seconds) * 8000, f64::from(seconds));
        home.outbox.finish(ended).unwrap()
    };
    let called = |call: &str, file: &str| Manifest { call: call.into(), ..manifest(file) };
    let begun = |call: &str| home.outbox.begin(&called(call, &format!("{call}.wav"))).unwrap();
    // All lasted half a minute; the clock was put forward by an hour, or back by 25 s.
    for (call, seconds, ended) in [("on", 30, 3_630), ("on short", 9, 3_630), ("back", 30, 5), ("back short", 5, 5)] {
        finish(begun(call), seconds, (ended, Some(30_000)));
    }
    finish(begun("an old one"), 9, (30, None));
    // What goes on in a file of 20 s.
    for (call, seconds) in [("next", 50), ("next short", 29)] {
        finish(begun(&format!("{call} before")), 20, (20, None));
        let next = home.outbox.go_on(&called(call, &format!("{call} before.wav"))).unwrap().expect("it is there");
        finish(next, seconds, (30, Some(30_000)));
    }
    let lasted = |call, ended| line(call, ended, &[]).replacen('{', "{\"duration_s\": 30.0, ", 1);
    let lines = [lasted("on", 3_630), lasted("back", 5), lasted("next", 30), lasted("back short", -3_570)].concat();
    let path = calls(&home, &lines);
    let expected = ["on short", "back short", "an old one", "next short"];
    assert_eq!(found(&home, Some(&path), Depth::Quick), expected.map(|call| (Kind::Short, call.to_owned())));
}

#[test]
fn a_recording_without_its_receipt_or_its_writer_is_found() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    recorded(&home, "unsent", 1);
    let dying = home.other();
    dying.begin(&Manifest { call: "left".into(), ..manifest("left.wav") }).unwrap();
    drop(dying);
    let expected = [(Kind::Waiting, "unsent"), (Kind::Abandoned, "left")];
    assert_eq!(found(&home, None, Depth::Quick), expected.map(|(kind, what)| (kind, what.to_owned())));
    assert!(!Kind::Waiting.is_damage() && Kind::Abandoned.is_damage());
}

#[test]
fn what_began_earlier_is_not_looked_at() {
    let home = Home::new();
    recorded(&home, "old", 1);
    std::fs::remove_file(home.spool().join("old.wav")).unwrap();
    home.write("nobodys.wav", b"?");
    let scope = Scope { since: Some(at(1)), depth: Depth::Deep, calls: None, rule: &|_| None };
    let verified = home.outbox.verify(&scope, &mut |finding| panic!("{finding:?}")).unwrap();
    assert_eq!(verified.recordings, 0);
}

#[test]
fn a_queue_that_is_lost_is_made_anew_from_the_manifests() {
    let home = Home::new();
    let whole = recorded(&home, "whole", 1);
    let open = home.outbox.begin(&manifest("a/open.wav")).unwrap();
    home.write("strange.json", b"{\"schema\":\"another/1\"}");
    std::fs::copy(home.spool().join("whole.json"), home.spool().join("copy.json")).unwrap();
    let busy = rebuild(&home.spool(), &["crm"]).unwrap_err();
    assert!(matches!(busy, OutboxError::Spool { .. }), "{busy}");
    let Home { folder, outbox } = home;
    drop(outbox);
    let spool = folder.path().join("spool");
    std::fs::write(spool.join("outbox.sqlite3"), vec![7; 5000]).unwrap();
    assert!(matches!(Outbox::open(&spool), Err(OutboxError::Damaged { .. })));
    let (outbox, rebuilt) = rebuild(&spool, &["crm"]).unwrap();
    assert_eq!(rebuilt.recordings, 2);
    let names: Vec<_> = rebuilt.unreadable.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["copy.json", "strange.json"]);
    assert_eq!(std::fs::read(spool.join(rebuilt.aside.unwrap())).unwrap(), vec![7; 5000], "nothing is thrown away");
    assert_eq!(outbox.get(whole.id).unwrap(), Some(whole.clone()));
    assert_eq!(outbox.deliveries(whole.id).unwrap()[0].state, DeliveryState::Pending);
    assert_eq!(outbox.recover().unwrap(), [open]);
}

#[test]
fn an_adopted_recording_is_as_good_as_one_of_ours() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    home.write("came.wav", &wav(1));
    let mut came = manifest("came.wav");
    (came.audio.frames, came.audio.duration_s, came.ended) = (8000, 1.0, Some(at(1)));
    let came = home.outbox.adopt(came).unwrap();
    assert_eq!((came.state, came.audio.bytes), (State::Finished, 32_044));
    assert_eq!(home.outbox.deliveries(came.id).unwrap().len(), 1);
    assert_eq!(found(&home, None, Depth::Deep), [(Kind::Waiting, String::new())]);
    home.write("came.ogg", b"OggS");
    let taken = home.outbox.adopt(manifest("came.ogg")).unwrap_err();
    assert!(matches!(taken, OutboxError::Name { .. }), "{taken}");
    assert_eq!(home.outbox.get(came.id).unwrap(), Some(came), "and its manifest is untouched");
}
