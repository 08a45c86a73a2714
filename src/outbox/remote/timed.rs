//! Ends a delivery that takes longer than its settings allow. Above: the table of kinds. Below: any kind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::answer::later;
use super::kinds::limit;
use super::{DeliveryError, Parcel, Progress, Receipt, Remote};

/// A remote whose deliveries end in time.
pub(super) struct Timed {
    remote: Arc<dyn Remote>,
    limit: Option<Duration>,
}

impl Timed {
    pub(super) fn new(remote: Arc<dyn Remote>, timeout: Duration) -> Self {
        Self { remote, limit: limit(timeout) }
    }
}

impl Remote for Timed {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        let Some(limit) = self.limit else { return self.remote.deliver(parcel, progress) };
        Box::pin(async move {
            let delivery = self.remote.deliver(parcel, progress);
            tokio::time::timeout(limit, delivery)
                .await
                .unwrap_or_else(|_| Err(later(format!("{}: not done within {} s", self.place(), limit.as_secs_f32()))))
        })
    }

    fn place(&self) -> String {
        self.remote.place()
    }
}
