//! Calls on record over real sockets: nothing is allocated for the copies, and the recorder's thread makes a file that others read.

use std::path::Path;
use std::process::Command as Program;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wirechief::audio::codec::{Codec, Coding, Foreign};
use wirechief::audio::tone;
use wirechief::media::{Command, Content, CopyLink, Event, Origin, PlayId, Sides, Source, TapAudio, TapId};
use wirechief::recorder::{Finished, Order, Recorder, Whispers, repair};

use super::ALLOCATIONS;
use super::counting::uncounted;
use super::stage::{PATIENCE, Phone, Stage};

fn tone_on(stage: &Stage, phone: &Phone) {
    let mut music = vec![0i16; 80_000];
    tone::Oscillator::new([440.0, 0.0], -10.0).fill(&mut music);
    let source = Source::Samples { rate_hz: 8_000, samples: music.into(), repeat: true };
    stage.engine.send(Command::Play { port: phone.id(), id: PlayId(1), source });
}

#[test]
fn calls_on_record_with_a_supervisor_who_speaks_and_a_prompt_allocate_nothing() {
    let stage = Stage::new(|config| config.rtcp_interval = Duration::from_millis(100));
    let (mut a, mut b, mut c) = (stage.phone(), stage.phone(), stage.phone());
    stage.join(&a, &b);
    let (link, mut intake) = CopyLink::new();
    let (copies, key) = link.recording(mpsc::channel(4).0);
    stage.engine.send(Command::Record { tap: TapId(1), left: Some(a.id()), right: Some(b.id()), copies });
    let (copies, alone) = link.recording(mpsc::channel(4).0);
    stage.engine.send(Command::Record { tap: TapId(2), left: Some(c.id()), right: None, copies });
    let (out, mut frames) = rtrb::RingBuffer::new(64);
    let (mut voice, said) = rtrb::RingBuffer::new(64);
    let audio = TapAudio { out, voice: said, events: mpsc::channel(4).0 };
    let (tap, left, right) = (TapId(3), Some(a.id()), Some(b.id()));
    let (hears, heard_by) = (Sides::BOTH, Sides::BOTH);
    stage.engine.send(Command::Attach { tap, left, right, hears, heard_by, audio });
    tone_on(&stage, &c);
    let mut before = 0;
    let mut copied = [0u32; 3];
    for n in 0..60u8 {
        c.hear_sound();
        if n == 10 {
            before = ALLOCATIONS.load(Ordering::SeqCst);
        }
        let _ = voice.push([7_000; 160]);
        a.say(&[n + 1; 160]);
        b.hear_sound();
        b.say(&[n + 100; 160]);
        a.hear_sound();
        // The recorder's thread does this, and may allocate where more comes at once than before.
        uncounted(|| {
            intake.gather();
            while let Some((copy, payload)) = intake.of(&key).next_until(u64::MAX) {
                match copy.origin {
                    Origin::Left => assert!(payload.iter().all(|byte| *byte <= n + 1), "as it came"),
                    Origin::Right => assert!(payload.iter().all(|byte| *byte >= 100), "as it came"),
                    Origin::Supervisor => assert_eq!(copy.content, Content::Samples),
                }
                copied[copy.origin as usize] += 1;
            }
            while intake.of(&alone).next_until(u64::MAX).is_some() {}
            intake.tidy(u64::MAX);
        });
        while frames.pop().is_ok() {}
    }
    let during = ALLOCATIONS.load(Ordering::SeqCst) - before;
    assert!(copied[0] >= 55 && copied[1] >= 55 && copied[2] > 30, "{copied:?}");
    assert_eq!(during, 0, "allocations while two calls on record and a supervisor were running");
}

#[test]
fn a_call_that_only_the_recorder_can_decode_allocates_nothing_when_it_is_copied() {
    let stage = Stage::new(|_| {});
    let phone = || {
        let mut phone =
            stage.phone_with(|stream| (stream.coding, stream.payload) = (Coding::Foreign(Foreign::G722), 9));
        phone.next.payload_type = 9;
        phone
    };
    let (mut a, mut b) = (phone(), phone());
    stage.join(&a, &b);
    let (link, mut intake) = CopyLink::new();
    let (copies, key) = link.recording(mpsc::channel(4).0);
    stage.engine.send(Command::Record { tap: TapId(1), left: Some(a.id()), right: Some(b.id()), copies });
    let (mut before, mut copied) = (0, 0u32);
    for n in 0..60u8 {
        if n == 10 {
            before = ALLOCATIONS.load(Ordering::SeqCst);
        }
        a.say(&[n + 1; 160]);
        b.hear_sound();
        b.say(&[n + 100; 160]);
        a.hear_sound();
        uncounted(|| {
            intake.gather();
            while let Some((copy, payload)) = intake.of(&key).next_until(u64::MAX) {
                assert_eq!((copy.content, payload.len()), (Content::Foreign(Foreign::G722), 160));
                copied += 1;
            }
            intake.tidy(u64::MAX);
        });
    }
    let during = ALLOCATIONS.load(Ordering::SeqCst) - before;
    assert!(copied >= 110, "{copied}");
    assert_eq!(during, 0, "allocations while a call was copied");
}

/// Both say a tone for so many packets, to the beat of a third port that plays.
fn talk(beat: &mut Phone, parties: [&mut Phone; 2], packets: usize) {
    let mut tones = [500.0, 800.0].map(|hz| tone::Oscillator::new([hz, 0.0], -10.0));
    let [a, b] = parties;
    for _ in 0..packets {
        beat.hear_sound();
        for (phone, tone) in [&mut *a, &mut *b].into_iter().zip(&mut tones) {
            let (mut samples, mut payload) = ([0; 160], [0; 160]);
            tone.fill(&mut samples);
            Codec::Pcmu.encode(&samples, &mut payload);
            phone.say(&payload);
        }
    }
}

fn finish(running: wirechief::recorder::Running) -> Finished {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(running.stop()).expect("a finished recording")
}

#[test]
fn the_recorders_thread_makes_a_file_that_sox_reads_while_it_grows_and_after_a_kill() {
    let stage = Stage::new(|_| {});
    // Where this machine is busy with something else the phones stutter, and what they say is no clear tone: not each time.
    let mut wrong = Vec::new();
    while let Err(what) = records(&stage) {
        wrong.push(what);
        assert!(wrong.len() < 10, "{wrong:#?}");
    }
}

/// Records a call, looks at its file meanwhile and afterwards; what of its sound is not as clear as it was said.
fn records(stage: &Stage) -> Result<(), String> {
    let (mut a, mut b, mut beat) = (stage.phone(), stage.phone(), stage.phone());
    stage.join(&a, &b);
    tone_on(stage, &beat);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("call.wav");
    let recorder = Recorder::start().expect("a recorder");
    let (events, mut told) = mpsc::channel(4);
    let order = Order { whispers: Whispers::OwnTrack, ..Order::new(&path) };
    let (running, copies) = recorder.open(order, events).expect("a recording");
    stage.engine.send(Command::Record { tap: TapId(1), left: Some(a.id()), right: Some(b.id()), copies });
    talk(&mut beat, [&mut a, &mut b], 75);
    // What a kill at this moment would leave.
    let killed = folder.path().join("killed.wav");
    let since = Instant::now();
    let there = loop {
        std::fs::copy(&path, &killed).expect("copied");
        let there = hound::WavReader::open(&killed).expect("a WAV file").duration();
        if there > 4_000 {
            break there;
        }
        assert!(since.elapsed() < PATIENCE, "{there} samples of 1.5 s");
        beat.hear_sound();
    };
    assert_eq!(repair(&killed).expect("repaired").frames, u64::from(there));
    running.mask();
    talk(&mut beat, [&mut a, &mut b], 25);
    // What has come through has been copied before.
    for _ in 0..100 {
        a.hear_sound();
        b.hear_sound();
    }
    let stopped = Instant::now();
    let finished = finish(running);
    assert!(stopped.elapsed() < PATIENCE);
    stage.engine.send(Command::Detach { tap: TapId(1) });
    assert_eq!(told.blocking_recv(), Some(Event::TapEnded { tap: TapId(1) }));
    assert_eq!((finished.channels, finished.packets.lost, finished.masks.len()), (3, 0, 1));
    assert_eq!(finished.packets.received, 200);
    let mut reader = hound::WavReader::open(&path).expect("a WAV file");
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
    let track =
        |at: usize| -> Vec<i16> { samples.iter().skip(at).step_by(3).copied().skip(2_400).take(8_000).collect() };
    assert_eq!(track(2), [0; 8_000]);
    let levels_db = [0, 1].map(|at| [500.0, 800.0].map(|hz| tone::level_db(&track(at), hz)));
    let [[own_a, other_a], [other_b, own_b]] = levels_db;
    if [own_a, own_b].iter().any(|db| (db + 10.0).abs() >= 1.0) || [other_a, other_b].iter().any(|db| *db >= -50.0) {
        return Err(format!("500 and 800 Hz on either track: {levels_db:.1?} dB"));
    }
    let Some(said) = sox_says(&path) else { return Ok(()) };
    assert!(said.contains("Channels       : 3") && said.contains("Sample Rate    : 8000"), "{said}");
    assert!(said.contains(&format!("= {} samples", finished.frames)), "{said}");
    Ok(())
}

/// What `sox --i` says of a file. A machine without sox skips that, unless `CI=true` is in the environment.
fn sox_says(path: &Path) -> Option<String> {
    match Program::new("sox").arg("--i").arg(path).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(_) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "sox is not installed");
            eprintln!("skipped: sox is not installed");
            None
        }
    }
}

#[test]
fn a_recording_whose_handle_is_dropped_is_closed() {
    let stage = Stage::new(|_| {});
    let phone = stage.phone();
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = Recorder::start().expect("a recorder");
    let (events, mut told) = mpsc::channel(4);
    let (running, copies) = recorder.open(Order::new(folder.path().join("a.wav")), events).expect("a file");
    stage.engine.send(Command::Record { tap: TapId(1), left: Some(phone.id()), right: None, copies });
    drop(running);
    // Nobody reads the ring any more, so the media thread ends it.
    assert_eq!(told.blocking_recv(), Some(Event::TapEnded { tap: TapId(1) }));
    assert_eq!(repair(&folder.path().join("a.wav")).map(|repaired| repaired.changed).ok(), Some(false));
}
