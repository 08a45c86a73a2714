//! Nonces that prove themselves (time, serial, HMAC), and the memory of which counts were used with them.

use std::collections::{BTreeMap, btree_map::Entry};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::hash::{hex, same_bytes};

/// How long a nonce is good.
const LIFETIME: Duration = Duration::from_secs(300);
/// Nonces in use that we remember; past it the oldest goes, and counts as stale from then on.
const REMEMBERED: usize = 16_384;
/// How far counts may come out of order.
const WINDOW: u32 = 64;

/// Time made (ms since start) and serial number: unique, and ordered by age.
type Id = (u64, u32);

/// Makes nonces, and tells the first use of each count from a repetition.
pub(super) struct Nonces {
    secret: [u8; 32],
    serial: u32,
    used: BTreeMap<Id, Counts>,
    /// Nonces up to this one that are not in `used` are not good any more, because they may have been forgotten.
    forgotten: Option<Id>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Fresh,
    Stale,
}

/// The highest count seen, and a bit for each of the 64 up to it.
struct Counts {
    highest: u32,
    seen: u64,
}

impl Nonces {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self { secret, serial: 0, used: BTreeMap::new(), forgotten: None }
    }

    /// A new nonce: 12 digits of time, 8 of serial, 32 of proof.
    pub(super) fn make(&mut self, now: Duration) -> String {
        self.serial = self.serial.wrapping_add(1);
        let stamp = format!("{:012x}{:08x}", milliseconds(now), self.serial);
        let proof = self.proof(&stamp);
        stamp + &proof
    }

    /// Uses a nonce once with a count; only for answers whose hash was right.
    pub(super) fn spend(&mut self, now: Duration, nonce: &str, count: u32) -> Use {
        let Some(id) = self.genuine(nonce) else { return Use::Stale };
        let age = milliseconds(now).checked_sub(id.0);
        if count == 0 || age.is_none_or(|age| u128::from(age) > LIFETIME.as_millis()) {
            return Use::Stale;
        }
        self.forget(now);
        match self.used.entry(id) {
            Entry::Occupied(mut counts) => counts.get_mut().take(count),
            Entry::Vacant(_) if self.forgotten.is_some_and(|forgotten| id <= forgotten) => Use::Stale,
            Entry::Vacant(free) => {
                free.insert(Counts { highest: count, seen: 1 });
                Use::Fresh
            }
        }
    }

    /// Drops what is too old anyway, and the oldest when there are too many.
    fn forget(&mut self, now: Duration) {
        let oldest_good = milliseconds(now.saturating_sub(LIFETIME));
        while let Some(first) = self.used.first_entry() {
            let id = *first.key();
            if id.0 >= oldest_good && self.used.len() < REMEMBERED {
                break;
            }
            self.used.pop_first();
            self.forgotten = self.forgotten.max(Some(id));
        }
    }

    fn genuine(&self, nonce: &str) -> Option<Id> {
        let (stamp, proof) = nonce.split_at_checked(20)?;
        if !same_bytes(self.proof(stamp).as_bytes(), proof.as_bytes()) {
            return None;
        }
        let (time, serial) = stamp.split_at_checked(12)?;
        Some((u64::from_str_radix(time, 16).ok()?, u32::from_str_radix(serial, 16).ok()?))
    }

    /// HMAC-SHA-256 (RFC 2104), its first half.
    fn proof(&self, stamp: &str) -> String {
        let pad = |byte: u8| {
            let mut block = [byte; 64];
            block.iter_mut().zip(self.secret).for_each(|(block, key)| *block ^= key);
            Sha256::new_with_prefix(block)
        };
        let inner = pad(0x36).chain_update(stamp).finalize();
        let outer = pad(0x5c).chain_update(inner).finalize();
        hex(outer.get(..16).unwrap_or_default())
    }
}

impl Counts {
    fn take(&mut self, count: u32) -> Use {
        if count > self.highest {
            self.seen = self.seen.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return Use::Fresh;
        }
        let back = self.highest - count;
        let bit = 1_u64.checked_shl(back).filter(|_| back < WINDOW).unwrap_or(0);
        if bit == 0 || self.seen & bit != 0 {
            return Use::Stale;
        }
        self.seen |= bit;
        Use::Fresh
    }
}

/// In 48 bits, some 8,900 years.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min((1 << 48) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);

    #[test]
    fn the_proof_is_hmac_sha_256() {
        // RFC 4231 test case 2 with its short key filled up with zeros, which HMAC does too
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(b"Jefe");
        assert_eq!(Nonces::new(secret).proof("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
    }

    #[test]
    fn each_count_is_good_once_and_may_come_a_little_out_of_order() {
        let mut nonces = Nonces::new([7; 32]);
        let nonce = nonces.make(START);
        let mut spend = |count| nonces.spend(START, &nonce, count);
        assert_eq!(
            [spend(1), spend(1), spend(3), spend(2), spend(2)],
            [Use::Fresh, Use::Stale, Use::Fresh, Use::Fresh, Use::Stale]
        );
        assert_eq!(
            [spend(200), spend(3), spend(137), spend(136), spend(0)],
            [Use::Fresh, Use::Stale, Use::Fresh, Use::Stale, Use::Stale]
        );
        assert_eq!([spend(u32::MAX), spend(u32::MAX)], [Use::Fresh, Use::Stale]);
    }

    #[test]
    fn old_foreign_and_altered_nonces_are_stale() {
        let mut nonces = Nonces::new([7; 32]);
        let nonce = nonces.make(START);
        assert_eq!(nonces.spend(START + LIFETIME + Duration::from_millis(1), &nonce, 1), Use::Stale);
        let foreign = Nonces::new([8; 32]).make(START);
        let altered = nonce.replacen('0', "1", 1);
        for bad in [foreign.as_str(), &altered, "", "é", &nonce[..51]] {
            assert_eq!(nonces.spend(START, bad, 1), Use::Stale, "{bad}");
        }
        assert_eq!(nonces.spend(START, &nonce, 1), Use::Fresh);
    }

    #[test]
    fn memory_is_bounded_and_what_was_forgotten_cannot_be_replayed() {
        let mut nonces = Nonces::new([7; 32]);
        let first = nonces.make(START);
        assert_eq!(nonces.spend(START, &first, 1), Use::Fresh);
        for _ in 0..REMEMBERED + 10 {
            let nonce = nonces.make(START);
            assert_eq!(nonces.spend(START, &nonce, 1), Use::Fresh);
        }
        assert!(nonces.used.len() <= REMEMBERED);
        assert_eq!(nonces.spend(START, &first, 1), Use::Stale);
    }
}
