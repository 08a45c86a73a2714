//! A stream's time stamps tied to places in time. Pure. Above: `line`.
//!
//! A packet's *transit* is its arrival less the time stamp after its last sample. The least transit of the last second or two is the
//! path without jitter, and that is where its sound belongs: two parties laid so are aligned whatever their jitter. Drift of a clock
//! moves the least transit; places follow it by a cell or a few a packet.

use crate::media::{Content, Copied};
use crate::rtp::sequence;

use super::rate::{Clock, Rate};

/// A number this far behind, or so far ahead, is a restarted sender (RFC 3550 A.1).
const BEHIND: i64 = -100;
const AHEAD: i64 = 3_000;
/// Sooner than ever before by this much, or later, is another clock, in ms.
const SOONER: i64 = 200;
const LATER: i64 = 1_000;
/// One of the numbers left out before may come this late, in ms.
const LATEST: i64 = 10_000;
/// So many packets in a row that are this late, in ms, and do not catch up, are another clock as well.
const LATE: i64 = 200;
const LATE_IN_A_ROW: u32 = 8;
/// Catching up: each packet of a burst is less late than the one before by about its length, and so by this part of it at least.
const CATCHING_UP: i64 = 4;
/// A new stream that begins this near behind the end of the sound before, in ms, or before it, is laid right behind it: nothing that was
/// said is written over.
const NEAR: i64 = 60;
/// Being off by this much, in cells of 8 kHz, or by this part of the jitter, is left alone; more is followed by a cell of 8 kHz a
/// packet, and by this part of a packet at most: less than half of a half-tone, which nobody hears.
const DEAD_BAND: i64 = 2;
const PART_OF_JITTER: i64 = 16;
const MOST_PART: i64 = 40;
/// How long a window of transits lasts, in ms.
const WINDOW: i64 = 1_000;
/// Shorter packets are not stretched, in ms; the shortest of Opus have 2.5 (RFC 6716 §2.1.4).
const SHORTEST: i64 = 2;

/// One stream's tie.
#[derive(Debug)]
pub(super) struct Tie {
    rate: Rate,
    clock: Clock,
    ssrc: u32,
    content: Content,
    /// Highest number, unwrapped.
    highest: i64,
    /// The newest time stamp, unwrapped, in units of the clock.
    newest: i64,
    /// A place is the cell of a time stamp and this.
    offset: i64,
    transits: Transits,
    last_transit: i64,
    late_in_a_row: u32,
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its first cell.
    pub(super) start: i64,
    /// Numbers left out before it; negative when it is one of those left out before.
    pub(super) skipped: i64,
    /// Cells by which it is to become longer.
    pub(super) step: i64,
}

impl Tie {
    /// A tie of the stream of a packet that arrived at a place in time; `end` is the end of the sound before, if any.
    pub(super) fn new(copied: &Copied, rate: Rate, (arrived, length): (i64, i64), end: Option<i64>) -> Self {
        let clock = Clock::of(copied.content, rate);
        let newest = i64::from(copied.timestamp);
        let cell = clock.cell(newest);
        let transit = arrived - (cell + length);
        let start = arrived - length;
        let start = end.filter(|end| (-rate.cells(LATER)..=rate.cells(NEAR)).contains(&(start - end))).unwrap_or(start);
        let mut transits = Transits::new(rate.cells(WINDOW));
        transits.note(arrived, transit);
        Self {
            rate,
            clock,
            ssrc: copied.ssrc,
            content: copied.content,
            highest: i64::from(copied.sequence) - 1,
            newest,
            offset: start - cell,
            transits,
            last_transit: transit,
            late_in_a_row: 0,
        }
    }

    /// Whether a packet goes on with this stream.
    pub(super) fn fits(&self, copied: &Copied, arrived: i64, length: i64) -> bool {
        let transit = arrived - (self.clock.cell(self.unwrap(copied)) + length);
        let least = self.transits.least().unwrap_or(transit);
        let ahead = self.number(copied) - self.highest;
        let later = self.rate.cells(if ahead > 0 { LATER } else { LATEST });
        // Each a little sooner than the one before: no clock is so far ahead.
        let place = self.clock.cell(self.unwrap(copied)) + self.offset;
        self.is_of(copied)
            && place - (arrived - length) <= self.rate.cells(LATER)
            && (BEHIND..AHEAD).contains(&ahead)
            && (-self.rate.cells(SOONER)..=later).contains(&(transit - least))
            && self.late_in_a_row < LATE_IN_A_ROW
    }

    /// Where a packet that fits belongs.
    pub(super) fn place(&mut self, copied: &Copied, arrived: i64, length: i64) -> Place {
        let (number, stamp) = (self.number(copied), self.unwrap(copied));
        let cell = self.clock.cell(stamp);
        let transit = arrived - (cell + length);
        self.transits.note(arrived, transit);
        self.note_late(transit, length);
        let start = cell + self.offset;
        let ahead = number - self.highest;
        if ahead <= 0 {
            return Place { start, skipped: -1, step: 0 };
        }
        (self.highest, self.newest) = (number, stamp);
        let off = self.transits.least().unwrap_or(transit) - self.offset;
        let left_alone = self.rate.cells_of_8khz(DEAD_BAND).max(self.transits.spread() / PART_OF_JITTER);
        let step = if off.abs() <= left_alone || length < self.rate.cells(SHORTEST) {
            0
        } else {
            let least = self.rate.cells_of_8khz(1);
            (off.abs() / 64).clamp(least, least.max(length / MOST_PART)) * off.signum()
        };
        self.offset += step;
        Place { start, skipped: ahead - 1, step }
    }

    /// Takes the number of a packet without sound; how many were left out before it.
    pub(super) fn pass(&mut self, copied: &Copied) -> i64 {
        let ahead = self.number(copied) - self.highest;
        if copied.ssrc != self.ssrc || !(1..AHEAD).contains(&ahead) {
            return 0;
        }
        self.highest += ahead;
        ahead - 1
    }

    /// Moves everything by so many cells.
    pub(super) fn shift(&mut self, cells: i64) {
        self.offset += cells;
        self.transits.shift(cells);
        self.last_transit += cells;
    }

    fn is_of(&self, copied: &Copied) -> bool {
        (self.ssrc, self.content) == (copied.ssrc, copied.content)
    }

    fn number(&self, copied: &Copied) -> i64 {
        let low = self.highest as u16; // the low 16 bits, on purpose
        self.highest + i64::from(sequence::distance(low, copied.sequence))
    }

    fn unwrap(&self, copied: &Copied) -> i64 {
        sequence::unwrap_timestamp(self.newest, copied.timestamp)
    }

    /// A time stamp that stood still while time passed makes all later packets late by the same; a burst catches up.
    fn note_late(&mut self, transit: i64, length: i64) {
        let is_late = self.transits.least().is_some_and(|least| transit - least > self.rate.cells(LATE));
        let catches_up = self.last_transit - transit > length / CATCHING_UP;
        self.late_in_a_row = if is_late && !catches_up { self.late_in_a_row + 1 } else { 0 };
        self.last_transit = transit;
    }
}

/// Least and greatest transit of the last one to two windows.
#[derive(Clone, Copy, Debug)]
struct Transits {
    /// Cells of a window.
    window: i64,
    present: Option<(i64, i64)>,
    before: Option<(i64, i64)>,
    since: i64,
}

impl Transits {
    fn new(window: i64) -> Self {
        Self { window, present: None, before: None, since: 0 }
    }

    fn note(&mut self, now: i64, transit: i64) {
        match self.present {
            Some((least, greatest)) if now - self.since <= self.window => {
                self.present = Some((least.min(transit), greatest.max(transit)));
            }
            former => (self.before, self.present, self.since) = (former, Some((transit, transit)), now),
        }
    }

    fn least(&self) -> Option<i64> {
        self.present.into_iter().chain(self.before).map(|(least, _)| least).min()
    }

    fn spread(&self) -> i64 {
        let greatest = self.present.into_iter().chain(self.before).map(|(_, greatest)| greatest).max();
        greatest.zip(self.least()).map_or(0, |(greatest, least)| greatest - least)
    }

    fn shift(&mut self, cells: i64) {
        for (least, greatest) in self.present.iter_mut().chain(&mut self.before) {
            *least += cells;
            *greatest += cells;
        }
        self.since += cells;
    }
}
