//! From the first sample to the last: names, manifests, rows, and what a crash leaves.

use std::os::unix::fs::PermissionsExt;

use super::{Home, at, manifest};
use crate::outbox::{DeliveryState, Filter, Manifest, Order, Outbox, OutboxError, State, Which};

#[test]
fn a_recording_is_in_the_queue_and_beside_its_audio_before_its_first_sample() {
    let home = Home::new();
    let begun = home.outbox.begin(&manifest("a/b/x.wav")).unwrap();
    assert_eq!((begun.file.as_str(), begun.state), ("a/b/x.wav", State::Open));
    assert_eq!(home.other().get(begun.id).unwrap(), Some(begun.clone()));
    let beside = Manifest::parse(&std::fs::read(home.spool().join("a/b/x.json")).unwrap()).unwrap();
    assert_eq!(beside, begun);
    assert!(home.outbox.deliveries(begun.id).unwrap().is_empty());
}

#[test]
fn a_finished_recording_is_hashed_and_wanted_by_every_remote_in_force() {
    let home = Home::new();
    home.other().set_remotes(&["crm", "copy"]).unwrap();
    let done = home.finished("x.wav", b"abc");
    assert_eq!(done.state, State::Finished);
    assert_eq!(done.audio.bytes, 3);
    assert_eq!(done.audio.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let deliveries = home.other().deliveries(done.id).unwrap();
    let found: Vec<_> = deliveries.iter().map(|delivery| (delivery.remote.as_str(), &delivery.state)).collect();
    assert_eq!(found, [("copy", &DeliveryState::Pending), ("crm", &DeliveryState::Pending)]);
    let listed = &home.outbox.list(&Filter { which: Which::Unsent, ..Filter::default() }).unwrap()[0];
    assert_eq!((listed.id, listed.wanted, listed.delivered), (done.id, 2, 0));
    // A remote that was taken out of the configuration wants nothing new.
    home.outbox.set_remotes(&["crm"]).unwrap();
    let next = home.finished("y.wav", b"d");
    assert_eq!(home.outbox.deliveries(next.id).unwrap().len(), 1);
}

#[test]
fn finishing_twice_is_finishing_once() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let done = home.finished("x.wav", b"abc");
    home.write("x.wav", b"other");
    assert_eq!(home.outbox.finish(done.clone()).unwrap(), done);
    assert_eq!(home.outbox.deliveries(done.id).unwrap().len(), 1);
}

#[test]
fn what_a_dead_writer_left_open_is_recovered_once_and_a_living_ones_never() {
    let home = Home::new();
    let dying = home.other();
    let lost = dying.begin(&manifest("lost.wav")).unwrap();
    let live = home.outbox.begin(&manifest("live.wav")).unwrap();
    let next = home.other();
    assert_eq!(next.recover().unwrap(), []);
    drop(dying);
    assert_eq!(next.recover().unwrap(), std::slice::from_ref(&lost));
    assert_eq!(home.other().recover().unwrap(), [], "{} lives, and the other is taken", live.id);
    home.write("lost.wav", b"half");
    let done = next.finish(Manifest { state: State::Interrupted, ..lost }).unwrap();
    assert_eq!((done.state, done.audio.bytes), (State::Interrupted, 4));
    // Who took it over and died too.
    let third = home.outbox.begin(&manifest("third.wav")).unwrap();
    drop((next, live));
    let Home { folder, outbox } = home;
    drop(outbox);
    let after = Outbox::open(&folder.path().join("spool")).unwrap();
    let names: Vec<String> = after.recover().unwrap().into_iter().map(|manifest| manifest.file).collect();
    assert_eq!(names, ["live.wav", third.file.as_str()]);
}

#[test]
fn s139_two_recordings_never_get_one_name() {
    let home = Home::new();
    home.write("z.wav", b"somebody else's");
    let others: Vec<Outbox> = (0..4).map(|_| home.other()).collect();
    let mut names: Vec<String> = std::thread::scope(|scope| {
        let begin =
            |outbox: &Outbox| (0..10).map(|_| outbox.begin(&manifest("z.wav")).unwrap().file).collect::<Vec<_>>();
        let all: Vec<_> = others.iter().map(|outbox| scope.spawn(move || begin(outbox))).collect();
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    names.sort_unstable();
    let mut expected: Vec<String> = (2..=41).map(|number| format!("z-{number}.wav")).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    // Another kind of audio would have the same manifest.
    assert_eq!(home.outbox.begin(&manifest("z-2.ogg")).unwrap().file, "z-2-2.ogg");
}

#[test]
fn lists_are_filtered_ordered_and_cut() {
    let home = Home::new();
    for (number, from) in ["1001", "1002", "o'%_neil"].into_iter().enumerate() {
        let seconds = i64::try_from(number).unwrap();
        let begun = Manifest { from: from.into(), started: at(seconds), ..manifest("n.wav") };
        home.outbox.begin(&begun).unwrap();
    }
    let names = |filter: Filter| -> Vec<String> {
        home.outbox.list(&filter).unwrap().into_iter().map(|listed| listed.from).collect()
    };
    assert_eq!(names(Filter::default()), ["o'%_neil", "1002", "1001"]);
    assert_eq!(names(Filter { order: Order::Oldest, limit: Some(1), skip: 1, ..Filter::default() }), ["1002"]);
    assert_eq!(names(Filter { since: Some(at(1)), until: Some(at(2)), ..Filter::default() }), ["1002"]);
    assert_eq!(names(Filter { text: Some("'%_N".into()), ..Filter::default() }), ["o'%_neil"]);
    assert_eq!(names(Filter { text: Some("%".into()), limit: Some(9), ..Filter::default() }), ["o'%_neil"]);
    assert_eq!(names(Filter { which: Which::Closed, ..Filter::default() }).len(), 0);
    assert_eq!(home.outbox.count(&Filter { which: Which::Open, ..Filter::default() }).unwrap(), 3);
}

#[test]
fn a_recording_is_found_by_what_a_user_has_at_hand() {
    let home = Home::new();
    let wanted =
        Manifest { call: "the-call".into(), leg: "the-leg".into(), uniqueid: "17.5".into(), ..manifest("a/n.wav") };
    let wanted = home.outbox.begin(&wanted).unwrap();
    home.outbox.begin(&manifest("other.wav")).unwrap();
    let id = wanted.id.to_string();
    for text in [id.as_str(), &id[..8], &id[..4].to_uppercase(), "the-call", "the-leg", "17.5", "a/n", "a/n.wav"] {
        assert_eq!(home.outbox.find(text).unwrap(), [wanted.id], "{text}");
    }
    for text in ["", &id[..3], "n.wav", "a/n.ogg", "%", "zzzz", "../a/n"] {
        assert_eq!(home.outbox.find(text).unwrap(), [], "{text}");
    }
}

#[test]
fn r10_all_in_the_spool_is_its_owners_alone() {
    let home = Home::new();
    home.finished("a/b/x.wav", b"abc");
    let mut folders = vec![home.spool()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let mode = entry.metadata().unwrap().permissions().mode();
            // The audio itself was written by this test.
            let is_ours = !entry.path().ends_with("x.wav");
            assert!(!is_ours || mode & 0o077 == 0, "{} has mode {mode:o}", entry.path().display());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

#[test]
fn a_spool_that_is_a_link_or_open_to_others_is_refused() {
    let home = Home::new();
    let link = home.folder.path().join("link");
    std::os::unix::fs::symlink(home.spool(), &link).unwrap();
    assert!(matches!(Outbox::open(&link), Err(OutboxError::Spool { .. })));
    std::fs::set_permissions(home.spool(), std::fs::Permissions::from_mode(0o750)).unwrap();
    let error = Outbox::open(&home.spool()).unwrap_err();
    assert!(matches!(error, OutboxError::SpoolIsOpen { mode: 0o750, .. }), "{error}");
}

#[test]
fn a_damaged_queue_is_told_with_its_file_and_what_to_do() {
    let home = Home::new();
    let queue = home.spool().join("outbox.sqlite3");
    drop(home.outbox);
    for file in ["outbox.sqlite3-wal", "outbox.sqlite3-shm"] {
        let _ = std::fs::remove_file(home.folder.path().join("spool").join(file));
    }
    std::fs::write(&queue, b"this is no database, whatever its name says; it is longer than a header".repeat(9))
        .unwrap();
    let error = Outbox::open(queue.parent().unwrap()).unwrap_err().to_string();
    assert!(error.contains("outbox.sqlite3") && error.contains("rebuild"), "{error}");
}
