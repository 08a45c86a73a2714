//! Recordings of calls: who is recorded and who is not, what is on which side, and that all of it is in the outbox.

mod codecs;
mod consent;
mod delivered;
mod disk;
mod following;
mod kept;
mod kill;
mod orders;
mod refused;
mod required;
mod rules;

use std::path::Path;

use wirechief::control::protocol::Status;
use wirechief::outbox::{Manifest, Outbox, State};

use crate::harness::{Call, PATIENCE, Tape, TestPbx, Unusual};

/// Tenths of a second that are said, at least.
const SAID: u32 = 8;

/// A server with these lines in `[recording]`.
fn with(settings: &str) -> Unusual {
    Unusual { settings: format!("[recording]\n{settings}\n"), ..Unusual::default() }
}

/// As long as it takes to hear so many tenths of a second.
async fn talks(call: &Call, tenths: u32) {
    call.dialog.media.receives("who listens", tenths as usize * 5).await;
}

/// Waits until something is being recorded: its file is open, however slow the disk is.
async fn has_begun(pbx: &TestPbx) {
    let has_started = |_: &Status| {
        let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
        events.iter().any(|event| event.kind == "recording.started")
    };
    pbx.shows("a recording", PATIENCE, has_started).await;
}

/// The recordings of a server, finished, the oldest first; each read by the name in its own manifest.
pub(crate) fn finished(pbx: &TestPbx) -> Vec<(Manifest, Tape)> {
    finished_in(&pbx.spool())
}

fn finished_in(spool: &Path) -> Vec<(Manifest, Tape)> {
    let outbox = Outbox::open(spool).expect("an outbox");
    let mut found: Vec<Manifest> = Vec::new();
    for name in outbox.spool().names().expect("names").iter().filter(|name| name.ends_with(".json")) {
        let bytes = std::fs::read(spool.join(name)).expect("a manifest");
        found.push(Manifest::parse(&bytes).expect("a manifest"));
    }
    found.sort_by_key(|manifest| manifest.started);
    let whole = |manifest: Manifest| {
        assert_eq!(manifest.state, State::Finished, "{manifest:?}");
        assert!(manifest.lasted_ms.is_some(), "{manifest:?}");
        assert_eq!(outbox.get(manifest.id).expect("the queue").as_ref(), Some(&manifest), "beside it and in the queue");
        let tape = Tape::read(&spool.join(&manifest.file));
        assert_eq!(manifest.audio.frames, tape.tracks[0].len() as u64);
        (manifest, tape)
    };
    found.into_iter().map(whole).collect()
}

/// The only one.
pub(crate) fn only_one(pbx: &TestPbx) -> (Manifest, Tape) {
    only_one_in(&pbx.spool())
}

fn only_one_in(spool: &Path) -> (Manifest, Tape) {
    let mut all = finished_in(spool);
    assert_eq!(all.len(), 1, "{:?}", all.iter().map(|(manifest, _)| &manifest.file).collect::<Vec<_>>());
    all.remove(0)
}
