//! The `rec` program as a process: what it prints, its exit codes, and what it leaves in spools, folders and remotes.

mod delivery;
mod export;
mod forms;
mod import;
mod lists;
mod live;
mod remotes;
mod terminal;
mod walk;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use serde_json::Value;
use wirechief::outbox::manifest::{Audio, Direction};
use wirechief::outbox::name::clean_name;
use wirechief::outbox::{Manifest, Outbox, RecordingId};

pub(crate) use crate::harness::program::ok;
use crate::harness::{free_address, program};

pub(crate) const REC: &str = env!("CARGO_BIN_EXE_rec");
pub(crate) const SPOOL: &str = ".local/state/wirechief/recordings";

/// A home with settings, a spool and a folder that recordings are delivered to.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    /// With these settings; `HOME` in them is the home's path.
    pub(crate) fn with(settings: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/wirechief");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir(home.path().join("crm")).unwrap();
        let settings = settings.replace("HOME", home.path().to_str().unwrap());
        std::fs::write(folder.join("pbx.toml"), settings).unwrap();
        Self(home)
    }

    /// Everything goes to the folder `crm`.
    pub(crate) fn with_folder() -> Self {
        Self::with(&folder("crm"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.path().join(SPOOL)
    }

    /// `rec` in cron's empty environment.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(REC);
        command.env_clear().env("HOME", self.path()).args(words).current_dir(self.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        program::run(&mut self.command(words))
    }

    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&ok(self.run(&[words, &["--json"]].concat()))).unwrap()
    }

    /// The recordings; the remotes of the settings want what is finished from now on, as when a server has started.
    pub(crate) fn outbox(&self) -> Outbox {
        std::fs::create_dir_all(self.spool().parent().unwrap()).unwrap();
        let outbox = Outbox::open(&self.spool()).unwrap();
        let settings = std::fs::read_to_string(self.path().join(".config/wirechief/pbx.toml")).unwrap();
        let names = settings.lines().filter_map(|line| line.strip_prefix("[remotes.")?.strip_suffix(']'));
        outbox.set_remotes(&names.collect::<Vec<_>>()).unwrap();
        outbox
    }

    /// A recording of a tenth of a second, finished, wanted by the remotes of the settings.
    pub(crate) fn recording(&self, from: &str, to: &str) -> RecordingId {
        let outbox = self.outbox();
        let mut manifest = Manifest::new(&format!("{}.wav", clean_name(&format!("{from}-{to}"))), Timestamp::now());
        let samples: Vec<i16> = (0..1_600).map(|at| i16::try_from(at).unwrap()).collect();
        outbox.spool().write_whole(&manifest.file, &wav(2, &samples)).unwrap();
        (manifest.from, manifest.to) = (from.to_owned(), to.to_owned());
        (manifest.call, manifest.direction) = (format!("call-of-{from}"), Direction::Out);
        manifest.ended = Some(Timestamp::now());
        manifest.audio = Audio {
            format: "pcm16".into(),
            rate_hz: 8_000,
            channels: 2,
            frames: 800,
            duration_s: 0.1,
            ..Audio::default()
        };
        outbox.adopt(manifest).unwrap().id
    }

    /// Files that have arrived, their manifests left out.
    pub(crate) fn arrived(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join("crm")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".json")).collect();
        names.sort();
        names
    }
}

/// The settings of a remote that is the folder of that name.
pub(crate) fn folder(name: &str) -> String {
    format!("[remotes.{name}]\nkind = \"folder\"\nfolder = {{ path = \"HOME/{name}\" }}\n")
}

/// The settings of a remote that takes connections and never answers, and the remote.
pub(crate) fn silent(name: &str) -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (format!("[remotes.{name}]\nurl = \"{url}\"\n"), listener)
}

/// The next connection to a remote that takes them.
#[track_caller]
pub(crate) fn comes(remote: &TcpListener) -> TcpStream {
    let minute = Timespec { tv_sec: 60, tv_nsec: 0 };
    let connected = retry_on_intr(|| poll(&mut [PollFd::new(remote, PollFlags::IN)], Some(&minute))).unwrap();
    assert_eq!(connected, 1, "nobody connects to the remote");
    remote.accept().unwrap().0
}

/// The settings of a remote where nobody listens.
pub(crate) fn absent(name: &str) -> String {
    format!("[remotes.{name}]\nurl = \"http://{}/\"\n", free_address())
}

/// A WAV file of 8 kHz.
pub(crate) fn wav(channels: u16, samples: &[i16]) -> Vec<u8> {
    let frames = samples.len() as u64 / u64::from(channels);
    let mut bytes = wirechief::audio::wave::pcm_head(8_000, channels, Some(frames)).to_vec();
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

#[track_caller]
pub(crate) fn fails(output: &Output, code: i32, says: &str) {
    program::fails("rec", output, (code, says));
}
