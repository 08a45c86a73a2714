//! Purged, forgotten, renamed: only what may be, whole, and ended where a process died over it.

use std::time::Duration;

use super::{Home, manifest};
use crate::outbox::manifest::{Part, RecordingId};
use crate::outbox::push::{Options, run};
use crate::outbox::remote::{Receipt, Remotes};
use crate::outbox::{Doing, Filter, Manifest, OutboxError, Purge, State, Undelivered, Which};

const ALL: Purge = Purge { keep: Duration::ZERO, undelivered: Undelivered::Kept, doing: Doing::Really };

/// As if the remote had taken it.
fn deliver(home: &Home, id: RecordingId) {
    let receipt = serde_json::to_string(&Receipt { id: "9".into(), ..Receipt::default() }).unwrap();
    let sql = "UPDATE deliveries SET state = 'delivered', receipt = ?2
               WHERE number = (SELECT number FROM recordings WHERE id = ?1)";
    let queue = rusqlite::Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    assert_eq!(queue.execute(sql, (id.to_string(), receipt)).unwrap(), 1);
}

fn names(home: &Home) -> Vec<String> {
    home.outbox.spool().names().unwrap()
}

#[test]
fn a_purge_takes_what_is_delivered_and_old_and_nothing_else() {
    let home = Home::new();
    let unwanted = home.finished("unwanted.wav", b"no remote yet");
    home.outbox.set_remotes(&["crm"]).unwrap();
    let sent = home.finished("a/sent.wav", b"sent");
    let waiting = home.finished("waiting.wav", b"waiting");
    let open = home.outbox.begin(&manifest("open.wav")).unwrap();
    deliver(&home, sent.id);
    let ids = |purge: &Purge| home.outbox.purge(purge).unwrap().into_iter().map(|one| one.id).collect::<Vec<_>>();
    let long = Purge { keep: Duration::from_secs(200 * 365 * 24 * 3600), ..ALL };
    assert_eq!(ids(&long), []);
    assert_eq!(ids(&Purge { doing: Doing::DryRun, ..ALL }), [sent.id]);
    assert!(names(&home).contains(&"a/sent.wav".to_owned()));
    assert_eq!(ids(&ALL), [sent.id]);
    assert_eq!(ids(&ALL), []);
    assert_eq!(names(&home), ["open.json", "unwanted.json", "unwanted.wav", "waiting.json", "waiting.wav"]);
    // What is known of it stays.
    let gone = home.outbox.get(sent.id).unwrap().unwrap();
    assert_eq!((gone.state, &gone.audio.sha256), (State::Gone, &sent.audio.sha256));
    assert_eq!(home.outbox.deliveries(sent.id).unwrap().len(), 1);
    assert_eq!(home.outbox.count(&Filter { which: Which::WithGone, ..Filter::default() }).unwrap(), 4);
    assert_eq!(home.outbox.count(&Filter::default()).unwrap(), 3);
    let forced = Purge { undelivered: Undelivered::Removed, ..ALL };
    assert_eq!(ids(&forced), [unwanted.id, waiting.id]);
    assert_eq!(home.outbox.get(open.id).unwrap().unwrap().state, State::Open);
}

#[test]
fn forgetting_what_a_remote_waits_for_needs_a_second_word() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let one = home.finished("one.wav", b"one");
    let refused = home.outbox.forget(one.id, Undelivered::Kept).unwrap_err();
    assert!(matches!(&refused, OutboxError::Undelivered { remote, .. } if remote == "crm"), "{refused}");
    assert!(names(&home).contains(&"one.wav".to_owned()));
    home.outbox.forget(one.id, Undelivered::Removed).unwrap();
    assert_eq!((names(&home).len(), home.outbox.deliveries(one.id).unwrap().len()), (0, 0));
    // Its name is free, and forgetting it again takes nothing from the new owner.
    assert_eq!(home.finished("one.wav", b"two").file, "one.wav");
    home.outbox.forget(one.id, Undelivered::Removed).unwrap();
    assert_eq!(names(&home), ["one.json", "one.wav"]);
}

#[test]
fn giving_up_a_delivery_keeps_the_audio() {
    let home = Home::new();
    home.outbox.set_remotes(&["copy", "crm"]).unwrap();
    let one = home.finished("one.wav", b"one");
    assert_eq!(home.outbox.unwant(one.id, Some("crm")).unwrap(), 1);
    assert_eq!(home.outbox.deliveries(one.id).unwrap()[0].remote, "copy");
    assert_eq!(home.outbox.unwant(one.id, None).unwrap(), 1);
    assert_eq!(home.outbox.count(&Filter { which: Which::Unsent, ..Filter::default() }).unwrap(), 0);
    assert!(names(&home).contains(&"one.wav".to_owned()));
}

#[test]
fn a_name_is_a_label_and_the_id_stays() {
    let home = Home::new();
    let one = home.finished("one.wav", b"one");
    let two = home.finished("two.wav", b"two");
    let renamed = home.outbox.rename(one.id, "2026-11-21/new.name").unwrap();
    assert_eq!((renamed.id, renamed.file.as_str()), (one.id, "2026-11-21/new.name.wav"));
    assert_eq!(names(&home), ["2026-11-21/new.name.json", "2026-11-21/new.name.wav", "two.json", "two.wav"]);
    let beside = std::fs::read(home.spool().join("2026-11-21/new.name.json")).unwrap();
    assert_eq!(Manifest::parse(&beside).unwrap(), renamed);
    assert_eq!(home.outbox.get(one.id).unwrap().unwrap(), renamed);
    // Taken, and twice the same wish.
    assert_eq!(home.outbox.rename(one.id, "two").unwrap().file, "two-2.wav");
    assert_eq!(home.outbox.rename(one.id, "two").unwrap().file, "two-2.wav");
    assert_eq!(home.outbox.rename(two.id, "two").unwrap().file, "two.wav");
    assert!(matches!(home.outbox.rename(two.id, "../two"), Err(OutboxError::Name { .. })));
    assert_eq!(names(&home), ["two-2.json", "two-2.wav", "two.json", "two.wav"]);
}

#[test]
fn all_files_of_a_rolled_recording_go_with_its_name() {
    let home = Home::new();
    let mut begun = home.outbox.begin(&manifest("r.wav")).unwrap();
    let part = |file: &str| Part { file: file.into(), ..Part::default() };
    begun.parts = vec![part("r.wav"), part("r.part2.wav"), part("odd.wav")];
    for part in &begun.parts {
        home.write(&part.file, part.file.as_bytes());
    }
    let done = home.outbox.finish(begun).unwrap();
    let renamed = home.outbox.rename(done.id, "s").unwrap();
    assert_eq!(names(&home), ["s.json", "s.part2.wav", "s.part3.wav", "s.wav"]);
    assert_eq!(
        renamed.parts.iter().map(|part| part.file.as_str()).collect::<Vec<_>>(),
        ["s.wav", "s.part2.wav", "s.part3.wav"]
    );
    home.outbox.forget(done.id, Undelivered::Removed).unwrap();
    assert_eq!(names(&home), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_process_died_over_is_ended_by_the_next() {
    let home = Home::new();
    let one = home.finished("one.wav", b"one");
    let two = home.finished("two.wav", b"two");
    // Killed right after the row was written.
    let queue = rusqlite::Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    let mut renamed = one.clone();
    renamed.file = "new.wav".into();
    let text = String::from_utf8(renamed.print()).unwrap();
    let number: i64 =
        queue.query_row("SELECT number FROM recordings WHERE id = ?1", [one.id.to_string()], |row| row.get(0)).unwrap();
    queue.execute("UPDATE manifests SET json = ?2 WHERE number = ?1", (number, text)).unwrap();
    let moves = r#"[["one.wav","new.wav"]]"#;
    queue
        .execute("UPDATE recordings SET file = 'new.wav', stem = 'new', moves = ?2 WHERE number = ?1", (number, moves))
        .unwrap();
    queue.execute("UPDATE recordings SET state = 'gone' WHERE id = ?1", [two.id.to_string()]).unwrap();
    // Nobody gets a name in between.
    assert_eq!(home.outbox.begin(&manifest("two.wav")).unwrap().file, "two-2.wav");
    assert_eq!(home.other().mend().unwrap(), 2);
    assert_eq!(names(&home), ["new.json", "new.wav", "two-2.json"]);
    assert_eq!(home.other().mend().unwrap(), 0);
    let summary = run(&home.outbox, &Remotes::new(), &Options::default(), &()).await.unwrap();
    assert_eq!(summary.items, []);
}

#[test]
fn a_plan_says_what_renames_come_to() {
    let home = Home::new();
    let ids: Vec<RecordingId> =
        ["a.wav", "b.wav", "x/c.wav", "y.wav"].map(|name| home.finished(name, b"sound").id).into();
    home.write("z.wav", b"somebody's");
    let wishes = ["same", "same", "a", "z"].iter().zip(&ids).chain([(&"y/deep", &ids[0])]);
    let mut plan = home.outbox.plan();
    let planned: Vec<String> = wishes.clone().map(|(wish, id)| plan.rename(*id, wish).unwrap()).collect();
    let before = names(&home);
    let done: Vec<String> = wishes.map(|(wish, id)| home.outbox.rename(*id, wish).unwrap().file).collect();
    assert_eq!(done[..4], ["same.wav", "same-2.wav", "a.wav", "z-2.wav"]);
    assert_eq!(planned[..4], done[..4]);
    assert!(before.contains(&"x/c.wav".to_owned()), "nothing was done: {before:?}");
    let open = home.outbox.begin(&manifest("open.wav")).unwrap();
    assert!(matches!(home.outbox.plan().rename(open.id, "x"), Err(OutboxError::State { .. })));
}

#[test]
fn what_a_killed_writer_left_aside_is_cleared_up_and_what_is_being_written_is_not() {
    let home = Home::new();
    let left = ".0123456789abcdef0123456789abcdef.part";
    home.write(left, b"of somebody who was killed");
    home.write(".mine.part", b"no name of ours");
    home.outbox.spool().make_folders("2026/11/x").unwrap();
    let below = format!("2026/11/{left}");
    home.write(&below, b"of a manifest that was being written");
    let aside = home.outbox.spool().begin_aside().unwrap();
    assert_eq!(home.outbox.spool().sweep(Duration::from_secs(3_600)).unwrap(), 0, "written to just now");
    assert_eq!(home.other().spool().sweep(Duration::ZERO).unwrap(), 2);
    assert!(!home.spool().join(left).exists() && !home.spool().join(below).exists());
    assert!(home.spool().join("2026/11").exists() && home.spool().join(".mine.part").exists());
    home.outbox.spool().place_aside(&aside, "kept.wav").unwrap();
}
