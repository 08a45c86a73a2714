//! A clock that jumps: what waits is neither held up nor given up, nothing is taken for older or shorter than it is.

use std::sync::Arc;
use std::time::Duration;

use jiff::{Span, Timestamp};

use super::push::{Mood, Stub, push, quick, slow, state, with};
use super::{Home, manifest};
use crate::outbox::push::{Options, Verdict};
use crate::outbox::{DeliveryState, Doing, Filter, Manifest, Order, Purge, Undelivered};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// As if everything that is in the queue had happened so much later.
fn shift(home: &Home, ms: i64) {
    let queue = rusqlite::Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    for (table, columns) in [
        ("deliveries", &["failed_ms", "first_failed_ms", "due_ms"][..]),
        ("remotes", &["failed_ms", "closed_until_ms"]),
    ] {
        for column in columns {
            queue.execute(&format!("UPDATE {table} SET {column} = {column} + ?1 WHERE {column} > 0"), [ms]).unwrap();
        }
    }
}

#[tokio::test]
async fn r12_a_remote_that_failed_often_is_not_left_alone_for_the_day_a_clock_was_put_back() {
    let (home, ids) = with(12);
    let stub = Stub::always(Mood::Fail(None));
    // All at once, so that none of them knows that it is not the only one to fail.
    push(&home, &stub, &Options { uploads: ids.len(), ..slow() }).await;
    assert!(home.outbox.remotes().unwrap()[0].closed_until.is_some());
    shift(&home, 24 * 3_600_000);
    let good = Stub::in_moods(&[]);
    assert_eq!(push(&home, &good, &slow()).await.verdict(), Verdict::Done);
    assert_eq!((good.taken(), ids.len()), (12, 12));
}

#[tokio::test]
async fn a_clock_put_forward_makes_due_what_waits_and_gives_up_nothing() {
    let (home, ids) = with(2);
    let stub = Stub::in_moods(&[Mood::Fail(Some(Duration::from_secs(1_800))), Mood::Fail(None)]);
    push(&home, &stub, &Options { uploads: 1, ..slow() }).await;
    shift(&home, -10 * YEAR_MS);
    let failing = Stub::always(Mood::Fail(None));
    let summary = push(&home, &failing, &slow()).await;
    assert_eq!((summary.waiting, summary.parked, failing.asked()), (2, 0, 2), "two attempts are not too many");
    shift(&home, -10 * YEAR_MS);
    assert_eq!(push(&home, &stub, &slow()).await.verdict(), Verdict::Done);
    assert!(ids.iter().all(|id| matches!(state(&home.outbox, *id).state, DeliveryState::Delivered(_))));
}

#[tokio::test]
async fn a_recording_that_ended_before_it_began_is_listed_sent_and_kept_as_any_other() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let now = Timestamp::now();
    let later = now.checked_add(Span::new().hours(50)).unwrap();
    let begun = home.outbox.begin(&Manifest { started: later, ..manifest("later.wav") }).unwrap();
    home.write("later.wav", b"audio");
    let done = home.outbox.finish(Manifest { ended: Some(now), ..begun }).unwrap();
    home.finished("usual.wav", b"usual");
    let all = home.outbox.list(&Filter { order: Order::Newest, ..Filter::default() }).unwrap();
    assert_eq!(
        all.iter().map(|one| one.file.as_deref().unwrap_or_default()).collect::<Vec<_>>(),
        ["later.wav", "usual.wav"]
    );
    let stub: Arc<Stub> = Stub::in_moods(&[]);
    let young = Options { max_age: Some(Duration::from_secs(3_600)), ..quick() };
    assert_eq!(push(&home, &stub, &young).await.delivered, 1, "it is not old");
    assert!(matches!(state(&home.outbox, done.id).state, DeliveryState::Delivered(_)));
    let keep = Duration::from_secs(3_600);
    let purged = home.outbox.purge(&Purge { keep, undelivered: Undelivered::Kept, doing: Doing::Really }).unwrap();
    assert_eq!(purged.len(), 0, "nor old enough to be purged");
}
