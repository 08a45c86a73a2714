//! What has come from all media threads, sorted by recording: each takes its copies when it is its turn.
//! Above: the recorder's thread. Below: `ring`.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::ring::{CopyReader, NewRings, Record, pour};
use super::{Copied, CopyKey};

/// The recorder's end of the rings of all media threads, and the copies that nobody has taken yet.
#[derive(Debug)]
pub struct Intake {
    new: NewRings,
    rings: Vec<CopyReader>,
    waiting: HashMap<u64, Waiting, RandomState>,
}

/// The copies of one recording that nobody has taken yet, by time.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Records, of which those before a byte are taken.
    bytes: Vec<u8>,
    taken: usize,
    /// The time of the newest, in µs, and whether some came after a newer one.
    newest_us: u64,
    is_mixed: bool,
}

impl Intake {
    pub(super) fn new(new: NewRings) -> Self {
        Self { new, rings: Vec::new(), waiting: HashMap::default() }
    }

    /// Fetches what media threads have copied.
    pub fn gather(&mut self) {
        self.rings.extend(self.new.try_iter());
        self.rings.retain_mut(|ring| ring.pour(|record| self.waiting.entry(record.number).or_default().add(&record)));
    }

    /// The copies of a recording.
    pub fn of(&mut self, key: &CopyKey) -> &mut Waiting {
        self.waiting.entry(key.number()).or_default()
    }

    /// Drops what is taken. What is left of what was copied at a time, in µs, or before is nobody's, and goes as well.
    pub fn tidy(&mut self, until_us: u64) {
        self.waiting.retain(|_, waiting| {
            let is_used = !waiting.bytes.is_empty();
            waiting.forget(until_us);
            is_used
        });
    }
}

impl Waiting {
    /// The next copy that was made at a time, in µs, or before, and its payload; a later one is left.
    pub fn next_until(&mut self, until_us: u64) -> Option<(Copied, &[u8])> {
        self.put_in_order();
        let record = Record::first_of(&self.bytes[self.taken..]).filter(|record| record.at_us <= until_us)?;
        self.taken += record.bytes.len();
        record.copy()
    }

    fn add(&mut self, record: &Record) {
        self.is_mixed |= record.at_us < self.newest_us;
        self.newest_us = self.newest_us.max(record.at_us);
        self.bytes.extend_from_slice(record.bytes);
    }

    /// Sorts what two media threads have copied: the ring of one was read after that of the other.
    fn put_in_order(&mut self) {
        if std::mem::take(&mut self.is_mixed) {
            let mut records = Vec::new();
            pour(&self.bytes[self.taken..], |record| records.push(record));
            records.sort_by_key(|record| record.at_us);
            self.bytes = records.iter().map(|record| record.bytes).collect::<Vec<_>>().concat();
            self.taken = 0;
        }
    }

    /// Drops what is taken, and what nobody took in time.
    fn forget(&mut self, until_us: u64) {
        while self.next_until(until_us).is_some() {}
        // A flood is not to be remembered by the memory that it took.
        self.bytes.shrink_to(self.bytes.len().saturating_mul(4));
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() {
            self.newest_us = 0;
        }
    }
}
