//! A server as a process, with folders of its own, and the programs that ask it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

pub(crate) use crate::harness::program::failed;
use crate::harness::{Law, PATIENCE, Phone, Profile, password};

pub(crate) const PBX: &str = env!("CARGO_BIN_EXE_pbx");
const SPY: &str = env!("CARGO_BIN_EXE_spy");

/// The dialplan every server begins with.
pub(crate) const PLAN: &str =
    "[internal]\nexten => bob,1,Dial(SIP/bob,10)\nexten => echo,1,Answer()\n same => n,Echo()\n";

/// Folders with a configuration; the servers that run on it come one after the other.
pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
}

impl House {
    /// Any free ports; users alice, bob and carol.
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// With that SIP address.
    pub(crate) fn at(address: &str) -> Self {
        let house = Self { folder: crate::harness::folder() };
        house.writes("extensions.conf", PLAN);
        house.writes("pbx.toml", &settings(address, ""));
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn writes(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file of the house");
    }

    /// A program with nothing of this machine's environment.
    pub(crate) fn program(&self, program: impl Into<PathBuf>, words: &[&str]) -> Command {
        let mut command = Command::new(program.into());
        let folder = self.folder.path();
        command.env_clear().env("HOME", folder).env("XDG_RUNTIME_DIR", folder).env("XDG_STATE_HOME", folder);
        command.env("XDG_CONFIG_HOME", folder).env("WIRECHIEF_SOCKET", self.socket());
        command.env("WIRECHIEF_CONFIG", self.path("pbx.toml")).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/pbx.sock")
    }

    pub(crate) async fn pbx(&self, words: &[&str]) -> Output {
        done(self.program(PBX, words)).await
    }

    pub(crate) async fn spy(&self, words: &[&str]) -> Output {
        done(self.program(SPY, words)).await
    }

    /// What `pbx` prints for a question that has an answer.
    pub(crate) async fn asks(&self, words: &[&str]) -> String {
        let output = self.pbx(words).await;
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) async fn asks_json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.asks(&[words, &["--json"]].concat()).await).expect("a JSON document")
    }

    /// Starts `pbx run`, and waits until it serves.
    pub(crate) async fn opens(&self) -> Running {
        let running = Running::of(self.program(PBX, &["run"])).await;
        running.says(" serves ").await;
        running
    }

    /// A registered phone of a user.
    pub(crate) async fn phone(&self, user: &str) -> Phone {
        self.phone_with(user, &[Law::Ulaw, Law::Alaw]).await
    }

    /// The same with other codecs.
    pub(crate) async fn phone_with(&self, user: &str, laws: &[Law]) -> Phone {
        let status = self.asks_json(&["status"]).await;
        let address = status["sip"][0].as_str().and_then(|url| url.strip_prefix("udp://")?.parse().ok());
        let server = address.expect("the server's address");
        let (password, laws) = (Some(password(user)), laws.to_vec());
        let mut phone = Profile { password, laws, ..Profile::new(user, server) }.plug_in().await;
        phone.registers().await;
        phone
    }
}

/// The settings with that SIP address; `keys` are further ones of carol, as whom the account `nobody` supervises.
pub(crate) fn settings(address: &str, keys: &str) -> String {
    let mut text = format!(
        "[sip]\nbind = [\"udp://{address}\", \"tcp://{address}\"]\n[media]\nbind = \"127.0.0.1\"\nports = \"40000-49999\"\n\
         [dialplan]\nfiles = [\"extensions.conf\"]\n[supervision]\nshell_users = {{ nobody = \"carol\" }}\n[limits]\nrequests_per_second_per_source = 0\n"
    );
    for user in ["alice", "bob", "carol"] {
        text += &format!("[users.{user}]\npassword = \"{}\"\ncontext = \"internal\"\n", password(user));
    }
    text + keys
}

/// Waits for the end of a program.
pub(crate) async fn done(mut command: Command) -> Output {
    timeout(PATIENCE, command.output()).await.expect("it ends").expect("it runs")
}

/// A program that goes on running.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// Its lines on stdout and stderr.
    lines: Arc<Mutex<Vec<String>>>,
    told: Arc<Notify>,
}

impl Running {
    pub(crate) async fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("it runs");
        let (lines, told) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (stdout, stderr) = (child.stdout.take().expect("stdout"), child.stderr.take().expect("stderr"));
        for stream in [Box::new(stdout) as Box<dyn tokio::io::AsyncRead + Unpin + Send>, Box::new(stderr)] {
            let (lines, told) = (Arc::clone(&lines), Arc::clone(&told));
            tokio::spawn(async move {
                let mut read = BufReader::new(stream).lines();
                while let Ok(Some(line)) = read.next_line().await {
                    lines.lock().unwrap().push(line);
                    told.notify_waiters();
                }
            });
        }
        Self { child, lines, told }
    }

    /// Waits for a line with that in it.
    pub(crate) async fn says(&self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.told.notified();
            if let Some(line) = self.lines().into_iter().find(|line| line.contains(part)) {
                return line;
            }
            assert!(timeout(end - Instant::now(), told).await.is_ok(), "{part:?} is not said, but {:#?}", self.lines());
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) fn gets(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end; its exit code.
    pub(crate) async fn ends(&mut self) -> Option<i32> {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it goes on: {:#?}", self.lines())).expect("a status").code()
    }
}
