//! Other people's SIP: sipp by the thousand, two baresip phones that hear each other. Both from apt (`sip-tester`, `baresip-core`).
//!
//! A machine without them skips these tests and says so; with `CI=true` in the environment they are mandatory.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hound::{SampleFormat, WavSpec, WavWriter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval, timeout};

use wirechief::control::protocol::{CallDetail, Target, method};
use wirechief::control::supervision::Mode;

use crate::harness::{
    Ear, PATIENCE, TestPbx, Tone, Transport, Unusual, calmly, free_address, nothing, only, password, strength,
};
use crate::spy::request;

/// Whether the program is there; where it must be and is not, the test fails.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(found || std::env::var("CI").as_deref() != Ok("true"), "{program} is not installed");
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// A port that is free, and so is the next one: baresip opens that for TLS.
fn free_port() -> u16 {
    free_address().port()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn sipp(scenario: &str, port: u16, folder: &Path) -> Command {
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(data(scenario)).args(["-i", "127.0.0.1", "-p", &port.to_string(), "-m", "1000", "-nostdin"]);
    command.args(["-trace_stat", "-stf"]).arg(folder.join(format!("{port}.csv")));
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// A column of the last line of sipp's statistics.
fn count(folder: &Path, port: u16, column: &str) -> u64 {
    let text = std::fs::read_to_string(folder.join(format!("{port}.csv"))).expect("sipp's statistics");
    let at = text.lines().next().and_then(|names| names.split(';').position(|name| name == column));
    let value = text.lines().last().and_then(|line| line.split(';').nth(at?)?.parse().ok());
    value.unwrap_or_else(|| panic!("{column} in sipp's statistics"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_two_hundred_a_second_lose_and_repeat_nothing() {
    calmly(async || {
        if !is_installed("sipp") {
            return;
        }
        let callee = free_port();
        let pbx = TestPbx::with(&format!("exten => _X.,1,Dial(SIP/${{EXTEN}}@127.0.0.1:{callee})")).await;
        // Who is not answered within half a second repeats: once in a while that is the machine's doing, not each time.
        let mut repeats = Vec::new();
        while repeats.last().is_none_or(|repeats| *repeats > 0) {
            assert!(repeats.len() < 5, "{repeats:?} messages were repeated");
            repeats.push(a_thousand_calls(&pbx, callee).await);
        }
        pbx.is_idle().await;
        pbx.shows("nothing left", 2 * PATIENCE, |now| {
            (now.calls, now.legs, now.transactions, now.dialogs, now.ports) == (0, 0, 0, 0, 0)
        })
        .await;
    })
    .await;
}

/// Whether somebody has opened that port of 127.0.0.1 for datagrams.
fn is_open(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/udp").expect("the kernel's sockets");
    sockets.contains(&format!(" 0100007F:{port:04X} "))
}

/// All of them succeed; how many messages were repeated.
async fn a_thousand_calls(pbx: &TestPbx, callee: u16) -> u64 {
    let (folder, caller) = (tempfile::tempdir().expect("a folder"), free_port());
    let mut answering = sipp("sipp/uas.xml", callee, folder.path()).spawn().expect("sipp");
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
    while !is_open(callee) {
        beat.tick().await;
        assert!(Instant::now() < end, "the callee does not listen");
    }
    let server = pbx.address(Transport::Udp).to_string();
    let mut calling = sipp("sipp/uac.xml", caller, folder.path());
    let calling = calling.args(["-s", "600100", "-r", "200", &server]).status();
    let status = timeout(4 * PATIENCE, calling).await.expect("sipp ends").expect("sipp runs");
    assert!(status.success(), "sipp: {status}");
    timeout(2 * PATIENCE, answering.wait()).await.expect("the callee ends").expect("sipp runs");
    for port in [caller, callee] {
        assert_eq!(count(folder.path(), port, "SuccessfulCall(C)"), 1_000);
        assert_eq!(count(folder.path(), port, "FailedCall(C)"), 0);
    }
    [caller, callee].map(|port| count(folder.path(), port, "Retransmissions(C)")).iter().sum()
}

/// A baresip without a sound card: speaks a tone, writes what it hears to a file, obeys on a TCP port.
struct Baresip {
    folder: tempfile::TempDir,
    control: TcpStream,
    told: String,
    user: &'static str,
    _child: Child,
}

impl Baresip {
    /// Plugs the phone in and waits until the server knows it.
    async fn start(pbx: &TestPbx, user: &'static str, tone: Tone, transport: Transport) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, sip, server) = (free_port(), free_port(), pbx.address(transport));
        let word = transport.word().to_lowercase();
        let path = folder.path().display();
        let config = format!(
            "sip_listen 127.0.0.1:{sip}\naudio_player aubridge,{user}\naudio_source aufile,{path}/tone.wav\n\
             audio_alert aubridge,alert\nausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
             module_path {}\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n\
             module_tmp uuid.so\nmodule_tmp account.so\nmodule_app ctrl_tcp.so\nmodule_app menu.so\n\
             ctrl_tcp_listen 127.0.0.1:{port}\nsnd_path {path}\nrtp_ports 10000-19998\n",
            modules()
        );
        let account = format!(
            "<sip:{user}@{server};transport={word}>;auth_pass={};answermode=auto;regint=600;audio_codecs=PCMU/8000/1\n",
            password(user)
        );
        for (name, text) in [("config", config), ("accounts", account), ("contacts", String::new())] {
            std::fs::write(folder.path().join(name), text).expect("a file of baresip");
        }
        write_tone(&folder.path().join("tone.wav"), tone);
        let child = Command::new("baresip")
            .arg("-f")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("baresip");
        let (end, mut beat) = (Instant::now() + 2 * PATIENCE, interval(Duration::from_millis(50)));
        let control = loop {
            beat.tick().await;
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
                break stream;
            }
            assert!(Instant::now() < end, "baresip opens no control port");
        };
        let (end, mut beat) = (Instant::now() + 2 * PATIENCE, interval(Duration::from_millis(50)));
        while !pbx.registrations().await.iter().any(|phone| phone.user == user && phone.source.starts_with(&word)) {
            beat.tick().await;
            assert!(Instant::now() < end, "{user}'s baresip does not register");
        }
        Self { folder, control, told: String::new(), user, _child: child }
    }

    /// A command in baresip's netstring JSON.
    async fn does(&mut self, command: &str, params: &str) {
        let message = serde_json::json!({ "command": command, "params": params, "token": "t" }).to_string();
        let message = format!("{}:{message},", message.len());
        self.control.write_all(message.as_bytes()).await.expect("baresip's control port");
    }

    /// Holds or resumes its call, and waits for the server's answer.
    async fn changes(&mut self, command: &str) {
        self.does(command, "").await;
        self.tells("CALL_REMOTE_SDP", "\"param\":\"answer\"").await;
    }

    /// Waits for an event of that type and, where given, that parameter, that was not waited for before.
    async fn tells(&mut self, event: &str, param: &str) {
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; 8_192];
        loop {
            while let Some(at) = self.told.find("},") {
                let one: String = self.told.drain(..at + 2).collect();
                if one.contains(&format!("\"{event}\"")) && one.contains(param) {
                    return;
                }
            }
            let read = timeout(end - Instant::now(), self.control.read(&mut buffer)).await;
            let count =
                read.unwrap_or_else(|_| panic!("{} waits for {event}: {}", self.user, self.told)).expect("baresip");
            assert!(count > 0, "{}'s baresip is gone", self.user);
            self.told.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    /// What it heard so far: 16-bit mono at 8 kHz behind the header of a WAV file that still grows.
    fn heard(&self) -> Vec<i16> {
        let files = std::fs::read_dir(self.folder.path()).expect("its folder").flatten().map(|file| file.path());
        let newest = files.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).max();
        let bytes = newest.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        bytes.get(44..).unwrap_or(&[]).chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    /// Waits until a new tenth of a second holds that tone, and of all others less than a twentieth of it.
    async fn hears_only(&self, tone: Tone) {
        let mark = self.heard().len();
        let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
        let mut last = Vec::new();
        loop {
            beat.tick().await;
            let heard = self.heard();
            if heard.len() >= mark + 1_600 {
                let window = &heard[heard.len() - 800..];
                last = Tone::ALL.map(|tone| (tone, strength(tone, window))).to_vec();
                let wanted = last.iter().find(|(one, _)| *one == tone).map_or(0.0, |(_, strength)| *strength);
                if wanted > 0.2 && last.iter().all(|(one, strength)| *one == tone || strength * 20.0 < wanted) {
                    return;
                }
            }
            assert!(Instant::now() < end, "{} hears {last:?} instead of {tone:?} alone", self.user);
        }
    }
}

/// Five minutes of a tone, longer than any call here may take, as a phone's microphone.
fn write_tone(path: &Path, tone: Tone) {
    let spec = WavSpec { channels: 1, sample_rate: 8_000, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::create(path, spec).expect("a file");
    (0..2_400_000).for_each(|at| writer.write_sample(tone.sample(at)).expect("written"));
    writer.finalize().expect("closed");
}

fn modules() -> String {
    let folders = ["/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules"];
    folders.into_iter().find(|folder| Path::new(folder).is_dir()).expect("baresip's modules").to_owned()
}

/// Packets sent to each phone of the only call.
async fn sent(pbx: &TestPbx) -> Vec<u64> {
    let uuid = pbx.calls().await[0].uuid.clone();
    let call: CallDetail = pbx.client().await.request(method::CALL, &Target { uuid }).await.expect("the call");
    call.legs.iter().map(|leg| leg.media.as_ref().map_or(0, |media| media.packets_out)).collect()
}

/// Waits until a second of audio went to both phones. (Baresip 1.0 writes no file any more after its first hold.)
async fn flows_both_ways(pbx: &TestPbx) {
    let (before, end, mut beat) = (sent(pbx).await, Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
    loop {
        beat.tick().await;
        let now = sent(pbx).await;
        if now.iter().zip(&before).all(|(now, before)| now >= &(before + 50)) {
            return;
        }
        assert!(Instant::now() < end, "{now:?} packets after {before:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_baresip_phones_talk_hold_resume_and_hang_up() {
    calmly(async || {
        if !is_installed("baresip") {
            return;
        }
        let user = |name| format!("[users.{name}]\npassword = \"{}\"\ncontext = \"internal\"\n", password(name));
        for transport in [Transport::Udp, Transport::Tcp] {
            let unusual = Unusual { settings: user("1001") + &user("1002"), ..Unusual::default() };
            let pbx = TestPbx::unusual("exten => _100[1-3],1,Dial(SIP/${EXTEN},10)", unusual).await;
            let mut anna = Baresip::start(&pbx, "1001", Tone::A, transport).await;
            let mut ben = Baresip::start(&pbx, "1002", Tone::B, transport).await;
            for caller_ends in [true, false] {
                anna.does("dial", "1002").await;
                anna.tells("CALL_ESTABLISHED", "").await;
                ben.tells("CALL_ESTABLISHED", "").await;
                anna.hears_only(Tone::B).await;
                ben.hears_only(Tone::A).await;
                let uuid = pbx.calls().await[0].uuid.clone();
                let ear =
                    Ear::attach(pbx.client().await, &request(&uuid, Mode::Listen, None)).await.expect("a session");
                let held = [(&mut anna, nothing(), only(Tone::B)), (&mut ben, only(Tone::A), nothing())];
                for (side, from_anna, from_ben) in held {
                    side.changes("hold").await;
                    ear.hears(from_anna, from_ben).await;
                    side.changes("resume").await;
                    ear.hears(only(Tone::A), only(Tone::B)).await;
                }
                ear.leaves();
                flows_both_ways(&pbx).await;
                let (ends, is_told) = if caller_ends { (&mut anna, &mut ben) } else { (&mut ben, &mut anna) };
                ends.does("hangup", "").await;
                is_told.tells("CALL_CLOSED", "").await;
                pbx.is_idle().await;
            }
        }
    })
    .await;
}
