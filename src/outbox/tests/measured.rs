//! A receipt counts only for a file that was measured whole in the same attempt, by the remote or by the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;

use super::Home;
use super::push::{slow, state};
use crate::outbox::DeliveryState;
use crate::outbox::push::run;
use crate::outbox::remote::{Configured, DeliveryError, Parcel, Policy, Progress, Receipt, Remote, Remotes};

/// Has everything already, and says that it measures what it sends.
#[derive(Default)]
struct Knowing {
    asked: AtomicU32,
}

impl Remote for Knowing {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        _progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (sha256, size) = (Some(parcel.sha256.clone()), Some(parcel.size));
        Box::pin(async move { Ok(Receipt { sha256, size, ..Receipt::default() }) })
    }

    fn place(&self) -> String {
        "https://crm.example/api".into()
    }

    fn measures(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn what_was_there_already_counts_only_for_a_file_that_is_what_it_was() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let [fine, quiet, touched] =
        ["fine", "quiet", "touched"].map(|name| home.finished(&format!("{name}.wav"), b"audio"));
    for changed in [&quiet, &touched] {
        home.write(&changed.file, b"audip");
    }
    // As if nobody had touched two of them since they were finished.
    let queue = rusqlite::Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    let sql = "UPDATE recordings SET finished_ms = finished_ms + iif(file = 'touched.wav', -1000, 3600000)";
    assert_eq!(queue.execute(sql, ()).unwrap(), 3);
    let knowing = Arc::new(Knowing::default());
    let configured = Configured { remote: Arc::<Knowing>::clone(&knowing), policy: Policy::default() };
    let remotes = Remotes::from([("crm".to_owned(), configured)]);
    let summary = run(&home.outbox, &remotes, &slow(), &()).await.unwrap();
    assert_eq!((summary.delivered, summary.parked), (1, 2));
    assert!(matches!(state(&home.outbox, fine.id).state, DeliveryState::Delivered(_)));
    for changed in [quiet.id, touched.id] {
        assert_eq!(state(&home.outbox, changed).state, DeliveryState::Parked("changed".into()));
    }
    assert_eq!(knowing.asked.load(Ordering::SeqCst), 2, "what was touched is measured before the remote is asked");
}
