//! Recordings that share a name, or had it before: none touches what belongs to another.

use super::{Home, manifest};
use crate::outbox::manifest::Part;
use crate::outbox::seal::Recipients;
use crate::outbox::{DeliveryState, Manifest, OutboxError, Undelivered, Which};
use crate::outbox::{Filter, RecordingId};

const SOMEBODY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn recipients() -> Recipients {
    Recipients::parse(SOMEBODY).unwrap()
}

fn rolled(home: &Home, name: &str, files: &[&str]) -> Manifest {
    let mut begun = home.outbox.begin(&manifest(name)).unwrap();
    begun.parts = files.iter().map(|file| Part { file: (*file).to_owned(), ..Part::default() }).collect();
    for file in files {
        home.write(file, file.as_bytes());
    }
    home.outbox.finish(begun).unwrap()
}

fn states(home: &Home, id: RecordingId) -> Vec<DeliveryState> {
    home.outbox.deliveries(id).unwrap().into_iter().map(|delivery| delivery.state).collect()
}

#[test]
fn a_namesake_leaves_the_further_files_of_a_sealed_recording_alone() {
    let home = Home::new();
    let first = rolled(&home, "x.wav", &["x.wav", "x-2.wav"]);
    home.outbox.seal(first.id, &recipients()).unwrap();
    let before = std::fs::read(home.spool().join("x-2.age")).unwrap();
    let second = home.finished("x.wav", b"another");
    assert_eq!(second.file, "x-3.wav");
    home.outbox.seal(second.id, &recipients()).unwrap();
    assert_eq!(std::fs::read(home.spool().join("x-2.age")).unwrap(), before);
}

#[test]
fn what_is_gone_cannot_be_shredded_since_its_name_may_be_anothers() {
    let home = Home::new();
    let first = home.finished("x.wav", b"one");
    home.outbox.seal(first.id, &recipients()).unwrap();
    home.outbox.forget(first.id, Undelivered::Removed).unwrap();
    let second = home.finished("x.wav", b"two");
    home.outbox.seal(second.id, &recipients()).unwrap();
    let key = std::fs::read(home.spool().join("x.age-key")).unwrap();
    assert!(home.outbox.shred(first.id).is_err());
    assert_eq!(std::fs::read(home.spool().join("x.age-key")).unwrap(), key);
}

#[test]
fn a_rename_that_would_meet_another_recordings_file_changes_nothing_and_stops_nobody() {
    let home = Home::new();
    let first = rolled(&home, "a.wav", &["a.wav", "a-2.wav"]);
    let other = home.finished("b-2.wav", b"another");
    assert!(matches!(home.outbox.rename(first.id, "b"), Err(OutboxError::Name { .. })));
    assert_eq!(home.outbox.mend().unwrap(), 0);
    assert_eq!(home.outbox.get(first.id).unwrap().unwrap().file, "a.wav");
    assert_eq!(home.outbox.rename(other.id, "c").unwrap().file, "c.wav");
}

#[test]
fn what_is_being_uploaded_is_neither_sealed_nor_sent_a_second_time_by_a_retry() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let one = home.finished("x.wav", b"one");
    let queue = rusqlite::Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    queue.execute("UPDATE deliveries SET state = 'uploading'", ()).unwrap();
    assert!(home.outbox.seal(one.id, &recipients()).is_err());
    assert!(home.outbox.get(one.id).unwrap().unwrap().sealed.is_none());
    home.outbox.retry(one.id).unwrap();
    assert_eq!(states(&home, one.id), [DeliveryState::Uploading]);
}

#[test]
fn sealing_again_removes_the_clear_file_that_was_left_behind() {
    let home = Home::new();
    let one = home.finished("x.wav", b"one");
    home.outbox.seal(one.id, &recipients()).unwrap();
    home.write("x.wav", b"one");
    assert!(home.outbox.seal(one.id, &recipients()).is_err(), "it is sealed already");
    assert!(!home.spool().join("x.wav").exists());
}

#[test]
fn what_is_for_nobody_is_in_the_queue_of_nobody_even_after_a_crash() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let mut private = manifest("greeting.wav");
    private.keep_to_ourselves();
    let left = home.other();
    let begun = left.begin(&private).unwrap();
    home.write(&begun.file, b"half a greeting");
    drop(left);
    let found = home.outbox.recover().unwrap().remove(0);
    let done = home.outbox.finish(found).unwrap();
    assert_eq!(states(&home, done.id), []);
    assert!(home.outbox.list(&Filter { which: Which::Unsent, ..Filter::default() }).unwrap().is_empty());
}

#[test]
fn a_recording_in_several_files_is_not_continued() {
    let home = Home::new();
    rolled(&home, "x.wav", &["x.wav", "x-2.wav"]);
    assert_eq!(home.outbox.go_on(&manifest("x.wav")).unwrap(), None);
    home.finished("y.wav", b"one");
    assert!(home.outbox.go_on(&manifest("y.wav")).unwrap().is_some());
}

#[test]
fn s139_names_that_many_wish_for_stay_their_own() {
    let home = Home::new();
    let names: std::collections::BTreeSet<String> =
        (0..300).map(|_| home.outbox.begin(&manifest("same.wav")).unwrap().file).collect();
    assert_eq!(names.len(), 300);
    assert!(names.contains("same.wav") && names.contains("same-2.wav") && names.contains("same-300.wav"));
}

#[test]
fn further_files_take_no_other_recordings_name_and_no_other_recording_takes_theirs() {
    let home = Home::new();
    let long = home.outbox.begin(&manifest("a/x.wav")).unwrap();
    // It has a name and a manifest, and no audio yet.
    let waiting = home.outbox.begin(&manifest("a/x.wav")).unwrap();
    assert_eq!(waiting.file, "a/x-2.wav");
    assert_eq!(home.outbox.take_further(&long.file, 2).unwrap(), "a/x-3.wav");
    assert_eq!(std::fs::read(home.spool().join("a/x-3.wav")).unwrap(), b"");
    let sealed = home.finished("a/x.wav", b"another");
    home.outbox.seal(sealed.id, &recipients()).unwrap();
    assert_eq!(sealed.file, "a/x-4.wav");
    assert_eq!(home.outbox.take_further(&long.file, 3).unwrap(), "a/x-5.wav");
    assert_eq!(home.other().begin(&manifest("a/x.wav")).unwrap().file, "a/x-6.wav");
    assert_eq!(home.outbox.further_files(&long.file).unwrap(), ["a/x-3.wav", "a/x-5.wav"]);
    assert_eq!(home.outbox.further_files(&waiting.file).unwrap(), [""; 0]);
}

#[test]
fn two_that_take_names_at_once_get_different_ones() {
    let home = Home::new();
    let long = home.outbox.begin(&manifest("x.wav")).unwrap();
    let (further, begun): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let other = home.other();
        let rolls =
            scope.spawn(|| (2..30).map(|number| home.outbox.take_further(&long.file, number).unwrap()).collect());
        let begins = scope.spawn(move || (0..28).map(|_| other.begin(&manifest("x.wav")).unwrap().file).collect());
        (rolls.join().unwrap(), begins.join().unwrap())
    });
    let names: std::collections::BTreeSet<&String> = further.iter().chain(&begun).collect();
    assert_eq!(names.len(), 56, "{further:?} {begun:?}");
}
