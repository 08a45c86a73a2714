//! `spy` on a sound card: a real PulseAudio server with null sinks, started without a session bus in a folder of its own.
//!
//! A machine without PulseAudio skips these tests and says so; with `CI=true` in the environment they are mandatory.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Signal, kill_process};

use super::desk::{A_HZ, B_HZ, CALL, Desk, Seen, sine};
use super::{Words, code, has, lacks, pid, spy, text};
use crate::harness::{PATIENCE, program};
use crate::interop::is_installed;

/// How the line begins that says what is heard, if anything yet, after most of a second: all is open then.
const STATEMENT: &str = "spy: hears ";

/// A quarter of a second at 8 kHz: short enough for a pitch that the card's clock moves a little.
const PIECE: usize = 2_000;

/// A sound server with null sinks of those names. Whatever is played on one is heard by the microphone `NAME.monitor`.
struct SoundServer {
    server: Child,
    folder: tempfile::TempDir,
}

impl SoundServer {
    /// None: there is no PulseAudio here.
    fn start(sinks: &[&str]) -> Option<Self> {
        if !is_installed("pulseaudio") || !is_installed("pactl") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-level=info"]);
        command.args(["--log-target=stderr", "-L", "module-native-protocol-unix"]);
        for sink in sinks {
            command.args(["-L", &format!("module-null-sink sink_name={sink} rate=48000")]);
        }
        let places = Self::places(&folder);
        let mut server = command.envs(places).stderr(Stdio::piped()).spawn().expect("a sound server");
        let log = Words::of(&mut server);
        let server = Self { server, folder };
        log.says("Daemon startup complete");
        Some(server)
    }

    fn places(folder: &tempfile::TempDir) -> [(&'static str, &std::path::Path); 3] {
        [("PULSE_RUNTIME_PATH", folder.path()), ("HOME", folder.path()), ("XDG_RUNTIME_DIR", folder.path())]
    }

    fn spy(&self, desk: &Desk, words: &[&str]) -> Command {
        let mut command = spy(desk, words);
        command.envs(Self::places(&self.folder));
        command
    }

    fn tool(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).envs(Self::places(&self.folder));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// What that sink plays, in pieces of a quarter of a second.
    fn hears(&self, sink: &str) -> Pieces {
        let words = [&format!("--device={sink}.monitor"), "--latency-msec=20", "--rate=8000", "--channels=1"];
        let mut recorder =
            self.tool("parec", &[&words[..], &["--format=s16le", "--raw"]].concat()).spawn().expect("parec");
        let mut stdout = recorder.stdout.take().expect("stdout");
        let (heard, sound) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; PIECE * 2];
            while stdout.read_exact(&mut bytes).is_ok() {
                let piece: Vec<i16> = bytes.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
                if heard.send(piece).is_err() {
                    return;
                }
            }
        });
        Pieces { recorder, sound }
    }

    /// The microphones in use, as the server tells it: our own, for nobody else records here.
    fn open_microphones(&self) -> usize {
        let list = program::run(&mut self.tool("pactl", &["list", "short", "source-outputs"]));
        assert!(list.status.success());
        text(&list.stdout).lines().count()
    }

    /// Waits until so many microphones are open.
    fn expect_microphones(&self, wanted: usize) {
        let since = Instant::now();
        while self.open_microphones() != wanted {
            assert!(since.elapsed() < PATIENCE, "{} instead of {wanted}", self.open_microphones());
        }
    }
}

/// The monitor of a sink.
struct Pieces {
    recorder: Child,
    sound: Receiver<Vec<i16>>,
}

impl Pieces {
    fn next(&mut self) -> Vec<i16> {
        self.sound.recv_timeout(PATIENCE).expect("sound of the monitor")
    }

    /// Waits for a piece that is as wanted.
    fn until(&mut self, wanted: impl Fn(&[i16]) -> bool) {
        let since = Instant::now();
        while !wanted(&self.next()) {
            assert!(since.elapsed() < PATIENCE, "that is not heard");
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
    }
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn the_default_card_plays_both_parties() {
    let Some(server) = SoundServer::start(&["speaker"]) else { return };
    let desk = Desk::in_time();
    let mut child = server.spy(&desk, &["--device", "default", CALL]).spawn().expect("spy runs");
    let mut heard = server.hears("speaker");
    let is_the_call = |piece: &[i16]| has(piece, A_HZ, 8_000) && has(piece, B_HZ, 8_000);
    heard.until(|piece| is_the_call(piece) && lacks(piece, 2_000.0, 8_000));
    // And it goes on: of four seconds at most one is spoilt, except where the machine is busy with other tests.
    let whole = (0..10).map(|_| (0..16).filter(|_| is_the_call(&heard.next())).count()).find(|whole| *whole >= 12);
    assert!(whole.is_some(), "not in one of ten times four seconds");
    kill_process(pid(&child), Signal::TERM).expect("it runs");
    assert_eq!(code(&mut child), Some(143));
}

#[test]
fn a_card_is_chosen_by_a_part_of_its_name() {
    let Some(server) = SoundServer::start(&["speaker", "headset"]) else { return };
    let desk = Desk::in_time();
    let mut child = server.spy(&desk, &["--device", "HEAD", CALL]).spawn().expect("spy runs");
    server.hears("headset").until(|piece| has(piece, A_HZ, 8_000));
    assert!(lacks(&server.hears("speaker").next(), A_HZ, 8_000));
    child.kill().expect("it runs");
    let _ = child.wait();
    let unknown = program::run(&mut server.spy(&desk, &["--device", "nowhere", CALL]));
    assert_eq!(unknown.status.code(), Some(3));
    let error = "spy: --device: no speaker is called `nowhere`\nhint: `spy --list-devices` shows their names\n";
    assert_eq!(text(&unknown.stderr), error);
}

#[test]
fn the_microphone_is_open_only_in_a_speaking_mode_and_is_heard_by_the_party() {
    let Some(server) = SoundServer::start(&["speaker", "room"]) else { return };
    let desk = Desk::in_time();
    // Someone speaks in the room all the time.
    let mut speech = server.tool("pacat", &["--device=room", "--rate=8000", "--channels=1", "--format=s16le", "--raw"]);
    let mut speech = speech.stdin(Stdio::piped()).spawn().expect("pacat");
    let mut mouth = speech.stdin.take().expect("stdin");
    std::thread::spawn(move || {
        let tone: Vec<u8> = (0..8_000).flat_map(|at| sine(750.0, 8_000, at).to_le_bytes()).collect();
        while mouth.write_all(&tone).is_ok() {}
    });
    let mut child = server
        .spy(&desk, &["--keys", "--device", "speaker,room.monitor", CALL])
        .stdin(Stdio::piped())
        .spawn()
        .expect("spy runs");
    let mut keys = child.stdin.take().expect("stdin");
    let words = Words::of(&mut child);
    words.says(STATEMENT);
    assert_eq!(server.open_microphones(), 0, "listening needs no microphone");
    keys.write_all(b"2").expect("spy reads");
    words.says("WHISPER");
    let since = Instant::now();
    while !has(&desk.voice(PIECE), 750.0, 8_000) {
        assert!(since.elapsed() < PATIENCE, "the party hears nothing of the room");
    }
    server.expect_microphones(1);
    keys.write_all(b"0").expect("spy reads");
    words.says("LISTEN");
    server.expect_microphones(0);
    keys.write_all(b"q").expect("spy reads");
    assert_eq!(code(&mut child), Some(0));
    let _ = speech.kill();
    let _ = speech.wait();
}

/// The voice that reaches the call while its own sound comes back from the loudspeaker: the least power of two stretches of three
/// seconds, after three in which the room is learnt. Two, so that a stutter of a busy machine does not count.
fn echoed(server: &SoundServer, words: &[&str]) -> f64 {
    let desk = Desk::with_speech();
    let mut child = server.spy(&desk, &[words, &["--mode", "whisper", CALL]].concat()).spawn().expect("spy runs");
    let voice = desk.voice(450 * 160);
    child.kill().expect("it runs");
    let _ = child.wait();
    let power = |part: &[i16]| part.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / part.len() as f64;
    voice.chunks_exact(150 * 160).skip(1).map(power).fold(f64::INFINITY, f64::min)
}

#[test]
fn what_comes_back_from_the_loudspeaker_is_twenty_decibels_weaker_unless_told_otherwise() {
    let Some(server) = SoundServer::start(&["desk", "other"]) else { return };
    // A stutter of a busy machine is a room that has changed: not in each of so many times.
    let mut weaker_db = Vec::new();
    while weaker_db.last().is_none_or(|db| *db < 20.0) {
        assert!(weaker_db.len() < 6, "only {weaker_db:.1?} dB");
        let (plain, cancelled) = std::thread::scope(|scope| {
            let plain = scope.spawn(|| echoed(&server, &["--device", "other,other.monitor", "--no-aec"]));
            let cancelled = echoed(&server, &["--device", "desk,desk.monitor"]);
            (plain.join().expect("a thread"), cancelled)
        });
        let is_there = plain > 10_000.0; // without cancelling
        weaker_db.push(if is_there { 10.0 * (plain / cancelled.max(1e-3)).log10() } else { 0.0 });
    }
}

#[test]
fn a_session_survives_its_sound_server() {
    let Some(mut server) = SoundServer::start(&["speaker"]) else { return };
    let desk = Desk::in_time();
    let mut child =
        server.spy(&desk, &["--keys", "--device", "default", CALL]).stdin(Stdio::piped()).spawn().expect("spy runs");
    let mut keys = child.stdin.take().expect("stdin");
    let words = Words::of(&mut child);
    words.says(STATEMENT);
    server.server.kill().expect("it runs");
    words.says("the sound server has gone; the session goes on without sound");
    keys.write_all(b"3").expect("spy reads");
    words.says("BARGE");
    words.says("no microphone, you are not heard");
    desk.expect(&Seen::Mode(wirechief::control::supervision::Mode::Barge, None));
    keys.write_all(b"q").expect("spy reads");
    assert_eq!(code(&mut child), Some(0));
}

#[test]
fn a_card_that_is_pulled_out_is_told() {
    let Some(server) = SoundServer::start(&["speaker"]) else { return };
    let desk = Desk::in_time();
    let mut child = server.spy(&desk, &["--device", "default", CALL]).spawn().expect("spy runs");
    let words = Words::of(&mut child);
    words.says(STATEMENT);
    let out = program::run(&mut server.tool("pactl", &["unload-module", "module-null-sink"]));
    assert!(out.status.success());
    words.says("the sound card takes no more sound");
    kill_process(pid(&child), Signal::TERM).expect("it still runs");
    assert_eq!(code(&mut child), Some(143));
}

#[test]
fn the_devices_are_listed_for_people_and_for_programs() {
    let Some(server) = SoundServer::start(&["speaker", "headset"]) else { return };
    let desk = Desk::open(None);
    let list = program::run(&mut server.spy(&desk, &["--list-devices"]));
    assert!(list.status.success());
    let lines = text(&list.stdout);
    let lines: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "KIND", "DEFAULT", "DESCRIPTION"]);
    assert_eq!(lines[1], ["speaker", "speaker", "yes", "Null", "Output"]);
    let json = program::run(&mut server.spy(&desk, &["--list-devices", "--json"]));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["schema"], "spy.devices/1");
    assert_eq!(json["devices"][0]["name"], "speaker");
    assert_eq!(json["devices"][0]["default"], true);
    assert_eq!(json["devices"][1]["kind"], "speaker");
}

#[test]
fn without_a_sound_server_one_line_says_what_to_do() {
    let desk = Desk::open(None);
    let nowhere = desk.file("nowhere");
    for words in [&["--device", "default", CALL][..], &["--list-devices"]] {
        let out = program::run(spy(&desk, words).env("PULSE_SERVER", format!("unix:{}", nowhere.display())));
        assert_eq!(out.status.code(), Some(1));
        let error = "spy: --device: no sound server runs here, neither PulseAudio nor PipeWire\nhint: `--stdout` hands \
            the sound to another program, `--device none` shows the meters without sound\n";
        assert_eq!(text(&out.stderr), error);
        assert!(out.stdout.is_empty());
    }
}
