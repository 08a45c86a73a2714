//! The port numbers of an engine: even ones with their successor, begun at a place that nobody can guess.
//! Above: `engine` (takes) and `socket` (gives back). Shared by all threads, without a lock.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which numbers are in use by us, draining ones included. What others use shows when it is bound.
#[derive(Debug)]
pub(super) struct Numbers {
    first: u16,
    count: usize,
    used: Box<[AtomicU64]>,
}

impl Numbers {
    /// The even numbers of a range whose successors are in it as well; `None` when there are none.
    pub(super) fn new(range: &RangeInclusive<u16>) -> Option<Self> {
        let first = (*range.start()).max(2).checked_next_multiple_of(2)?;
        let count = usize::from(range.end().checked_sub(first)?.checked_add(1)? / 2);
        let used = (0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        (count > 0).then_some(Self { first, count, used })
    }

    /// Every free number in turn, from the one that `random` picks. Each is taken while it is looked at:
    /// `give_back` returns the ones that are not kept.
    pub(super) fn take_from(&self, random: u64) -> impl Iterator<Item = u16> {
        let start = (random % self.count as u64) as usize; // below count
        (0..self.count)
            .map(move |step| (start + step) % self.count)
            .filter(|at| self.take(*at))
            .map(|at| self.number(at))
    }

    /// Makes a number free again.
    pub(super) fn give_back(&self, number: u16) {
        let at = usize::from(number.saturating_sub(self.first)) / 2;
        if let Some(word) = self.used.get(at / 64) {
            word.fetch_and(!(1 << (at % 64)), Ordering::Relaxed);
        }
    }

    fn take(&self, at: usize) -> bool {
        let bit = 1 << (at % 64);
        self.used[at / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    fn number(&self, at: usize) -> u16 {
        self.first + 2 * at as u16 // below the range's end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_numbers_with_room_for_rtcp_are_given_once() {
        let numbers = Numbers::new(&(10_001..=10_008)).expect("a range");
        assert_eq!(numbers.take_from(1).collect::<Vec<_>>(), [10_004, 10_006, 10_002]);
        assert_eq!(numbers.take_from(1).next(), None);
        numbers.give_back(10_006);
        assert_eq!(numbers.take_from(0).collect::<Vec<_>>(), [10_006]);
    }

    #[test]
    fn a_range_without_a_pair_is_none() {
        assert!(Numbers::new(&(10_001..=10_002)).is_none());
        assert!(Numbers::new(&(10_000..=10_000)).is_none());
        assert!(Numbers::new(&(65_535..=65_535)).is_none());
        assert_eq!(Numbers::new(&(0..=3)).map(|numbers| numbers.take_from(0).collect()), Some(vec![2]));
        assert_eq!(Numbers::new(&(65_534..=65_535)).map(|numbers| numbers.take_from(9).collect()), Some(vec![65_534]));
    }
}
