//! Receipts that come by themselves: a remote that was only told of a recording has fetched it, or says that it has it.
//! Above: `receiver`, which serves the link and takes such receipts. Below: `store`.

use jiff::Timestamp;
use rusqlite::params;

use super::error::OutboxError;
use super::manifest::RecordingId;
use super::queue::number_of;
use super::remote::Receipt;
use super::store::{Durable, Outbox, now_ms};

impl Outbox {
    /// Keeps a receipt for one file (from 1) of a recording that a remote waits for; whether it did. What it has already stays as it
    /// is. Whether the receipt counts is for the caller to know.
    ///
    /// # Errors
    /// There is no such recording, or the queue cannot be written.
    pub fn keep_receipt(
        &self,
        (id, part): (RecordingId, u32),
        remote: &str,
        receipt: &Receipt,
    ) -> Result<bool, OutboxError> {
        let text = serde_json::to_string(receipt).unwrap_or_default();
        self.write("keeping a receipt", Durable::Yes, |tx| {
            let now = now_ms();
            let kept = tx
                .prepare_cached(
                    "UPDATE deliveries SET state = 'delivered', receipt = ?4, delivered_ms = ?5, token = NULL, position = 0,
                     error = NULL, reason = NULL WHERE number = ?1 AND part = ?2 AND remote = ?3 AND state != 'delivered'",
                )?
                .execute(params![number_of(tx, id)?, part, remote, text, now])?;
            if kept > 0 {
                tx.prepare_cached(
                    "UPDATE remotes SET failures = 0, closed_until_ms = 0, error = NULL, failed_ms = NULL, delivered_ms = ?2
                     WHERE name = ?1",
                )?
                .execute(params![remote, now])?;
            }
            Ok(kept > 0)
        })
    }

    /// The receipt for a file that was fetched whole, in words of ours.
    pub fn fetched(sha256: &str, size: u64, by: std::net::IpAddr) -> Receipt {
        Receipt {
            id: format!("fetched by {by}"),
            sha256: Some(sha256.to_owned()),
            size: Some(size),
            received_at: Some(Timestamp::now().to_string()),
            ..Receipt::default()
        }
    }
}
