//! One party's track: packets laid at their places in time, by their RTP time stamps tied to when they arrived. Pure.
//! Above: `session`. Below: `tie`, which says where.
//!
//! A cell is one sample: 16 bit, or the byte of a law where sound is kept as it came. Places count cells from the beginning of the
//! recording. The newest second stays changeable, so a packet that comes late still finds its place.

use std::collections::VecDeque;
use std::ops::Range;

use super::order::{Packets, Why};
use super::rate::Rate;
use super::tie::{Place, Tie};
use crate::media::Copied;

/// Nothing is laid further than this after the beginning of what is kept, in ms, nor after its arrival.
const FARTHEST: i64 = 60_000;
const MOST_AHEAD: i64 = 3_000;
/// Nothing coming for this long is told, in ms.
const NOTHING: i64 = 2_000;
/// Stretches waiting for late packets at most.
const MOST_HOLES: usize = 64;

/// A stretch without sound, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) at: Range<i64>,
    pub(super) why: Why,
}

/// Where a packet was laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Laid {
    /// Its first cell.
    pub(super) start: i64,
    /// Whether it follows what was there without a gap.
    pub(super) follows: bool,
}

/// A track.
#[derive(Debug)]
pub(super) struct Line {
    rate: Rate,
    silence: i16,
    cells: VecDeque<i16>,
    /// The place of the first cell kept.
    base: i64,
    /// After the newest sound.
    end: i64,
    /// Nothing is laid before this place, nor from that one on.
    floor: i64,
    ceiling: Option<i64>,
    /// The first place that was changed since the last look.
    changed: Option<i64>,
    tie: Option<Tie>,
    has_sound: bool,
    /// Why the party cannot be heard, and since when: at most once for each reason.
    away: Vec<(Why, i64)>,
    /// Copies were dropped: the next loss is ours.
    has_dropped: bool,
    /// A packet could not be decoded: the next loss is that one.
    has_broken: bool,
    /// Stretches that late packets may still fill, and those that none can.
    holes: Vec<Hole>,
    gone: Vec<Hole>,
    pub(super) packets: Packets,
}

impl Line {
    /// An empty track that begins at a place.
    pub(super) fn new(start: i64, rate: Rate, silence: i16) -> Self {
        Self {
            rate,
            silence,
            cells: VecDeque::new(),
            base: start,
            end: start,
            floor: start,
            ceiling: None,
            changed: None,
            tie: None,
            has_sound: false,
            away: Vec::new(),
            has_dropped: false,
            has_broken: false,
            holes: Vec::new(),
            gone: Vec::new(),
            packets: Packets::default(),
        }
    }

    /// Takes a packet of the network that arrived at a place in time. `cells` may become a few more or fewer, to follow a clock that drifts.
    /// `None`: it was not laid.
    pub(super) fn take(
        &mut self,
        copied: &Copied,
        arrived: i64,
        cells: &mut Vec<i16>,
        stretch: Stretch,
    ) -> Option<Laid> {
        self.packets.received += 1;
        let length = cells.len() as i64;
        if !self.tie.as_ref().is_some_and(|tie| tie.fits(copied, arrived, length)) {
            self.tie = Some(Tie::new(copied, self.rate, (arrived, length), self.has_sound.then_some(self.end)));
        }
        let tie = self.tie.as_mut()?;
        let Place { start, skipped, step } = tie.place(copied, arrived, length);
        if start + length - arrived > self.rate.cells(MOST_AHEAD) || !self.cut_out_pauses(start, arrived, cells) {
            return None;
        }
        stretch.apply(cells, step);
        if skipped > 0 {
            self.miss(skipped, start);
        } else if start - self.end >= self.rate.cells(NOTHING) && self.has_sound && self.away.is_empty() {
            self.gone.push(Hole { at: self.end..start, why: Why::Nothing });
        }
        let end = start + cells.len() as i64;
        if end <= self.floor {
            self.packets.late += 1;
            self.packets.lost = self.packets.lost.saturating_sub(1);
            return None;
        }
        if self.fill_holes(start..end) && skipped < 0 {
            self.packets.lost = self.packets.lost.saturating_sub(1);
        }
        let follows = self.has_sound && start == self.end;
        self.lay(start, cells, Laying::Replace).then_some(Laid { start, follows })
    }

    /// Takes away what of a packet was said in a pause, by its time stamp or by its arrival; `false` when that is all of it.
    fn cut_out_pauses(&self, start: i64, arrived: i64, cells: &mut Vec<i16>) -> bool {
        let earliest = arrived - cells.len() as i64;
        if let Some(ceiling) = self.ceiling {
            let count = usize::try_from(ceiling - start.max(earliest)).unwrap_or(0);
            cells.truncate(count);
        }
        let before = usize::try_from(self.floor - earliest).unwrap_or(0).min(cells.len());
        cells[..before].fill(self.silence);
        before < cells.len()
    }

    /// Lays cells again that end at a place, now that it is known what follows them.
    pub(super) fn amend(&mut self, end: i64, cells: &[i16]) {
        self.lay(end - cells.len() as i64, cells, Laying::Replace);
    }

    /// Takes a packet that cannot be decoded: its stretch is a gap once the next has come.
    pub(super) fn take_broken(&mut self) {
        self.packets.received += 1;
        self.has_broken = true;
    }

    /// Takes a packet without sound that has a number of its own.
    pub(super) fn take_silent(&mut self, copied: &Copied) {
        self.packets.received += 1;
        if let Some(tie) = &mut self.tie {
            let skipped = tie.pass(copied);
            if skipped > 0 {
                self.packets.lost += skipped.unsigned_abs();
            }
        }
    }

    /// Takes cells that the server made, which end at a place in time.
    pub(super) fn take_made(&mut self, end: i64, cells: &[i16], laying: Laying) {
        self.tie = None; // whatever comes from the network next has another clock
        self.lay(end - cells.len() as i64, cells, laying);
    }

    /// Copies were dropped here.
    pub(super) fn note_dropped(&mut self) {
        self.has_dropped = true;
    }

    /// The party cannot be heard from here on.
    pub(super) fn leaves(&mut self, why: Why, at: i64) {
        if self.away.iter().all(|(known, _)| *known != why) {
            self.away.push((why, at));
        }
    }

    /// That reason holds no longer.
    pub(super) fn returns(&mut self, why: Why, at: i64) {
        let Some(place) = self.away.iter().position(|(known, _)| *known == why) else { return };
        let (why, from) = self.away.remove(place);
        if from < at {
            self.gone.push(Hole { at: from..at, why });
            self.end = self.end.max(at); // until here silence is accounted for
        }
    }

    /// Nothing that belongs at or after a place is taken, until `resume`.
    pub(super) fn pause(&mut self, at: i64) {
        self.ceiling = Some(at);
    }

    /// Takes up again: what belongs `cut` cells later than the pause comes right after what was before it.
    pub(super) fn resume(&mut self, at: i64, cut: i64) {
        self.ceiling = None;
        self.floor = self.floor.max(at);
        self.end = self.end.min(at);
        self.holes.retain(|hole| hole.at.end <= at);
        for (_, from) in self.away.iter_mut().filter(|(_, from)| *from > at) {
            *from = (*from - cut).max(at);
        }
        if let Some(tie) = &mut self.tie {
            tie.shift(-cut);
        }
    }

    /// The first place changed since the last time.
    pub(super) fn take_changed(&mut self) -> Option<i64> {
        self.changed.take()
    }

    /// The cells of a stretch; what was not laid is silence. `spare` is for those that lie in two pieces.
    pub(super) fn read<'a>(&'a mut self, at: &Range<i64>, spare: &'a mut Vec<i16>) -> &'a [i16] {
        let until = usize::try_from(at.end - self.base).unwrap_or(0);
        let from = usize::try_from(at.start - self.base).unwrap_or(0).min(until);
        if self.cells.len() < until {
            self.cells.resize(until, self.silence);
        }
        match slices(&mut self.cells, from..until) {
            [one, []] | [[], one] => one,
            [first, second] => {
                spare.clear();
                spare.extend_from_slice(first);
                spare.extend_from_slice(second);
                spare
            }
        }
    }

    /// Forgets what is before a place; what is missing there stays missing.
    pub(super) fn forget_before(&mut self, place: i64) {
        self.floor = self.floor.max(place);
        if let Ok(count @ 1..) = usize::try_from(place - self.base) {
            self.cells.drain(..count.min(self.cells.len()));
            self.base = place;
        }
        let (gone, waiting) = std::mem::take(&mut self.holes).into_iter().partition(|hole| hole.at.end <= place);
        self.holes = waiting;
        self.gone.extend::<Vec<Hole>>(gone);
    }

    /// What can no longer be filled since the last time.
    pub(super) fn take_gone(&mut self) -> impl Iterator<Item = Hole> + '_ {
        self.gone.drain(..)
    }

    /// Ends everything that is open, at a place.
    pub(super) fn finish(&mut self, at: i64) {
        while let Some(&(why, _)) = self.away.first() {
            self.returns(why, at);
        }
        let holes = std::mem::take(&mut self.holes);
        self.gone.extend(holes);
    }

    /// Lays cells; `false` where none of them may lie.
    fn lay(&mut self, start: i64, cells: &[i16], laying: Laying) -> bool {
        let end = start + cells.len() as i64;
        let from = start.max(self.floor).max(self.base);
        let until = self.ceiling.map_or(end, |ceiling| end.min(ceiling));
        if from >= until || until - self.base > self.rate.cells(FARTHEST) {
            return false;
        }
        let silence = self.silence;
        let first = (from - self.base) as usize; // 0 to FARTHEST
        let new = &cells[(from - start) as usize..(until - start) as usize]; // start ≤ from < until ≤ end
        self.cells.resize(self.cells.len().max(first), silence);
        let (over, beyond) = new.split_at((self.cells.len() - first).min(new.len()));
        let mut rest = over;
        for cells in slices(&mut self.cells, first..first + over.len()) {
            let (now, later) = rest.split_at(cells.len());
            match laying {
                Laying::Replace => cells.copy_from_slice(now),
                Laying::Add(add) => cells.iter_mut().zip(now).for_each(|(cell, &new)| *cell = add(*cell, new)),
            }
            rest = later;
        }
        self.cells.extend(beyond); // over nothing
        self.end = self.end.max(until);
        self.has_sound = true;
        self.changed = Some(self.changed.map_or(from, |changed| changed.min(from)));
        true
    }

    /// So many packets before `start` are missing.
    fn miss(&mut self, count: i64, start: i64) {
        let why = match (std::mem::take(&mut self.has_dropped), std::mem::take(&mut self.has_broken)) {
            (true, _) => Why::Dropped,
            (false, true) => Why::Undecodable,
            (false, false) => Why::Lost,
        };
        if why == Why::Lost {
            self.packets.lost += count.unsigned_abs();
        }
        if start > self.end {
            if self.holes.len() >= MOST_HOLES {
                self.gone.push(self.holes.remove(0));
            }
            self.holes.push(Hole { at: self.end..start, why });
        }
    }

    /// Takes a stretch out of the holes; `true` when it was in one.
    fn fill_holes(&mut self, filled: Range<i64>) -> bool {
        let hit = |hole: &Hole| hole.at.start < filled.end && filled.start < hole.at.end;
        let Some(at) = self.holes.iter().position(hit) else { return false };
        let hole = self.holes.remove(at);
        for left in [hole.at.start..filled.start, filled.end..hole.at.end] {
            // A few cells are the drift of a clock, not a gap.
            if left.end - left.start > self.rate.cells(1) {
                self.holes.push(Hole { at: left, why: hole.why });
            }
        }
        true
    }
}

/// A stretch of cells that are there, in the two pieces in which they lie.
fn slices(cells: &mut VecDeque<i16>, at: Range<usize>) -> [&mut [i16]; 2] {
    let (first, second) = cells.as_mut_slices();
    let border = first.len();
    let (start, end) = (at.start.min(border), at.end.min(border));
    let (next, last) = (at.start.saturating_sub(border), at.end.saturating_sub(border));
    [&mut first[start..end], &mut second[next..last]]
}

/// How new cells go over what is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Laying {
    /// In its place.
    Replace,
    /// Together with it.
    Add(fn(i16, i16) -> i16),
}

/// How a packet becomes a few cells longer or shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// Along straight lines between samples.
    Lines,
    /// By one byte left out or said twice: bytes of a law stay as they came.
    Bytes,
}

impl Stretch {
    fn apply(self, cells: &mut Vec<i16>, step: i64) {
        let Some(wanted) = cells.len().checked_add_signed(step as isize).filter(|wanted| *wanted > 0) else { return };
        match self {
            _ if step == 0 || cells.is_empty() => {}
            Self::Lines => {
                let mut to = vec![0; wanted];
                crate::audio::stretch::stretch_into(cells, &mut to);
                *cells = to;
            }
            Self::Bytes => {
                let middle = cells.len() / 2;
                while cells.len() < wanted {
                    cells.insert(middle, cells[middle]);
                }
                while cells.len() > wanted {
                    cells.remove(middle.min(cells.len() - 1));
                }
            }
        }
    }
}
