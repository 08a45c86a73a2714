//! `rec push` with `kind = "tus"` to `rec serve`, as programs, over a line that is cut: whoever is killed in the middle, the rest of
//! the recording is sent, and not what has arrived.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use wirechief::outbox::{Filter, Manifest, Outbox};

use crate::harness::PATIENCE;
use crate::receiver::stage::{TOKEN, private, until, wav};

/// More than one PATCH.
const SIZE: usize = 12 * 1024 * 1024;
/// Where the line holds for the first time: in the middle of the first PATCH.
const HELD_AT: u64 = 5 * 1024 * 1024;

/// A line between two programs: counts what comes from the near end, and holds once.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    far: Arc<Mutex<SocketAddr>>,
    passed: Arc<AtomicU64>,
    held: watch::Receiver<bool>,
}

impl Line {
    /// One that holds after so many bytes.
    pub(crate) async fn to(far: SocketAddr, held_at: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (far, passed) = (Arc::new(Mutex::new(far)), Arc::new(AtomicU64::new(0)));
        let (hold, held) = watch::channel(false);
        let hold = Arc::new(hold);
        let (to, count) = (Arc::clone(&far), Arc::clone(&passed));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = *to.lock().unwrap();
                let Ok(far) = TcpStream::connect(far).await else { continue };
                tokio::spawn(carry((near, far), held_at, Arc::clone(&count), Arc::clone(&hold)));
            }
        });
        Self { address, far, passed, held }
    }

    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    pub(crate) async fn is_held(&mut self) {
        timeout(PATIENCE * 3, self.held.wait_for(|held| *held)).await.expect("it holds in time").unwrap();
    }
}

async fn carry(
    (near, far): (TcpStream, TcpStream),
    held_at: u64,
    passed: Arc<AtomicU64>,
    hold: Arc<watch::Sender<bool>>,
) {
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.into_split(), far.into_split());
    let forth = async {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(got @ 1..) = from_near.read(&mut piece).await {
            let all = passed.fetch_add(got as u64, Ordering::SeqCst) + got as u64;
            if to_far.write_all(&piece[..got]).await.is_err() {
                return;
            }
            if all >= held_at && !*hold.borrow() {
                hold.send_replace(true);
                // Nothing more passes; what the near end has ready stays there until it is gone.
                std::future::pending::<()>().await;
            }
        }
    };
    let back = async {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(got @ 1..) = from_far.read(&mut piece).await {
            if to_near.write_all(&piece[..got]).await.is_err() {
                return;
            }
        }
    };
    let gone = async {
        // the end that is killed is seen by either direction's end
        tokio::select! { () = forth => {}, () = back => {} }
    };
    gone.await;
}

struct Program {
    home: tempfile::TempDir,
}

impl Program {
    fn new(settings: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/wirechief");
        std::fs::create_dir_all(&folder).unwrap();
        private(&folder.join("token"), TOKEN.as_bytes());
        std::fs::write(folder.join("pbx.toml"), settings).unwrap();
        Self { home }
    }

    fn spool(&self) -> std::path::PathBuf {
        self.home.path().join("spool")
    }

    fn rec(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rec"));
        command.env_clear().env("HOME", self.home.path()).env("REC_SPOOL", self.spool());
        command.env("XDG_STATE_HOME", self.home.path().join("state")).args(words).current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Kills what it holds when it is dropped.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill();
    }
}

fn serve(program: &Program) -> (Killed, SocketAddr) {
    let mut server = program.rec(&["serve", "--bind", "127.0.0.1:0"]).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().trim_start_matches("serving http://").trim_end_matches('/').parse().unwrap();
    (Killed(server), address)
}

/// A server, a line to it, and a sender with one large recording.
async fn scene() -> (Program, (Killed, SocketAddr), Line, Program, Manifest) {
    let receiver = Program::new("[serve]\ntoken_file = 'token'\n");
    let server = serve(&receiver);
    let line = Line::to(server.1, HELD_AT).await;
    let url = format!("http://{}/api/uploads", line.address);
    let sender = Program::new(&format!("[remotes.crm]\nkind = 'tus'\nurl = '{url}'\ntoken_file = 'token'\n"));
    let outbox = Outbox::open(&sender.spool()).unwrap();
    outbox.set_remotes(&["crm"]).unwrap();
    let mut sound = wav(u32::try_from(SIZE / 16).unwrap());
    sound.truncate(SIZE);
    private(&outbox.spool().path().join("long.wav"), &sound);
    let manifest = outbox.adopt(Manifest::new("long.wav", "2026-11-20T21:00:00Z".parse().unwrap())).unwrap();
    (receiver, server, line, sender, manifest)
}

/// So much has arrived of the only upload.
fn arrived(spool: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(spool.join(".uploads")) else { return 0 };
    let parts = entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "part"));
    parts.map(|entry| entry.metadata().unwrap().len()).sum()
}

/// The rest is sent by another run; nothing that had arrived goes again.
async fn finish(line: &Line, sender: Program, receiver: &Program, manifest: &Manifest) {
    let done =
        tokio::task::spawn_blocking(move || sender.rec(&["push", "-q", "--now"]).output().unwrap()).await.unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    // With the heads of both runs' requests, and what a server that was killed had not written yet.
    let sent = line.passed();
    assert!((SIZE as u64..SIZE as u64 + 128 * 1024).contains(&sent), "{sent} bytes for {SIZE}");
    let outbox = Outbox::open(&receiver.spool()).unwrap();
    let there = outbox.get(manifest.id).unwrap().unwrap();
    assert_eq!((there.audio.sha256.as_str(), there.audio.bytes), (manifest.audio.sha256.as_str(), SIZE as u64));
    assert_eq!(outbox.list(&Filter::default()).unwrap().len(), 1);
    assert_eq!(arrived(&receiver.spool()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_sender_that_is_killed_goes_on_where_it_was() {
    let (receiver, _server, mut line, sender, manifest) = scene().await;
    let mut first = Killed(sender.rec(&["push", "-q"]).spawn().unwrap());
    line.is_held().await;
    first.kill();
    until(|| arrived(&receiver.spool()) > HELD_AT - 64 * 1024).await;
    finish(&line, sender, &receiver, &manifest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_server_that_is_killed_knows_what_it_has() {
    let (receiver, (mut server, _), mut line, sender, manifest) = scene().await;
    let mut first = Killed(sender.rec(&["push", "-q"]).spawn().unwrap());
    line.is_held().await;
    until(|| arrived(&receiver.spool()) > HELD_AT - 64 * 1024).await;
    server.kill();
    first.kill();
    let (_again, address) = serve(&receiver);
    *line.far.lock().unwrap() = address;
    finish(&line, sender, &receiver, &manifest).await;
}
