//! The `spy` program as a process, on a call of two tones behind the real control socket: sound out, voice in, keys, exit codes.

mod desk;
mod journey;
mod pulse;
mod terminal;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use desk::{A_HZ, B_HZ, CALL, Desk, FORBIDDEN, OVER, Seen, level, sine};
use rustix::process::{Pid, Signal, kill_process};
use wirechief::control::supervision::{Mode, Party, SpyTarget};

use crate::harness::{PATIENCE, program};

/// Half a second of the call.
const SHORT: Option<u64> = Some(50);

fn spy(desk: &Desk, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spy"));
    command.args(words).env_clear().env("WIRECHIEF_SOCKET", desk.socket());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn done(desk: &Desk, words: &[&str]) -> Output {
    program::run(&mut spy(desk, words))
}

/// What a program says on standard error, line by line.
struct Words(Receiver<String>);

impl Words {
    fn of(child: &mut Child) -> Self {
        let (said, words) = channel();
        let lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        // Read to its end, so that it never waits for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(said.send(line))));
        Self(words)
    }

    /// Waits for a line with that in it.
    #[track_caller]
    fn says(&self, wanted: &str) {
        let (since, mut said) = (Instant::now(), Vec::new());
        loop {
            match self.0.recv_timeout(PATIENCE.saturating_sub(since.elapsed())) {
                Ok(line) if line.contains(wanted) => return,
                Ok(line) => said.push(line),
                Err(_) => panic!("{wanted:?} is not said, but {said:?}"),
            }
        }
    }
}

/// Waits for the end; a process that does not end is killed, and its code is then none.
fn code(child: &mut Child) -> Option<i32> {
    let (status, _) = program::at_most(PATIENCE, pid(child), || child.wait());
    status.expect("a child").code()
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn side(bytes: &[u8], sides: usize, at: usize) -> Vec<i16> {
    let samples = bytes.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair));
    samples.skip(at).step_by(sides).collect()
}

fn has(samples: &[i16], hz: f64, rate_hz: u32) -> bool {
    level(samples, hz, rate_hz) > 7_000.0
}

fn lacks(samples: &[i16], hz: f64, rate_hz: u32) -> bool {
    level(samples, hz, rate_hz) < 200.0
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn standard_output_has_both_parties_in_the_mix_and_each_on_its_side() {
    let desk = Desk::open(SHORT);
    for rate_hz in [8_000, 16_000, 48_000] {
        let rate = rate_hz.to_string();
        let mix = done(&desk, &["--stdout", "--rate", &rate, CALL]);
        assert_eq!(mix.status.code(), Some(0), "{}", text(&mix.stderr));
        let mix = side(&mix.stdout, 1, 0);
        assert!(mix.len() > rate_hz as usize * 8 / 10, "{rate}: {} samples", mix.len());
        assert!(has(&mix, A_HZ, rate_hz) && has(&mix, B_HZ, rate_hz), "{rate}");

        let split = done(&desk, &["--stdout", "--rate", &rate, "--channels", "split", CALL]).stdout;
        let (left, right) = (side(&split, 2, 0), side(&split, 2, 1));
        assert!(has(&left, A_HZ, rate_hz) && lacks(&left, B_HZ, rate_hz), "{rate}");
        assert!(has(&right, B_HZ, rate_hz) && lacks(&right, A_HZ, rate_hz), "{rate}");
    }
}

#[test]
fn a_transcriber_gets_every_sample_of_the_call_once_and_both_sides_at_the_same_time() {
    // Twenty seconds of a call; nothing is left out, doubled or moved against the other side.
    let desk = Desk::open(Some(1_000));
    let out = done(&desk, &["--stdout", "--channels", "split", "--quiet", CALL]);
    assert!(out.status.success());
    let (left, right) = (side(&out.stdout, 2, 0), side(&out.stdout, 2, 1));
    let samples = 1_000 * 160;
    assert_eq!((left.len(), right.len()), (samples, samples));
    let is_tone = |side: &[i16], hz| (0..).zip(side).all(|(at, &sample)| sample == sine(hz, 8_000, at));
    assert!(is_tone(&left, A_HZ) && is_tone(&right, B_HZ));
    let doubled = done(&desk, &["--stdout", "--channels", "split", "--rate", "16000", "--quiet", CALL]).stdout;
    assert!(doubled.len().abs_diff(samples * 8) <= 8 * 80, "{} bytes: within 10 ms", doubled.len());
}

#[test]
fn a_wav_in_a_pipe_is_one_and_in_a_file_has_its_length() {
    let desk = Desk::open(SHORT);
    let words = ["--stdout", "--format", "wav", "--rate", "16000", "--channels", "split", CALL];
    let piped = done(&desk, &words).stdout;
    let spec = hound::WavReader::new(&piped[..]).expect("a WAV").spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 16_000, 16));
    assert!(has(&side(&piped[44..], 2, 0), A_HZ, 16_000));

    let path = desk.file("a.wav");
    let file = std::fs::File::create(&path).expect("a file");
    assert!(spy(&desk, &words).stdout(file).status().expect("spy runs").success());
    let samples: Vec<i16> =
        hound::WavReader::open(&path).expect("a WAV").into_samples().map(|s| s.expect("whole")).collect();
    let right: Vec<i16> = samples.into_iter().skip(1).step_by(2).collect();
    assert!(right.len() > 12_000 && has(&right, B_HZ, 16_000), "{} samples", right.len());
}

#[test]
fn volume_changes_what_is_heard_and_not_what_is_recorded() {
    let desk = Desk::open(SHORT);
    let path = desk.file("r.wav");
    let record = path.to_str().expect("a path");
    let loud = done(&desk, &["--stdout", "--channels", "split", "--volume", "2", "--record", record, CALL]);
    let ratio = level(&side(&loud.stdout, 2, 0), A_HZ, 8_000) / 8_000.0;
    assert!((1.9..2.1).contains(&ratio), "{ratio}: two steps are 6 dB");
    let samples: Vec<i16> =
        hound::WavReader::open(&path).expect("a WAV").into_samples().map(|s| s.expect("whole")).collect();
    let (a, b): (Vec<i16>, Vec<i16>) = samples.as_chunks::<2>().0.iter().map(|&[a, b]| (a, b)).unzip();
    assert!((level(&a, A_HZ, 8_000) - 8_000.0).abs() < 100.0 && lacks(&a, B_HZ, 8_000));
    assert!(has(&b, B_HZ, 8_000) && lacks(&b, A_HZ, 8_000));

    let again = done(&desk, &["--record", record, CALL]);
    assert_eq!(again.status.code(), Some(1), "a recording is not written over");
    assert!(done(&desk, &["--record", record, "--force", CALL]).status.success());
}

#[test]
fn the_voice_from_standard_input_reaches_the_call_and_its_end_is_not_the_end() {
    let desk = Desk::open(None);
    for rate_hz in [8_000, 16_000, 48_000] {
        let mut child = spy(&desk, &["--mode", "whisper", "--stdin", "--stdout", "--rate", &rate_hz.to_string(), CALL])
            .stdin(Stdio::piped())
            .spawn()
            .expect("spy runs");
        let mut stdin = child.stdin.take().expect("stdin");
        let voice: Vec<u8> = (0..u64::from(rate_hz)).flat_map(|at| sine(750.0, rate_hz, at).to_le_bytes()).collect();
        let writer = std::thread::spawn(move || stdin.write_all(&voice));
        let mut stdout = child.stdout.take().expect("stdout");
        let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let said = desk.voice(7_600);
        assert!(level(&said, 750.0, 8_000) > 6_500.0, "{rate_hz}: {}", level(&said, 750.0, 8_000));
        writer.join().expect("a thread").expect("all is read");
        assert_eq!(child.try_wait().expect("a child"), None, "the end of the voice is silence");
        kill_process(pid(&child), Signal::TERM).expect("it runs");
        assert_eq!(code(&mut child), Some(143));
        desk.expect(&Seen::Detached);
        let _ = reader.join();
    }
}

#[test]
fn in_listen_mode_the_voice_is_read_and_not_said() {
    let desk = Desk::open(Some(200));
    let mut child = spy(&desk, &["--stdin", "--stdout", CALL]).stdin(Stdio::piped()).spawn().expect("spy runs");
    let mut stdin = child.stdin.take().expect("stdin");
    let voice: Vec<u8> = (0..16_000).flat_map(|at| sine(750.0, 8_000, at).to_le_bytes()).collect();
    stdin.write_all(&voice).expect("all is read");
    assert!(program::ended(child).status.success());
    assert!(desk.seen.try_iter().all(|seen| !matches!(seen, Seen::Voice(_))));
}

#[test]
fn a_voice_that_never_comes_does_not_hold_the_sound_up() {
    let desk = Desk::open(SHORT);
    let mut child = spy(&desk, &["--stdin", "--stdout", CALL]).stdin(Stdio::piped()).spawn().expect("spy runs");
    let _never_written = child.stdin.take();
    let mut bytes = Vec::new();
    child.stdout.take().expect("stdout").read_to_end(&mut bytes).expect("readable");
    assert!(has(&side(&bytes, 1, 0), A_HZ, 8_000));
    assert_eq!(code(&mut child), Some(0));
}

#[test]
fn the_file_device_speaks_and_writes() {
    let desk = Desk::open(Some(100));
    let (voice, heard) = (desk.file("voice.wav"), desk.file("heard.wav"));
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&voice, spec).expect("a file");
    (0..8_000).for_each(|at| writer.write_sample(sine(750.0, 8_000, at)).expect("written"));
    writer.finalize().expect("closed");
    let device = format!("file:{},{}", voice.display(), heard.display());
    let out = done(&desk, &["--mode", "barge", "--device", &device, CALL]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(level(&desk.voice(7_000), 750.0, 8_000) > 7_000.0);
    let samples: Vec<i16> =
        hound::WavReader::open(&heard).expect("a WAV").into_samples().map(|s| s.expect("whole")).collect();
    assert!(has(&samples, A_HZ, 8_000) && has(&samples, B_HZ, 8_000));
}

#[test]
fn every_failure_has_its_code_and_one_line() {
    let desk = Desk::open(SHORT);
    let unknown = "00000000-0000-4000-8000-000000000000";
    let cases: [(&[&str], i32); 14] = [
        (&[unknown], 3),
        (&[FORBIDDEN], 4),
        (&[OVER], 8),
        (&["--expect-live", CALL], 8),
        (&["--socket", "no-such.sock", CALL], 7),
        (&["--mode", "shout", CALL], 2),
        (&[], 2),
        (&["--rate", "16000", CALL], 2),
        (&["--exten", "1001", CALL], 2),
        (&["--all", "--user", "1001"], 2),
        (&["--follow", CALL], 2),
        (&["--order", "oldest", CALL], 2),
        (&["--exten", "1001"], 3),
        (&["--device", "file:no-such.wav", CALL], 5),
    ];
    for (words, wanted) in cases {
        let out = done(&desk, &[words, &["-q"]].concat());
        let errors = text(&out.stderr);
        assert_eq!(out.status.code(), Some(wanted), "{words:?}: {errors}");
        assert!(out.stdout.is_empty(), "{words:?}");
        assert!(errors.starts_with("spy: ") && errors.lines().count() <= 2, "{words:?}: {errors}");
        assert!(errors.lines().skip(1).all(|line| line.starts_with("hint: ")), "{words:?}: {errors}");
    }
}

#[test]
fn s006_a_uuid_is_taken_in_any_case_and_sent_in_lower() {
    let desk = Desk::open(SHORT);
    assert!(done(&desk, &["-q", &CALL.to_uppercase()]).status.success());
    let Ok(Seen::Attached(request)) = desk.seen.try_recv() else { panic!("it has not attached") };
    assert_eq!(request.target, SpyTarget::Uuid(CALL.into()));
}

#[test]
fn within_a_second_it_says_what_it_hears_of_each_side() {
    let desk = Desk::open(None);
    // The machine may be busy with something else for a second, but not each time.
    let mut tries = 0;
    loop {
        let out = done(&desk, &["--duration", "1s", CALL]);
        assert_eq!(out.status.code(), Some(0));
        let lines = text(&out.stderr);
        assert!(lines.contains("spy: LISTEN - nobody hears you on call c7709e9c"), "{lines}");
        if lines.contains("spy: hears agent 1001 at -15 dB, customer 0791112233 at -15 dB") {
            break;
        }
        tries += 1;
        assert!(tries < 20, "{lines}");
    }
    assert!(done(&desk, &["--quiet", "--duration", "1s", CALL]).stderr.is_empty());
}

#[test]
fn json_tells_each_event_and_never_stands_among_the_sound() {
    let desk = Desk::open(SHORT);
    let events = |bytes: &[u8]| -> Vec<String> {
        let lines = text(bytes);
        let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["event"].to_string();
        // What is heard is told when the call has lasted for most of a second: on a busy machine it does.
        lines.lines().map(event).filter(|event| event != "\"hears\"").collect()
    };
    let out =
        done(&desk, &["--json", "--device", "none", "--record", desk.file("x.wav").to_str().expect("a path"), CALL]);
    assert_eq!(events(&out.stdout), ["\"started\"", "\"ended\""]);
    assert!(out.stderr.is_empty());
    let out = done(&desk, &["--json", "--stdout", CALL]);
    assert_eq!(events(&out.stderr), ["\"started\"", "\"ended\""]);
    assert!(has(&side(&out.stdout, 1, 0), A_HZ, 8_000));
    let out = done(&desk, &["--json", FORBIDDEN]);
    assert_eq!(text(&out.stderr).lines().count(), 1);
    assert!(text(&out.stderr).starts_with(r#"{"error":{"code":"denied""#));
}

#[test]
fn keys_from_a_pipe_change_the_mode_and_others_change_nothing() {
    let desk = Desk::open(None);
    let mut child =
        spy(&desk, &["--keys", "--max-mode", "whisper", CALL]).stdin(Stdio::piped()).spawn().expect("spy runs");
    let mut keys = child.stdin.take().expect("stdin");
    let words = Words::of(&mut child);
    let mut press = |key: &[u8]| keys.write_all(key).expect("spy reads");
    words.says("LISTEN");
    press(b"4x2");
    words.says("WHISPER to agent 1001 - customer cannot hear you");
    desk.expect(&Seen::Mode(Mode::Whisper, Some(Party::A)));
    press(b"1");
    words.says("WHISPER to customer 0791112233 - agent cannot hear you");
    desk.expect(&Seen::Mode(Mode::Whisper, Some(Party::B)));
    press(b"3");
    words.says("barge is not allowed");
    press(b"0");
    words.says("LISTEN - nobody hears you");
    desk.expect(&Seen::Mode(Mode::Listen, None));
    press(b"q");
    assert_eq!(code(&mut child), Some(0));
    desk.expect(&Seen::Detached);
}

#[test]
fn a_killed_spy_is_detached() {
    let desk = Desk::open(None);
    let mut child = spy(&desk, &["--mode", "barge", CALL]).spawn().expect("spy runs");
    let Ok(Seen::Attached(_)) = desk.seen.recv_timeout(PATIENCE) else { panic!("it has not attached") };
    child.kill().expect("it runs");
    desk.expect(&Seen::Detached);
    let _ = child.wait();
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let desk = Desk::open(None);
    let mut child = spy(&desk, &["--stdout", "-q", CALL]).spawn().expect("spy runs");
    let mut stdout = child.stdout.take().expect("stdout");
    stdout.read_exact(&mut [0; 320]).expect("sound");
    drop(stdout);
    assert_eq!(code(&mut child), Some(0));
    let mut errors = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut errors).expect("text");
    assert_eq!(errors, "");
}

#[test]
fn a_reader_that_stands_still_costs_the_call_nothing_and_spy_no_memory() {
    let desk = Desk::open(Some(4_000));
    let mut child =
        spy(&desk, &["--stdout", "--rate", "48000", "--channels", "split", CALL]).spawn().expect("spy runs");
    let stdout = child.stdout.take().expect("stdout");
    let errors = BufReader::new(child.stderr.take().expect("stderr")).lines();
    // 80 s of the call pass at its own pace, although nobody reads: only then is it over.
    let seen = desk.seen.recv_timeout(PATIENCE).expect("it attaches");
    assert!(matches!(seen, Seen::Attached(_)));
    let resident_kb = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
        line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("kB")
    };
    assert!(desk.seen.recv_timeout(3 * PATIENCE).is_ok_and(|seen| seen == Seen::Detached));
    assert!(resident_kb() < 60_000, "{} kB", resident_kb());
    drop(stdout);
    let last = errors.map(|line| line.expect("text")).last().expect("a word at the end");
    assert!(last.contains("dropped because the reader was too slow"), "{last}");
    assert_eq!(code(&mut child), Some(0));
}

#[test]
fn ctrl_c_ends_cleanly_and_leaves_a_whole_recording() {
    let desk = Desk::open(None);
    let path = desk.file("c.wav");
    let mut child =
        spy(&desk, &["--stdout", "--record", path.to_str().expect("a path"), CALL]).spawn().expect("spy runs");
    let mut stdout = child.stdout.take().expect("stdout");
    stdout.read_exact(&mut [0; 16_000]).expect("a second of sound");
    let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    kill_process(pid(&child), Signal::INT).expect("it runs");
    assert_eq!(code(&mut child), Some(130));
    let _ = reader.join();
    assert!(hound::WavReader::open(&path).expect("a WAV").duration() >= 8_000);
    desk.expect(&Seen::Detached);
}

#[test]
fn without_a_uuid_and_a_terminal_it_says_how() {
    let desk = Desk::open(None);
    let out = done(&desk, &[]);
    assert_eq!(out.status.code(), Some(2));
    assert_eq!(text(&out.stderr), "spy: which call? no UUID is given\nhint: `pbx calls` lists the live calls\n");
}
