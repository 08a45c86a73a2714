//! Bounds that hold for every kind: so many deliveries at once, so long for one. Above: the table of kinds. Below: any kind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::answer::later;
use super::{DeliveryError, Parcel, Progress, Receipt, Remote};
use crate::config::RemoteSettings;

/// So often a delivery that waits for its turn says that it has not stalled.
const STILL_HERE: Duration = Duration::from_secs(5);

/// A remote whose deliveries end in time and do not crowd.
pub(super) struct Timed {
    remote: Arc<dyn Remote>,
    turns: Semaphore,
    limit: Option<Duration>,
}

impl Timed {
    pub(super) fn new(remote: Arc<dyn Remote>, settings: &RemoteSettings) -> Self {
        let parallel = usize::try_from(settings.parallel).unwrap_or(1).max(1);
        let limit = Some(settings.timeout).filter(|timeout| !timeout.is_zero());
        Self { remote, turns: Semaphore::new(parallel), limit }
    }

    async fn run(&self, parcel: &Parcel, progress: &dyn Progress) -> Result<Receipt, DeliveryError> {
        let mut turn = std::pin::pin!(self.turns.acquire());
        let _turn = loop {
            tokio::select! {
                turn = &mut turn => break turn,
                () = tokio::time::sleep(STILL_HERE) => progress.sent(0),
            }
        };
        let delivery = self.remote.deliver(parcel, progress);
        let receipt = match self.limit {
            None => delivery.await?,
            Some(limit) => {
                let late = || later(format!("{}: not done within {} s", self.place(), limit.as_secs_f32()));
                tokio::time::timeout(limit, delivery).await.unwrap_or_else(|_| Err(late()))?
            }
        };
        receipt.bounded().ok_or_else(|| later(format!("{}: its receipt is longer than any is", self.place())))
    }
}

impl Remote for Timed {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(self.run(parcel, progress))
    }

    fn place(&self) -> String {
        self.remote.place()
    }

    fn measures(&self) -> bool {
        self.remote.measures()
    }
}
