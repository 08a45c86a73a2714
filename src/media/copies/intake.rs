//! What has come from all media threads, sorted by recording: each takes its copies when it is its turn.
//! Above: the recorder's thread. Below: `ring`.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::ring::{CopyReader, NewRings, parse};
use super::{Copied, CopyKey, HEAD};

/// The recorder's end of the rings of all media threads, and the copies that nobody has taken yet.
#[derive(Debug)]
pub struct Intake {
    new: NewRings,
    rings: Vec<CopyReader>,
    /// Records, as they came.
    bytes: Vec<u8>,
    /// What is in each, and what comes after it for the same recording.
    records: Vec<Record>,
    lists: HashMap<u64, List, RandomState>,
    /// Records that nobody has taken.
    waiting: usize,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    copied: Copied,
    /// Where its payload begins and ends.
    start: usize,
    end: usize,
    next: Option<usize>,
}

/// The records of a recording that wait, by time.
#[derive(Clone, Copy, Debug)]
struct List {
    first: Option<usize>,
    last: usize,
}

impl Intake {
    pub(super) fn new(new: NewRings) -> Self {
        let (rings, bytes, records, lists) = (Vec::new(), Vec::new(), Vec::new(), HashMap::default());
        Self { new, rings, bytes, records, lists, waiting: 0 }
    }

    /// Fetches what media threads have copied.
    pub fn gather(&mut self) {
        self.rings.extend(self.new.try_iter());
        let from = self.bytes.len();
        self.rings.retain_mut(|ring| ring.pour(&mut self.bytes));
        self.sort(from);
    }

    /// The next copy of a recording that was made at a time, in µs, or before, and its payload; a later one is left.
    pub fn next_until(&mut self, key: &CopyKey, until_us: u64) -> Option<(Copied, &[u8])> {
        let list = self.lists.get_mut(&key.number)?;
        let record = *self.records.get(list.first?)?;
        if record.copied.at_us > until_us {
            return None;
        }
        list.first = record.next;
        self.waiting = self.waiting.saturating_sub(1);
        Some((record.copied, self.bytes.get(record.start..record.end)?))
    }

    /// All recordings have taken what was copied at a time, in µs, or before: what of it is left is nobody's.
    pub fn tidy(&mut self, taken_us: u64) {
        let mut left: Vec<u8> = Vec::new();
        if self.waiting > 0 {
            for list in self.lists.values() {
                let mut at = list.first;
                while let Some(record) = at.and_then(|at| self.records.get(at)) {
                    if record.copied.at_us > taken_us {
                        left.extend_from_slice(&self.bytes[record.start - HEAD..record.end]);
                    }
                    at = record.next;
                }
            }
        }
        self.bytes.shrink_to(self.bytes.len().saturating_mul(4));
        self.bytes.clear();
        self.records.clear();
        self.lists.clear();
        self.waiting = 0;
        self.bytes.extend_from_slice(&left);
        self.sort(0);
    }

    /// Puts the records from a byte on into their lists.
    fn sort(&mut self, from: usize) {
        let mut at = from;
        while let Some((number, copied, length)) = self.bytes.get(at..).and_then(<[u8]>::first_chunk).and_then(parse) {
            let start = at + HEAD;
            at = start + length;
            self.list(number, Record { copied, start, end: at, next: None });
        }
    }

    fn list(&mut self, number: u64, record: Record) {
        let at = self.records.len();
        self.records.push(record);
        self.waiting += 1;
        let list = self.lists.entry(number).or_insert(List { first: None, last: at });
        let after = match list.first {
            None => None,
            Some(_) if self.records[list.last].copied.at_us <= record.copied.at_us => Some(list.last),
            // From another media thread, whose ring was read later.
            Some(first) => {
                let earlier = |at: &usize| self.records[*at].copied.at_us <= record.copied.at_us;
                std::iter::successors(Some(first), |at| self.records[*at].next).take_while(earlier).last()
            }
        };
        let next = match after {
            Some(after) => self.records[after].next.replace(at),
            None => list.first.replace(at),
        };
        self.records[at].next = next;
        if next.is_none() {
            list.last = at;
        }
    }
}
