//! `spy` as a process on a real server: from call to call, waiting, taking an agent's place, and through ssh.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use rustix::process::{Signal, kill_process};

use super::desk::{A_HZ, B_HZ, CALL, Desk, Seen, level, sine};
use super::{code, has, pid, side, spy};
use crate::call::talk;
use crate::harness::{PATIENCE, TestPbx, Tone, only, program};

const BOB_AND_CAROL: &str = "exten => bob,1,Dial(SIP/bob,10)\nexten => carol,1,Dial(SIP/carol,10)";

/// A running `spy` with keys on its standard input and its words on standard error.
struct Spy {
    child: Child,
    keys: ChildStdin,
    words: Lines<BufReader<ChildStderr>>,
}

impl Spy {
    fn start(pbx: &TestPbx, words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spy"));
        command.args(words).arg("--keys").env_clear().env("WIRECHIEF_SOCKET", pbx.pbx.control_path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("spy runs");
        let keys = child.stdin.take().expect("stdin");
        let words = BufReader::new(child.stderr.take().expect("stderr")).lines();
        Self { child, keys, words }
    }

    /// Waits for a line with that in it.
    async fn says(&mut self, wanted: &str) -> String {
        let mut said = Vec::new();
        let line = timeout(PATIENCE, async {
            while let Ok(Some(line)) = self.words.next_line().await {
                if line.contains(wanted) {
                    return Some(line);
                }
                said.push(line);
            }
            None
        });
        line.await.ok().flatten().unwrap_or_else(|| panic!("{wanted:?} is not said, but {said:?}"))
    }

    async fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.expect("spy reads");
    }

    async fn ends_with(mut self, code: i32) {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a child");
        assert_eq!(status.code(), Some(code));
    }
}

#[tokio::test]
async fn s002_all_calls_are_gone_through_by_the_star_key() {
    let pbx = TestPbx::with(BOB_AND_CAROL).await;
    let (alice, dave) = (pbx.phone("alice").await, pbx.phone("dave").await);
    let (mut bob, mut carol) = (pbx.phone("bob").await, pbx.phone("carol").await);
    let (mut first, _bobs) = talk(&alice, &mut bob, "bob").await;
    let mut spy = Spy::start(&pbx, &["--all", "--order", "oldest"]);
    spy.says("LISTEN - nobody hears you on call").await;
    spy.says("hears").await;
    let (mut second, _carols) = talk(&dave, &mut carol, "carol").await;
    spy.press("*").await;
    let line = spy.says("LISTEN - nobody hears you on call").await;
    assert!(line.contains("carol") || line.contains("dave"), "the other call: {line}");
    second.hangs_up().await;
    let line = spy.says("LISTEN - nobody hears you on call").await;
    assert!(line.contains("bob") || line.contains("alice"), "the one that is left: {line}");
    first.hangs_up().await;
    spy.says("WAITING for a call - nobody hears you").await;
    spy.press("q").await;
    spy.ends_with(0).await;
}

#[tokio::test]
async fn s004_a_user_is_followed_from_call_to_call_and_waited_for_in_between() {
    let pbx = TestPbx::with(BOB_AND_CAROL).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut spy = Spy::start(&pbx, &["--user", "bob@example.org", "--follow", "--mode", "whisper"]);
    spy.says("WAITING for a call - nobody hears you").await;
    for _ in 0..2 {
        let (mut call, mut called) = talk(&alice, &mut bob, "bob").await;
        spy.says("WHISPER to party B bob - party A cannot hear you on call").await;
        call.hangs_up().await;
        called.is_hung_up().await;
        spy.says("WAITING for a call").await;
    }
    spy.press("q").await;
    spy.ends_with(0).await;
}

#[tokio::test]
async fn walking_ends_at_a_hang_up_where_that_is_asked_for() {
    let pbx = TestPbx::with(BOB_AND_CAROL).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    for (more, code) in [(&["--exit-on-hangup"][..], 0), (&["--exit-on-hangup", "--expect-live"], 8)] {
        let (mut call, mut called) = talk(&alice, &mut bob, "bob").await;
        let mut spy = Spy::start(&pbx, &[&["--all"], more].concat());
        spy.says("LISTEN").await;
        call.hangs_up().await;
        called.is_hung_up().await;
        spy.says("ended").await;
        spy.ends_with(code).await;
    }
}

#[tokio::test]
async fn an_extension_without_a_call_is_not_found_or_waited_for() {
    let pbx = TestPbx::with(BOB_AND_CAROL).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut refused = Spy::start(&pbx, &["--exten", "bob"]);
    refused.says("spy: extension bob is in no call that you may listen to").await;
    refused.says("hint: --wait waits for one").await;
    refused.ends_with(3).await;
    let mut spy = Spy::start(&pbx, &["--exten", "bob", "--wait"]);
    spy.says("WAITING for a call").await;
    let (mut call, mut called) = talk(&alice, &mut bob, "bob").await;
    spy.says("LISTEN - nobody hears you on call").await;
    call.hangs_up().await;
    called.is_hung_up().await;
    spy.says("ended after").await;
    spy.ends_with(0).await;
}

/// The supervisor's voice and ears as pipes: says its tone at the call's pace for ever, counting what it hears.
async fn converse(mut voice: ChildStdin, mut sound: ChildStdout) {
    let mut frame = [0; 320];
    for at in 0.. {
        sound.read_exact(&mut frame).await.expect("sound");
        let said: Vec<u8> = (0..160).flat_map(|i| Tone::Supervisor.sample(at * 160 + i).to_le_bytes()).collect();
        voice.write_all(&said).await.expect("spy listens");
    }
}

#[tokio::test]
async fn takeover_puts_the_supervisor_in_the_agents_place() {
    let pbx = TestPbx::with(BOB_AND_CAROL).await;
    // A guest is a customer, bob an agent.
    let (guest, mut bob) = (pbx.phone("guest").await, pbx.phone("bob").await);
    let (mut customer, mut agent) = talk(&guest, &mut bob, "bob").await;
    customer.says(Tone::A).await;
    agent.says(Tone::B).await;
    customer.hears(only(Tone::B)).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_spy"))
        .args(["--user", "bob", "--mode", "takeover", "--stdin", "--stdout"])
        .env_clear()
        .env("WIRECHIEF_SOCKET", pbx.pbx.control_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("spy runs");
    let talking = converse(child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
    let mut words = BufReader::new(child.stderr.take().expect("stderr")).lines();
    tokio::select! {
        () = talking => {}
        () = async {
            let first = words.next_line().await.expect("text").expect("a line");
            assert!(first.contains("TAKEOVER - you talk with customer"), "{first}");
            customer.hears(only(Tone::Supervisor)).await;
        } => {}
    }
}

#[tokio::test]
async fn a_held_call_goes_on_as_steady_frames() {
    let pbx = TestPbx::with(BOB_AND_CAROL).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    calling.says(Tone::A).await;
    called.says(Tone::B).await;
    let began = tokio::time::Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_spy"))
        .args(["--exten", "bob", "--stdout", "--channels", "split", "--quiet"])
        .env_clear()
        .env("WIRECHIEF_SOCKET", pbx.pbx.control_path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("spy runs");
    let mut sound = child.stdout.take().expect("stdout");
    let mut second = vec![0; 32_000];
    sound.read_exact(&mut second).await.expect("a second of the call");
    calling.holds().await;
    // Four seconds of a held call are four seconds of sound: not half a second more than the call lasts, and not half as many. Where
    // the machine has been busy with something else they come later: then the next four are looked at.
    let mut heard = 1.0;
    loop {
        let since = tokio::time::Instant::now();
        for _ in 0..4 {
            timeout(PATIENCE, sound.read_exact(&mut second))
                .await
                .expect("in time")
                .expect("a second of the held call");
        }
        heard += 4.0;
        let (lasted, all) = (since.elapsed().as_secs_f64(), began.elapsed().as_secs_f64());
        assert!(all > heard - 0.5, "{heard} s of sound in {all} s");
        if lasted < 8.0 {
            break;
        }
        assert!(all < PATIENCE.as_secs_f64(), "{lasted} s for four seconds");
    }
    calling.resumes().await;
    let is_back = async {
        while !has(&side(&second, 2, 0), Tone::A.hz(), 8_000)
            && level(&side(&second, 2, 0), Tone::A.hz(), 8_000) < 4_000.0
        {
            sound.read_exact(&mut second).await.expect("the call again");
        }
    };
    timeout(PATIENCE, is_back).await.expect("the party is heard again");
}

/// A folder with an `ssh` that only runs what it was asked to run on the other machine, here.
fn ssh_that_stays_here(folder: &Path) -> std::ffi::OsString {
    let ssh = folder.join("ssh");
    program::script(&ssh, "#!/bin/sh\n# -T -- HOST COMMAND…\nshift 3\nexec sh -c \"$*\"\n");
    let programs = Path::new(env!("CARGO_BIN_EXE_pbx")).parent().expect("a folder");
    std::env::join_paths([folder, programs, Path::new("/usr/bin"), Path::new("/bin")]).expect("a path")
}

#[test]
fn over_ssh_the_call_is_heard_and_spoken_into() {
    let desk = Desk::open(None);
    let folder = tempfile::tempdir().expect("a folder");
    let path = ssh_that_stays_here(folder.path());
    let mut child =
        spy(&desk, &["--host", "boss@box", "--mode", "whisper", "--stdin", "--stdout", "--channels", "split", CALL])
            .env("PATH", path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("spy runs");
    let (mut voice, mut sound) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
    let speech: Vec<u8> = (0..40_000).flat_map(|at| sine(750.0, 8_000, at).to_le_bytes()).collect();
    // Ends with the session, when nobody reads any more.
    let speaking = std::thread::spawn(move || voice.write_all(&speech));
    let mut heard = vec![0; 64_000];
    sound.read_exact(&mut heard).expect("two seconds");
    let listening = std::thread::spawn(move || std::io::copy(&mut sound, &mut std::io::sink()));
    assert!(has(&side(&heard, 2, 0), A_HZ, 8_000) && has(&side(&heard, 2, 1), B_HZ, 8_000));
    let said = desk.voice(8_000);
    assert!(level(&said, 750.0, 8_000) > 6_500.0);
    kill_process(pid(&child), Signal::TERM).expect("it runs");
    assert_eq!(code(&mut child), Some(143));
    desk.expect(&Seen::Detached);
    let _ = (speaking.join(), listening.join());
}
