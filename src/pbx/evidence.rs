//! The log of supervision and the rights behind it, for those who ask by the control socket.
//! Above: the desk. Below: `crate::evidence` reads the file, on a thread of its own.

use serde_json::Value;
use tokio::sync::mpsc;

use super::House;
use crate::{
    control::protocol::{Fault, FaultCode, LogVerify, Perms},
    control::socket::account_name,
    evidence::{self, Report, Wanted},
};

/// Entries that may wait for a slow reader.
const QUEUE: usize = 256;

impl House {
    /// The entries of the log, as they are read; an error is the last item.
    pub(super) fn log(&self, wanted: Wanted) -> mpsc::Receiver<Result<Value, Fault>> {
        let (to, items) = mpsc::channel(QUEUE);
        let path = self.exchange.evidence.path().to_owned();
        tokio::task::spawn_blocking(move || {
            let put = |record| {
                to.blocking_send(
                    serde_json::to_value(&record).map_err(|error| Fault::new(FaultCode::Failure, error.to_string())),
                )
                .is_ok()
            };
            if let Err(error) = evidence::read(&path, &wanted, put) {
                let _ = to.blocking_send(Err(Fault::from(&error)));
            }
        });
        items
    }

    /// Verifies the log.
    pub(super) async fn verify_log(&self, wanted: LogVerify) -> Result<Report, Fault> {
        let path = self.exchange.evidence.path().to_owned();
        let done = tokio::task::spawn_blocking(move || evidence::verify_for(&path, wanted.holds.as_ref()));
        done.await
            .map_err(|error| Fault::new(FaultCode::Failure, error.to_string()))?
            .map_err(|error| Fault::from(&error))
    }

    /// Who may supervise whom, as the settings in force have it.
    pub(super) fn perms(&self) -> Perms {
        let own = account_name(rustix::process::geteuid().as_raw());
        let admins = std::iter::once("root".to_owned()).chain(own.filter(|account| account != "root"));
        Perms::of(&self.exchange.settings.load(), "server", admins.collect())
    }
}
