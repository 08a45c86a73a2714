//! The outbox: every recording from its first sample to the receipts of all who wanted it.
//!
//! The way: `begin` (row and manifest, before the first sample) → the recorder writes → `finish` (hashed, on the disk, wanted by every
//! remote in force, in one transaction) → [`push::run`] → a remote → its receipt, checked and stored.
//!
//! A spool is one folder, private to its owner: recordings (`NAME.wav`), their manifests (`NAME.json`), the queue
//! (`outbox.sqlite3`), the lock of the run that pushes (`push.lock`), the locks by which writers show that they live
//! (`.writers`), and what has arrived of recordings that are not whole yet (`.uploads`). Any number of processes work on it at once.

mod aside;
mod delivery;
mod error;
mod fetched;
mod further;
mod go_on;
pub mod link;
mod list;
pub mod manifest;
pub mod name;
mod partial;
mod plan;
pub mod push;
mod queue;
mod rebuild;
pub mod receipt;
pub mod remote;
mod schema;
pub mod seal;
mod sealing;
pub mod spool;
mod store;
mod tidy;
pub mod verify;
mod walk;

pub use aside::Aside;
pub use delivery::{Delivery, DeliveryState, RemoteStatus};
pub use error::OutboxError;
pub use list::{Circle, Filter, Line, Listed, Order, Which};
pub use manifest::{Manifest, RecordingId, State};
pub use partial::{Left, Partial};
pub use plan::Plan;
pub use rebuild::{Rebuilt, rebuild};
pub use spool::Spool;
pub use store::Outbox;
pub use tidy::{Doing, Purge, Purged, Undelivered};

#[cfg(test)]
mod tests;
