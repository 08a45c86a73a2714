//! Whose recordings they are: kept in step with their manifests, also for those of an older queue.

use super::{Home, manifest};
use crate::outbox::manifest::{Party, Side};
use crate::outbox::{Circle, Filter, Manifest, Outbox, RecordingId, Undelivered, Which};

fn party(user: &str) -> Party {
    serde_json::from_value(serde_json::json!({"side": Side::Left, "uuid": "", "user": user, "number": "1", "name": ""}))
        .unwrap()
}

fn of(outbox: &Outbox, users: &[&str], trunks: &[&str]) -> Vec<RecordingId> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let of = Some(Circle { users: names(users), trunks: names(trunks) });
    let listed = outbox.list(&Filter { of, which: Which::Closed, ..Filter::default() }).unwrap();
    listed.into_iter().map(|listed| listed.id).collect()
}

fn finished(home: &Home, change: impl FnOnce(&mut Manifest)) -> RecordingId {
    let mut wished = manifest("a.wav");
    change(&mut wished);
    let begun = home.outbox.begin(&wished).unwrap();
    home.write(&begun.file, b"sound");
    home.outbox.finish(begun).unwrap().id
}

#[test]
fn a_recording_is_of_its_parties_its_agent_and_its_trunk() {
    let home = Home::new();
    let ann = finished(&home, |manifest| manifest.parties = vec![party("ann"), party("bob")]);
    let cid = finished(&home, |manifest| (manifest.agent, manifest.trunk) = (Some("cid".into()), Some("icall".into())));
    finished(&home, |_| {});
    let look = |users: &[&str], trunks: &[&str]| of(&home.outbox, users, trunks);
    assert_eq!((look(&["ann"], &[]), look(&["bob"], &[]), look(&["cid"], &[])), (vec![ann], vec![ann], vec![cid]));
    assert_eq!((look(&[], &["icall"]), look(&["icall"], &["ann"]), look(&[], &[])), (vec![cid], vec![], vec![]));
    assert_eq!(look(&["bob", "ann", "cid"], &["icall"]), [cid, ann], "each once, the latest first");
    home.outbox.forget(ann, Undelivered::Removed).unwrap();
    assert_eq!(look(&["ann", "bob"], &[]), []);
}

#[test]
fn a_call_that_is_transferred_is_of_those_who_talk_then() {
    let home = Home::new();
    let mut begun = home.outbox.begin(&Manifest { parties: vec![party("ann")], ..manifest("a.wav") }).unwrap();
    begun.parties = vec![party("bob")];
    home.outbox.update(&begun).unwrap();
    home.write(&begun.file, b"sound");
    home.outbox.finish(begun).unwrap();
    assert_eq!((of(&home.outbox, &["ann"], &[]).len(), of(&home.outbox, &["bob"], &[]).len()), (0, 1));
}

#[test]
fn the_recordings_of_an_older_queue_are_somebodys_too() {
    let home = Home::new();
    let ann = finished(&home, |manifest| manifest.parties = vec![party("ann")]);
    let cid = finished(&home, |manifest| (manifest.agent, manifest.trunk) = (Some("cid".into()), Some("icall".into())));
    super::counted::uncount(&home);
    let queue = rusqlite::Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    queue.execute_batch("DROP TABLE concerns; DROP INDEX recordings_by_last_name; PRAGMA user_version = 1;").unwrap();
    let other = home.other();
    assert_eq!(
        (of(&other, &["ann"], &[]), of(&other, &["cid"], &[]), of(&other, &[], &["icall"])),
        (vec![ann], vec![cid], vec![cid])
    );
    assert_eq!(other.called("a").unwrap(), [ann]);
}
