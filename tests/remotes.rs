//! Where recordings are delivered: each kind of remote against the stub CRM, each way to fail, and what never leaves.

mod crms;
mod faults;
mod http;
mod measured;
mod pages;
mod php;
mod places;
mod tls;
mod tus;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use wirechief::config::{self, RemoteSettings};
use wirechief::outbox::remote::{
    Configured, DeliveryError, Lookup, Parcel, Progress, Receipt, Resume, Retry, SystemLookup, from_settings,
};
use wirechief::outbox::{Manifest, Spool};

use crate::harness::sha256;

/// A spool with a finished recording, and a folder for secrets beside it.
struct Desk {
    folder: tempfile::TempDir,
    spool: Arc<Spool>,
}

/// Writes down what a remote tells of its way.
#[derive(Default)]
struct Log {
    sent: AtomicU64,
    resume: Mutex<Option<Resume>>,
}

impl Progress for Log {
    fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::SeqCst);
    }

    fn resume_at<'a>(&'a self, token: &'a str, offset: u64) -> BoxFuture<'a, ()> {
        *self.resume.lock().unwrap() = Some(Resume { token: token.to_owned(), offset });
        Box::pin(async {})
    }
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::open(&folder.path().join("spool")).unwrap());
        Self { folder, spool }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that only we can read.
    fn secret(&self, name: &str, text: &str) -> &Self {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.path(name), format!("{text}\n")).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    /// A recording with this audio; `change` dresses its manifest.
    fn parcel(&self, file: &str, audio: &[u8], change: impl FnOnce(&mut Manifest)) -> Parcel {
        std::fs::create_dir_all(self.spool.path_of(file).unwrap().parent().unwrap()).unwrap();
        std::fs::write(self.spool.path_of(file).unwrap(), audio).unwrap();
        let mut manifest = Manifest::new(file, "2026-11-21T09:00:00Z".parse().unwrap());
        manifest.from = "1001".into();
        manifest.from_name = "Alice".into();
        manifest.to = "4178575309".into();
        manifest.audio.sha256 = sha256(audio);
        manifest.audio.bytes = audio.len() as u64;
        change(&mut manifest);
        Parcel {
            key: manifest.id.to_string(),
            part: 1,
            manifest_json: manifest.print().into(),
            manifest: Arc::new(manifest),
            file: file.to_owned(),
            size: audio.len() as u64,
            sha256: sha256(audio),
            measuring: Arc::default(),
            resume: None,
            attempt: 1,
            spool: Arc::clone(&self.spool),
        }
    }

    /// The settings of `[remotes.crm]` with these lines.
    fn settings(&self, lines: &str) -> RemoteSettings {
        let main = self.path("pbx.toml");
        std::fs::write(&main, format!("[remotes.crm]\n{lines}\n")).unwrap();
        let read = |path: &Path| std::fs::read_to_string(path);
        let config = config::load(&[main], &read).unwrap_or_else(|error| panic!("{error}"));
        config.remotes["crm"].clone()
    }

    fn remote(&self, lines: &str) -> Configured {
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
        from_settings(&self.settings(lines), &lookup).unwrap()
    }
}

/// One attempt.
async fn deliver(remote: &Configured, parcel: &Parcel) -> Result<Receipt, DeliveryError> {
    remote.remote.deliver(parcel, &Log::default()).await
}

/// As good as speech: no two stretches are alike.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..bytes).map(|_| next()).collect()
}

fn is_later(error: &DeliveryError) -> bool {
    matches!(error.retry, Retry::Later { .. })
}
