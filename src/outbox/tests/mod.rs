//! The outbox as its users see it: recordings begun, finished, recovered, listed.

mod clock;
mod counted;
mod down;
mod hostile;
mod life;
mod measured;
mod namesakes;
mod push;
mod tidy;
mod turns;
mod verify;
mod whose;

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Manifest, Outbox};

/// A spool that is gone with it.
struct Home {
    folder: tempfile::TempDir,
    outbox: Outbox,
}

impl Home {
    fn new() -> Self {
        // In memory where that is: what a sync does is told elsewhere.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let outbox = Outbox::open(&folder.path().join("spool")).unwrap();
        Self { folder, outbox }
    }

    fn spool(&self) -> PathBuf {
        self.folder.path().join("spool")
    }

    /// As another process would.
    fn other(&self) -> Outbox {
        Outbox::open(&self.spool()).unwrap()
    }

    fn write(&self, name: &str, audio: &[u8]) {
        std::fs::write(self.spool().join(name), audio).unwrap();
    }

    /// A finished recording with this audio.
    fn finished(&self, name: &str, audio: &[u8]) -> Manifest {
        let manifest = self.outbox.begin(&manifest(name)).unwrap();
        self.write(&manifest.file, audio);
        self.outbox.finish(manifest).unwrap()
    }
}

fn manifest(name: &str) -> Manifest {
    Manifest { from: "1001".into(), to: "1002".into(), ..Manifest::new(name, at(0)) }
}

/// So many seconds after a certain day.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + seconds).unwrap()
}
