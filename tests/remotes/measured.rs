//! A file that is measured while it is sent: one that has changed is never whole at a remote, and is parked.

use wirechief::outbox::push::{Options, Outcome, run};
use wirechief::outbox::remote::Remotes;
use wirechief::outbox::{Outbox, RecordingId};

use super::*;
use crate::harness::{Fault, StubCrm};

/// More than two pieces, and no whole number of them.
const BYTES: usize = 700_001;

/// Each kind that measures, by its settings.
fn kinds(crm: &StubCrm) -> [String; 3] {
    let (page, tus) = (crm.url("/api/recordings"), crm.url("/tus"));
    [format!("url = '{page}'"), format!("method = 'PUT'\nurl = '{page}'"), format!("kind = 'tus'\nurl = '{tus}'")]
}

/// Whether some request brought the last of a recording.
fn has_ended(crm: &StubCrm) -> bool {
    let brings = |method: &str| ["PUT", "PATCH"].contains(&method);
    let asked = crm.asked();
    asked.iter().any(|asked| brings(&asked.method) || (asked.method == "POST" && asked.path().starts_with("/api/")))
}

#[tokio::test]
async fn the_last_of_a_file_that_has_changed_never_leaves() {
    let desk = Desk::new();
    let good = noise(BYTES);
    let (mut longer, mut changes) = (good.clone(), Vec::new());
    for at in [0, BYTES / 2, BYTES - 1] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        changes.push(flipped);
    }
    longer.push(0);
    changes.push(longer);
    for nth in 0..3 {
        let crm = StubCrm::start().await;
        let remote = desk.remote(&kinds(&crm)[nth]);
        assert!(remote.remote.measures());
        let parcel = desk.parcel("a.wav", &good, |_| {});
        for changed in &changes {
            std::fs::write(desk.spool.path_of("a.wav").unwrap(), changed).unwrap();
            let error = deliver(&remote, &parcel).await.unwrap_err();
            assert!(error.what.contains("when it was finished"), "{error}");
            assert!(!has_ended(&crm) && crm.stored().is_empty(), "{error}");
        }
        std::fs::write(desk.spool.path_of("a.wav").unwrap(), &good).unwrap();
        deliver(&remote, &parcel).await.unwrap();
        assert_eq!(crm.stored()[&parcel.key].sha256, parcel.sha256);
    }
}

#[tokio::test]
async fn what_an_earlier_process_has_sent_is_measured_too() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    let good = noise(9 * 1024 * 1024);
    let parcel = desk.parcel("a.wav", &good, |_| {});
    crm.fail([Fault::Good, Fault::Good, Fault::Good, Fault::ResetHalfWay]);
    let log = Log::default();
    assert!(remote.remote.deliver(&parcel, &log).await.is_err());
    let resume = log.resume.lock().unwrap().clone();
    assert_eq!(resume.as_ref().map(|resume| resume.offset), Some(8 * 1024 * 1024));
    let again = || Parcel { resume: resume.clone(), attempt: 2, measuring: Arc::default(), ..parcel.clone() };
    let mut changed = good.clone();
    changed[5] ^= 1;
    std::fs::write(desk.spool.path_of("a.wav").unwrap(), &changed).unwrap();
    let error = deliver(&remote, &again()).await.unwrap_err();
    assert!(error.what.contains("when it was finished"), "{error}");
    assert!(crm.stored().is_empty());
    std::fs::write(desk.spool.path_of("a.wav").unwrap(), &good).unwrap();
    deliver(&remote, &again()).await.unwrap();
    assert_eq!(crm.stored()[&parcel.key].sha256, parcel.sha256);
}

/// A recording that is finished, and then has another byte; its times say that this was so long after.
fn changed(desk: &Desk, outbox: &Outbox, after_ms: i64) -> RecordingId {
    let begun = outbox.begin(&Manifest::new("a.wav", "2026-11-21T09:00:00Z".parse().unwrap())).unwrap();
    let path = desk.spool.path_of(&begun.file).unwrap();
    std::fs::write(&path, noise(BYTES)).unwrap();
    let finished = outbox.finish(begun).unwrap();
    let mut other = noise(BYTES);
    other[BYTES - 1] ^= 1;
    std::fs::write(&path, other).unwrap();
    let queue = rusqlite::Connection::open(desk.spool.path_of("outbox.sqlite3").unwrap()).unwrap();
    let sql = "UPDATE recordings SET finished_ms = finished_ms - ?2 WHERE id = ?1";
    assert_eq!(queue.execute(sql, (finished.id.to_string(), after_ms)).unwrap(), 1);
    finished.id
}

#[tokio::test]
async fn a_file_that_has_changed_is_parked_as_changed_whatever_its_times_say() {
    let desk = Desk::new();
    let outbox = Outbox::open(desk.spool.path()).unwrap();
    outbox.set_remotes(&["crm"]).unwrap();
    for nth in 0..3 {
        let crm = StubCrm::start().await;
        let remotes = Remotes::from([("crm".to_owned(), desk.remote(&kinds(&crm)[nth]))]);
        let push = async || {
            let summary = run(&outbox, &remotes, &Options::default(), &()).await.unwrap();
            let Some((item, Outcome::Parked { error, reason })) = summary.items.first().cloned() else {
                panic!("{summary:?}")
            };
            assert_eq!((reason.as_str(), summary.items.len(), summary.delivered), ("changed", 1, 0));
            assert!(error.contains("when it was finished"), "{error}");
            assert!(!has_ended(&crm) && crm.stored().is_empty());
            item.id
        };
        // touched since it was finished: measured before anything leaves
        let touched = changed(&desk, &outbox, 1_000);
        assert_eq!(push().await, touched);
        assert_eq!(crm.connections(), 0);
        // its times say that nobody has touched it
        let quiet = changed(&desk, &outbox, -3_600_000);
        assert_eq!(push().await, quiet);
        assert!(crm.connections() > 0, "it was on its way");
    }
}
