//! Recordings of calls: who is recorded and who is not, what is on which side, and that all of it is in the outbox.

mod rules;

use wirechief::outbox::{Manifest, Outbox, State};

use crate::harness::{Tape, TestPbx};

/// The recordings of a server, finished, the oldest first; each read by the name in its own manifest.
pub(crate) fn finished(pbx: &TestPbx) -> Vec<(Manifest, Tape)> {
    let spool = pbx.spool();
    let outbox = Outbox::open(&spool).expect("an outbox");
    let mut found: Vec<Manifest> = Vec::new();
    for name in outbox.spool().names().expect("names").iter().filter(|name| name.ends_with(".json")) {
        let bytes = std::fs::read(spool.join(name)).expect("a manifest");
        found.push(Manifest::parse(&bytes).expect("a manifest"));
    }
    found.sort_by_key(|manifest| manifest.started);
    let whole = |manifest: Manifest| {
        assert_eq!(manifest.state, State::Finished, "{manifest:?}");
        assert_eq!(outbox.get(manifest.id).expect("the queue").as_ref(), Some(&manifest), "beside it and in the queue");
        let tape = Tape::read(&spool.join(&manifest.file));
        assert_eq!(manifest.audio.frames, tape.tracks[0].len() as u64);
        (manifest, tape)
    };
    found.into_iter().map(whole).collect()
}

/// The only one.
pub(crate) fn only_one(pbx: &TestPbx) -> (Manifest, Tape) {
    let mut all = finished(pbx);
    assert_eq!(all.len(), 1, "{:?}", all.iter().map(|(manifest, _)| &manifest.file).collect::<Vec<_>>());
    all.remove(0)
}
