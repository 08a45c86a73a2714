//! Who entered wrong PINs lately, over all calls: after too many a caller is not asked again for a while (threat D1).
//! Pure: the time is given. Above: `app/disa`, through `env`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Callers and sources remembered at once; those quiet for longest go first.
const REMEMBERED: usize = 16_384;

/// How many times as many wrong PINs a whole source may send as one caller's number: numbers can be made up.
const PER_SOURCE: u32 = 5;

/// Who enters a PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entrant {
    /// The user, or the address that the call comes from.
    pub(super) source: String,
    /// The calling number.
    pub(super) number: String,
}

/// How many wrong PINs are too many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// Of one caller; 0: never too many.
    pub(super) wrong: u32,
    /// How long nothing is asked then; doubled each time.
    pub(super) block: Duration,
}

/// Counts wrong PINs.
#[derive(Debug, Default)]
pub(super) struct PinGuard {
    counts: HashMap<Key, Count>,
}

/// A caller, or a source with all its callers.
type Key = (String, Option<String>);

#[derive(Debug)]
struct Count {
    wrong: u32,
    blocks: u32,
    blocked_until: Option<Instant>,
    last: Instant,
}

impl Entrant {
    fn keys(&self) -> [Key; 2] {
        [(self.source.clone(), Some(self.number.clone())), (self.source.clone(), None)]
    }
}

impl PinGuard {
    /// Whether nothing may be asked of this caller now.
    pub(super) fn blocks(&self, now: Instant, entrant: &Entrant) -> bool {
        let until = |key| self.counts.get(&key).and_then(|count| count.blocked_until);
        entrant.keys().into_iter().filter_map(until).any(|until| now < until)
    }

    /// Counts a wrong PIN; the time of the block when that was one too many.
    pub(super) fn wrong(&mut self, now: Instant, limit: Limit, entrant: &Entrant) -> Option<Duration> {
        if limit.wrong == 0 {
            return None;
        }
        self.make_room(now);
        let [caller, source] = entrant.keys();
        let of_source = self.count(now, (limit.wrong.saturating_mul(PER_SOURCE), limit.block), source);
        self.count(now, (limit.wrong, limit.block), caller).max(of_source)
    }

    /// Forgets the wrong PINs of a caller who knew the right one; those of his source stay counted.
    pub(super) fn right(&mut self, entrant: &Entrant) {
        let [caller, _] = entrant.keys();
        self.counts.remove(&caller);
    }

    fn count(&mut self, now: Instant, (most, block): (u32, Duration), key: Key) -> Option<Duration> {
        let none = || Count { wrong: 0, blocks: 0, blocked_until: None, last: now };
        let count = self.counts.entry(key).or_insert_with(none);
        count.last = now;
        count.wrong += 1;
        if count.wrong < most {
            return None;
        }
        let time = block.saturating_mul(1 << count.blocks.min(10));
        count.wrong = 0;
        count.blocks += 1;
        count.blocked_until = now.checked_add(time);
        Some(time)
    }

    fn make_room(&mut self, now: Instant) {
        if self.counts.len() + 2 <= REMEMBERED {
            return;
        }
        self.counts.retain(|_, count| count.blocked_until.is_some_and(|until| now < until));
        while self.counts.len() + 2 > REMEMBERED {
            let oldest = self.counts.iter().min_by_key(|(_, count)| count.last).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.counts.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { wrong: 5, block: Duration::from_secs(300) };

    fn entrant(source: &str, number: &str) -> Entrant {
        Entrant { source: source.into(), number: number.into() }
    }

    #[test]
    fn d1_five_wrong_pins_block_the_caller_and_each_further_block_is_longer() {
        let (mut guard, now) = (PinGuard::default(), Instant::now());
        let (eve, other) = (entrant("192.0.2.1", "100"), entrant("192.0.2.1", "200"));
        for _ in 0..4 {
            assert_eq!(guard.wrong(now, LIMIT, &eve), None);
        }
        assert!(!guard.blocks(now, &eve));
        assert_eq!(guard.wrong(now, LIMIT, &eve), Some(LIMIT.block));
        assert!(guard.blocks(now, &eve) && !guard.blocks(now, &other));
        let later = now + LIMIT.block;
        assert!(!guard.blocks(later, &eve));
        let times: Vec<_> = (0..5).map(|_| guard.wrong(later, LIMIT, &eve)).collect();
        assert_eq!(times[4], Some(LIMIT.block * 2));
    }

    #[test]
    fn a_source_that_makes_numbers_up_is_blocked_with_all_of_them() {
        let (mut guard, now) = (PinGuard::default(), Instant::now());
        for number in 0..25 {
            assert!(!guard.blocks(now, &entrant("192.0.2.1", "new")));
            guard.wrong(now, LIMIT, &entrant("192.0.2.1", &number.to_string()));
        }
        assert!(guard.blocks(now, &entrant("192.0.2.1", "new")));
        assert!(!guard.blocks(now, &entrant("192.0.2.2", "new")));
    }

    #[test]
    fn the_right_pin_forgets_the_wrong_ones_and_a_limit_of_none_counts_nothing() {
        let (mut guard, now, eve) = (PinGuard::default(), Instant::now(), entrant("a", "1"));
        for _ in 0..4 {
            guard.wrong(now, LIMIT, &eve);
        }
        guard.right(&eve);
        assert_eq!(guard.wrong(now, LIMIT, &eve), None);
        let never = Limit { wrong: 0, ..LIMIT };
        assert!((0..100).all(|_| guard.wrong(now, never, &eve).is_none()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut guard, now) = (PinGuard::default(), Instant::now());
        for source in 0..REMEMBERED as u32 {
            guard.wrong(now, LIMIT, &entrant(&source.to_string(), "1"));
        }
        assert!(guard.counts.len() <= REMEMBERED);
    }
}
