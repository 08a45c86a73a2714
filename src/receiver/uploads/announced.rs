//! What unfinished uploads may still take of the disk: the sum of what was announced and has not arrived. After a restart it is read
//! from their notes. Above: `begun`. Below: `outbox` keeps the notes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::desk::Desk;
use super::begun::Begun;
use crate::outbox::{Left, OutboxError};

/// How long each unfinished upload is to be, in bytes.
#[derive(Debug, Default)]
pub(in super::super) struct Announced(Mutex<BTreeMap<String, u64>>);

/// Held while an upload is begun, so that two at once do not both find room for one.
pub(super) struct Ledger<'a>(MutexGuard<'a, BTreeMap<String, u64>>);

impl Announced {
    pub(super) fn lock(&self) -> Ledger<'_> {
        Ledger(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ledger<'_> {
    /// Bytes that are still to come for those that are left, and nobody else's; blocks for the disk.
    pub(super) fn outstanding(&mut self, desk: &Desk, left: &[Left]) -> Result<u64, OutboxError> {
        let mut sum = 0_u64;
        let mut lengths = BTreeMap::new();
        for Left { id, bytes, .. } in left {
            let length = match self.0.get(id) {
                Some(length) => *length,
                // Bytes without a note are nobody's: nothing more comes.
                None => match desk.outbox.spool().open_partial(id)? {
                    Some(partial) => Begun::parse(partial.note()).map_or(0, |begun| begun.length),
                    None => 0,
                },
            };
            sum = sum.saturating_add(length.saturating_sub(*bytes));
            lengths.insert(id.clone(), length);
        }
        *self.0 = lengths;
        Ok(sum)
    }
}
