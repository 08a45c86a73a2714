//! Time in a media thread: moments in nanoseconds of one steady clock, and the 5 ms slots of the beat.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Length of a slot; four make a tick.
pub(super) const SLOT_MS: u32 = 5;
/// Slots of one tick of 20 ms.
pub(super) const SLOTS_PER_TICK: u64 = 4;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_SLOT: u64 = SLOT_MS as u64 * NS_PER_MS;
const NS_PER_SAMPLE: u64 = 125_000;

/// An instant of the system's monotonic clock. Given to everything below `shard`, never fetched there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    ns: u64,
}

impl Moment {
    /// Reads the clock; only `shard` does.
    pub(super) fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        // The monotonic clock starts at 0 and stays below 2⁶⁴ ns for centuries.
        Self { ns: time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec as u64 }
    }

    /// Nanoseconds after the clock's start.
    pub(super) fn ns(self) -> u64 {
        self.ns
    }

    /// Time since an earlier moment; zero when that is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(earlier.ns))
    }

    /// Samples of 8 kHz since an earlier moment; zero when that is later.
    pub(super) fn samples_since(self, earlier: Self) -> u32 {
        u32::try_from(self.ns.saturating_sub(earlier.ns) / NS_PER_SAMPLE).unwrap_or(u32::MAX)
    }

    /// A later moment.
    pub(super) fn after(self, time: Duration) -> Self {
        Self { ns: self.ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)) }
    }

    /// The moment in samples of 8 kHz.
    pub(super) fn samples(self) -> i64 {
        (self.ns / NS_PER_SAMPLE).cast_signed()
    }

    /// The moment in an RTP clock of 8 kHz, which wraps.
    pub(super) fn rtp_clock(self) -> u32 {
        (self.ns / NS_PER_SAMPLE) as u32 // the low 32 bits, on purpose
    }

    /// The slot that this moment lies in.
    pub(super) fn slot(self) -> Slot {
        Slot(self.ns / NS_PER_SLOT)
    }
}

/// A slot of 5 ms, counted from the clock's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(pub(super) u64);

impl Slot {
    /// When the slot begins.
    pub(super) fn start(self) -> Moment {
        Moment { ns: self.0 * NS_PER_SLOT }
    }

    /// The slot `count` later.
    pub(super) fn after(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// The first slot after this one of phase `phase` of a tick.
    pub(super) fn next_of_phase(self, phase: u64) -> Self {
        let ahead = (phase + SLOTS_PER_TICK - (self.0 + 1) % SLOTS_PER_TICK) % SLOTS_PER_TICK;
        Self(self.0 + 1 + ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_convert_to_samples_and_slots() {
        let moment = Slot(7).start().after(Duration::from_millis(4));
        assert_eq!((moment.ns(), moment.slot(), moment.samples()), (39_000_000, Slot(7), 312));
        assert_eq!(moment.samples_since(Slot(7).start()), 32);
        assert_eq!(Slot(7).start().since(moment), Duration::ZERO);
    }

    #[test]
    fn the_next_slot_of_a_phase_is_one_to_four_slots_ahead() {
        let next: Vec<u64> = (0..4).map(|phase| Slot(5).next_of_phase(phase % SLOTS_PER_TICK).0).collect();
        assert_eq!(next, [8, 9, 6, 7]);
    }
}
