//! How long to wait after failures. Pure.

use std::time::Duration;

use super::BackOff;

/// A remote asks for so long a wait at most; what is longer is a mistake.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

impl BackOff {
    /// The wait after so many failures in a row: doubled from one to the next up to the greatest, and of that a part by chance, half
    /// at least, so that those who failed together do not come back together. `chance` is from 0 to 1. What the remote asked for is
    /// waited for in any case, up to a day.
    #[must_use]
    pub fn after(self, failures: u32, chance: f64, asked: Option<Duration>) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(31)));
        let share = 0.5 + chance.clamp(0.0, 1.0) / 2.0;
        let wait = doubled.min(self.most).mul_f64(share);
        wait.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

/// From 0 to 1, by chance; the middle where the system has none to give.
pub(super) fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: BackOff = BackOff { first: Duration::from_secs(1), most: Duration::from_secs(300) };

    #[test]
    fn the_wait_doubles_from_one_second_to_five_minutes() {
        let waits: Vec<u64> = (1..12).map(|failures| USUAL.after(failures, 1.0, None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(USUAL.after(u32::MAX, 1.0, None).as_secs(), 300);
    }

    #[test]
    fn half_of_it_is_chance() {
        assert_eq!(USUAL.after(3, 0.0, None).as_secs(), 2);
        assert_eq!(USUAL.after(3, 0.5, None).as_secs(), 3);
    }

    #[test]
    fn a_remote_can_ask_for_more_but_not_for_ever() {
        assert_eq!(USUAL.after(1, 1.0, Some(Duration::from_secs(900))).as_secs(), 900);
        assert_eq!(USUAL.after(9, 1.0, Some(Duration::from_secs(9))).as_secs(), 256);
        assert_eq!(USUAL.after(1, 1.0, Some(Duration::MAX)).as_secs(), 24 * 3600);
    }
}
