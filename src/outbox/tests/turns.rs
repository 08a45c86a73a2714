//! Receipts that are kept together, and attempts that are put into the queue ahead: nothing is told, lost or counted that should not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::push::{Mood, Stub, push, remotes, slow, state, with};
use crate::outbox::push::{Event, Options, Outcome, PushError, Stop, Watcher, run};
use crate::outbox::remote::{BEGUN, Configured, DeliveryError, Parcel, Policy, Progress, Receipt, Remote, Retry};
use crate::outbox::store::Durable;
use crate::outbox::{DeliveryState, Outbox};

/// Reads the queue whenever it is told that something has been delivered.
struct Auditor(Outbox);

impl Watcher for Auditor {
    fn event(&self, event: &Event<'_>) {
        if let Event::Ended(item, Outcome::Delivered) = event {
            let kept = state(&self.0, item.id).state;
            assert!(
                matches!(kept, DeliveryState::Delivered(_)),
                "{} is told of as delivered, and is {kept:?}",
                item.file
            );
        }
    }
}

#[tokio::test]
async fn what_is_told_of_as_delivered_has_its_receipt_in_the_queue() {
    let (home, _) = with(40);
    let stub = Stub::in_moods(&[]);
    let summary = run(&home.outbox, &remotes(&[("crm", &stub)]), &slow(), &Auditor(home.other())).await.unwrap();
    assert_eq!((summary.delivered, summary.waiting, summary.items.len()), (40, 0, 40));
}

#[tokio::test]
async fn what_had_arrived_when_a_run_ran_out_of_time_is_not_sent_again() {
    let (home, ids) = with(60);
    let stub = Stub::in_moods(&[]);
    for time in [1, 3, 5, 7, 9] {
        let short = Options { max_time: Some(Duration::from_millis(time)), ..slow() };
        push(&home, &stub, &short).await;
        let kept = ids.iter().filter(|id| matches!(state(&home.outbox, **id).state, DeliveryState::Delivered(_)));
        assert_eq!(kept.count(), stub.taken());
    }
    push(&home, &stub, &slow()).await;
    assert_eq!(stub.taken(), 60);
}

#[tokio::test]
async fn attempts_that_were_put_into_the_queue_and_not_begun_are_not_counted() {
    let (home, ids) = with(40);
    let moods: Vec<Mood> = (0..40).map(|n| if n < 20 { Mood::Take } else { Mood::Fail(None) }).collect();
    let stub = Stub::in_moods(&moods);
    push(&home, &stub, &slow()).await;
    let asked = stub.asked.lock().unwrap().clone();
    assert!(asked.len() < 40, "it was left alone after some failures");
    for id in ids {
        let delivery = state(&home.outbox, id);
        let times = asked.iter().filter(|(key, _)| *key == id.to_string()).count();
        assert_eq!(
            (delivery.attempts as usize, delivery.state == DeliveryState::Uploading),
            (times, false),
            "{delivery:?}"
        );
    }
}

/// Asks a run to end while an upload is on its way.
struct Impatient(Stop);

impl Watcher for Impatient {
    fn event(&self, event: &Event<'_>) {
        if let Event::Sent(..) = event {
            self.0.ask();
        }
    }
}

#[tokio::test]
async fn what_had_arrived_when_a_run_was_asked_to_end_is_kept() {
    let (home, ids) = with(60);
    let stub = Stub::in_moods(&[]);
    for _ in 0..4 {
        let options = slow();
        let summary =
            run(&home.outbox, &remotes(&[("crm", &stub)]), &options, &Impatient(options.stop.clone())).await.unwrap();
        let kept = ids.iter().filter(|id| matches!(state(&home.outbox, **id).state, DeliveryState::Delivered(_)));
        assert_eq!(kept.count(), stub.taken());
        assert!(summary.waiting > 0, "it ended at once: {summary:?}");
    }
    let asked = slow();
    asked.stop.ask();
    let before = stub.asked();
    push(&home, &stub, &asked).await;
    assert_eq!(stub.asked(), before, "one that is asked before it has begun does nothing");
    push(&home, &stub, &slow()).await;
    assert_eq!(stub.taken(), 60);
}

#[tokio::test]
async fn what_had_arrived_when_a_run_failed_is_kept_first() {
    let (home, ids) = with(3);
    let refuse = |tx: &rusqlite::Transaction<'_>| {
        let last = "(SELECT max(number) FROM recordings)";
        let when = "BEFORE UPDATE ON deliveries WHEN NEW.state = 'uploading' AND NEW.attempts = 1";
        let end = format!("AND NEW.number = {last} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
        Ok(tx.execute_batch(&format!("CREATE TRIGGER refuse {when} {end}"))?)
    };
    home.outbox.write("breaking it", Durable::Soon, refuse).unwrap();
    let stub = Stub::in_moods(&[]);
    let one = Options { uploads: 1, ..slow() };
    let failed = run(&home.outbox, &remotes(&[("crm", &stub)]), &one, &()).await;
    assert!(matches!(failed, Err(PushError::Outbox(_))), "{failed:?}");
    let kept = ids.iter().filter(|id| matches!(state(&home.outbox, **id).state, DeliveryState::Delivered(_)));
    assert_eq!((kept.count(), stub.taken()), (2, 2));
}

/// Says that an attempt has begun, then where it can go on, and fails.
struct Failing;

impl Remote for Failing {
    fn deliver<'a>(
        &'a self,
        _: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(async move {
            progress.resume_at(BEGUN, 0).await;
            progress.resume_at("upload-1", 2).await;
            Err(DeliveryError { what: "reset".into(), retry: Retry::Later { after: None } })
        })
    }

    fn place(&self) -> String {
        "https://crm.example/api".into()
    }
}

#[tokio::test]
async fn that_an_attempt_has_begun_is_on_the_disk_before_it_goes_on_and_a_place_to_go_on_need_not_be() {
    let (home, _) = with(1);
    // Of SQLite, 2 waits for the disk and 1 does not.
    let note = "CREATE TABLE noted (token TEXT, level INTEGER);
        CREATE TRIGGER note AFTER UPDATE OF token ON deliveries WHEN NEW.state = 'uploading' BEGIN
          INSERT INTO noted SELECT NEW.token, synchronous FROM pragma_synchronous;
        END";
    home.outbox.write("listening", Durable::Soon, |tx| Ok(tx.execute_batch(note)?)).unwrap();
    let failing = Configured { remote: Arc::new(Failing), policy: Policy::default() };
    run(&home.outbox, &[("crm".to_owned(), failing)].into(), &slow(), &()).await.unwrap();
    let noted: Vec<(String, i64)> = home
        .outbox
        .read("what was noted", |tx| {
            let mut all = tx.prepare("SELECT token, level FROM noted ORDER BY rowid")?;
            Ok(all.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })
        .unwrap();
    assert_eq!(noted, [(BEGUN.to_owned(), 2), ("upload-1".to_owned(), 1)]);
}
