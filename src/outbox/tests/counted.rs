//! How many there are of each kind is known without counting them, and is what counting would say.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::push::{Mood, Stub, push, slow, with};
use super::{Home, manifest};
use crate::outbox::{Filter, Outbox, Purge, Undelivered, Which};

/// What the queue says, and what counting says.
fn check(home: &Home, outbox: &Outbox) {
    let queue = Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    let mut deliveries: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    let mut rows = queue.prepare("SELECT remote, state FROM deliveries").unwrap();
    let all = rows.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    for (remote, state) in all.map(Result::unwrap) {
        let at = ["waiting", "parked", "delivered"].iter().position(|word| *word == state).unwrap_or(0);
        deliveries.entry(remote).or_default()[at] += 1;
    }
    for remote in outbox.remotes().unwrap() {
        let counted = deliveries.remove(&remote.name).unwrap_or_default();
        assert_eq!([remote.waiting, remote.parked, remote.delivered], counted, "{}", remote.name);
        let sql = "SELECT min(started_ms) FROM recordings JOIN deliveries USING (number) WHERE remote = ?1 AND deliveries.state != 'delivered'";
        let oldest: Option<i64> = queue.query_row(sql, [&remote.name], |row| row.get(0)).unwrap();
        assert_eq!(remote.oldest_unsent.map(|time| time.as_millisecond()), oldest, "{}", remote.name);
    }
    for which in [Which::All, Which::WithGone, Which::Open, Which::Closed, Which::Unsent, Which::Failed] {
        let filter = Filter { which, ..Filter::default() };
        assert_eq!(outbox.count(&filter).unwrap(), outbox.list(&filter).unwrap().len() as u64, "{which:?}");
    }
}

#[tokio::test]
async fn what_is_counted_is_what_is_there_whatever_becomes_of_it() {
    let (home, ids) = with(12);
    home.outbox.set_remotes(&["crm", "copy"]).unwrap();
    check(&home, &home.outbox);
    let open = home.outbox.begin(&manifest("open.wav")).unwrap();
    let last = home.outbox.begin(&manifest("last.wav")).unwrap();
    home.finished("both.wav", b"audio");
    check(&home, &home.outbox);
    let stub = Stub::in_moods(&[Mood::Take, Mood::Refuse, Mood::Take, Mood::Refuse, Mood::Fail(None)]);
    push(&home, &stub, &slow()).await;
    check(&home, &home.outbox);
    for id in &ids {
        home.outbox.retry(*id).unwrap();
    }
    home.outbox.want(ids[0], "late").unwrap();
    home.outbox.unwant(ids[3], None).unwrap();
    home.outbox.abandon(open.id).unwrap();
    check(&home, &home.outbox);
    home.outbox.forget(ids[4], Undelivered::Removed).unwrap();
    let purge = Purge { keep: std::time::Duration::ZERO, undelivered: Undelivered::Kept, doing: Default::default() };
    home.outbox.purge(&purge).unwrap();
    home.outbox.refuse(last).unwrap();
    check(&home, &home.outbox);
}

#[test]
fn an_older_queue_is_counted_when_it_is_opened() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let ids = [(); 5].map(|()| home.finished("n.wav", b"audio").id);
    home.outbox.begin(&manifest("open.wav")).unwrap();
    home.outbox.unwant(ids[0], None).unwrap();
    uncount(&home);
    let other = home.other();
    check(&home, &other);
    assert_eq!(other.remotes().unwrap()[0].waiting, 4);
    home.outbox.unwant(ids[1], None).unwrap();
    check(&home, &other);
}

/// Makes the queue one of the second form.
pub(super) fn uncount(home: &Home) {
    let queue = Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    let sql = "DROP TRIGGER recording_counted; DROP TRIGGER recording_uncounted; DROP TRIGGER recording_recounted;
        DROP TRIGGER delivery_counted; DROP TRIGGER delivery_uncounted; DROP TRIGGER delivery_recounted;
        DROP TABLE counted_recordings; DROP TABLE counted_deliveries; PRAGMA user_version = 2;";
    queue.execute_batch(sql).unwrap();
}
