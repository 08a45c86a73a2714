//! How fine the time of a recording is, and how the clocks of streams count in it. Pure. Above: `session`, `line`, `tie`, `marks`.

use crate::media::Content;

/// Samples a second of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// 8 kHz: all that G.711 carries.
    #[default]
    Hz8000,
    /// 16 kHz: all that G.722 carries.
    Hz16000,
    /// 48 kHz: all that Opus can carry.
    Hz48000,
}

impl Rate {
    /// All of them, the lowest first.
    pub const ALL: [Self; 3] = [Self::Hz8000, Self::Hz16000, Self::Hz48000];

    /// The rate of so many samples a second.
    pub fn of_hz(hz: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|rate| rate.hz() == hz)
    }

    /// Samples a second.
    pub fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
            Self::Hz48000 => 48_000,
        }
    }

    /// Cells of so many ms.
    pub(super) const fn cells(self, ms: i64) -> i64 {
        ms * self.cells_per_ms()
    }

    /// Cells of so many at 8 kHz.
    pub(super) const fn cells_of_8khz(self, cells: i64) -> i64 {
        cells * self.cells_per_ms() / Self::Hz8000.cells_per_ms()
    }

    /// Whole ms of so many cells.
    pub(super) fn ms(self, cells: i64) -> u64 {
        (cells.max(0) / self.cells_per_ms()).cast_unsigned()
    }

    /// The cell of a time in µs.
    pub(super) fn cell_at(self, us: u64) -> i64 {
        us.min(i64::MAX as u64 / 64).cast_signed() * self.cells_per_ms() / 1_000
    }

    const fn cells_per_ms(self) -> i64 {
        match self {
            Self::Hz8000 => 8,
            Self::Hz16000 => 16,
            Self::Hz48000 => 48,
        }
    }
}

/// The clock of a stream's time stamps, seen from a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    units_per_ms: i64,
    cells_per_ms: i64,
}

impl Clock {
    /// The clock of what is in a copy.
    pub(super) fn of(content: Content, rate: Rate) -> Self {
        let hz = match content {
            Content::Foreign(foreign) => foreign.clock_hz(),
            Content::Sound(_) | Content::Samples | Content::Digit | Content::Mark(_) => 8_000,
        };
        Self { units_per_ms: i64::from(hz / 1_000), cells_per_ms: rate.cells_per_ms() }
    }

    /// The cell of a time stamp; stretches of whole ms have the same length wherever they begin.
    pub(super) fn cell(self, stamp: i64) -> i64 {
        if self.units_per_ms == self.cells_per_ms {
            return stamp;
        }
        (stamp * self.cells_per_ms).div_euclid(self.units_per_ms)
    }

    /// Units of so many cells.
    pub(super) fn units(self, cells: usize) -> u32 {
        // A packet's: 120 ms at most, or as many as a datagram has bytes.
        (cells as i64 * self.units_per_ms / self.cells_per_ms) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::codec::{Codec, Foreign};

    #[test]
    fn packets_of_any_clock_lie_end_to_end_at_any_rate() {
        let contents = [Content::Sound(Codec::Pcmu), Content::Foreign(Foreign::G722), Content::Foreign(Foreign::Opus)];
        for (content, rate) in contents.into_iter().flat_map(|content| Rate::ALL.map(|rate| (content, rate))) {
            let clock = Clock::of(content, rate);
            // 2.5 ms, the shortest of Opus (RFC 6716 §2.1.4), from a number that no rate divides.
            let cells = rate.cells(5) / 2;
            let units = i64::from(clock.units(cells as usize));
            for packet in 0..100 {
                let stamp = 4_294_967_291 + packet * units;
                assert_eq!(clock.cell(stamp + units) - clock.cell(stamp), cells, "{content:?} at {rate:?}");
            }
        }
    }
}
