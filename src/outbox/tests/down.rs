//! A remote that is down: it is left alone after some failures, and keeps no other waiting.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Home;
use super::push::{Mood, Stub, remotes, slow};
use crate::outbox::Outbox;
use crate::outbox::push::run;
use crate::outbox::remote::{DeliveryError, Parcel, Progress, Receipt, Remote};

/// Takes nothing until the other is left alone: had it all before, the other would get every upload that there is room for.
struct Second(Arc<Stub>, Outbox);

impl Second {
    fn is_first_left_alone(&self) -> bool {
        self.1.remotes().unwrap().iter().any(|remote| remote.name == "down" && remote.closed_until.is_some())
    }
}

impl Remote for Second {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(async move {
            // A run ends an attempt of which it hears nothing for a minute.
            while !self.is_first_left_alone() {
                tokio::task::yield_now().await;
            }
            self.0.deliver(parcel, progress).await
        })
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

#[tokio::test]
async fn a_remote_that_is_down_is_left_alone_and_keeps_no_other_waiting() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm", "down"]).unwrap();
    for _ in 0..40 {
        home.finished("n.wav", b"audio");
    }
    let (stub, down) = (Stub::in_moods(&[]), Stub::always(Mood::Fail(None)));
    let mut all = remotes(&[("crm", &stub), ("down", &down)]);
    all.get_mut("crm").unwrap().remote = Arc::new(Second(Arc::clone(&stub), home.outbox.clone()));
    let summary = run(&home.outbox, &all, &slow(), &()).await.unwrap();
    assert_eq!((summary.delivered, summary.waiting, stub.taken()), (40, 40, 40));
    assert!(down.asked() < 16, "{} attempts", down.asked());
    let status = home.outbox.remotes().unwrap();
    let status = status.iter().find(|remote| remote.name == "down").unwrap();
    assert!(status.closed_until.is_some() && status.failures >= 8 && status.waiting == 40, "{status:?}");
    assert!(status.error.as_deref().is_some_and(|error| error.contains("503")) && status.oldest_unsent.is_some());
    // The next run asks nothing before the time.
    let asked = down.asked();
    run(&home.outbox, &all, &slow(), &()).await.unwrap();
    assert_eq!(down.asked(), asked);
}
