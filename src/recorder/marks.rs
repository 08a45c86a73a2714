//! What the listener of a recording must know beside its sound: gaps, pauses, masks. Pure. Above: `session`.

use std::ops::Range;

use super::line::Line;
use super::order::{Gap, MOST_GAPS, Side, Span, Why};
use super::rate::Rate;

/// The lists of one recording, and what of them is open.
#[derive(Debug)]
pub(super) struct Marks {
    rate: Rate,
    gaps: Vec<Gap>,
    pauses: Vec<Span>,
    masks: Vec<Range<i64>>,
    paused_from: Option<i64>,
    masked_from: Option<i64>,
    /// Cells cut out so far.
    cut: i64,
}

impl Marks {
    /// None yet, in a recording of a rate.
    pub(super) fn new(rate: Rate) -> Self {
        let (gaps, pauses, masks) = (Vec::new(), Vec::new(), Vec::new());
        Self { rate, gaps, pauses, masks, paused_from: None, masked_from: None, cut: 0 }
    }

    /// Cells that pauses have cut out so far.
    pub(super) fn cut(&self) -> i64 {
        self.cut
    }

    /// A place, but none after the pause that lasts.
    pub(super) fn clip(&self, place: i64) -> i64 {
        self.paused_from.map_or(place, |from| place.min(from))
    }

    /// Begins a pause; `false` when there is one.
    pub(super) fn pause(&mut self, at: i64) -> bool {
        let is_new = self.paused_from.is_none();
        self.paused_from.get_or_insert(at);
        is_new
    }

    /// Ends a pause; where it was and how many cells it cut out.
    pub(super) fn resume(&mut self, at: i64) -> Option<(i64, i64)> {
        let from = self.paused_from.take()?;
        let cut = (at - from).max(0);
        self.cut += cut;
        self.pauses.push(Span { from_ms: self.rate.ms(from), ms: self.rate.ms(cut) });
        // What was masked meanwhile is cut out.
        self.masked_from = self.masked_from.map(|masked| if masked > from { (masked - cut).max(from) } else { masked });
        Some((from, cut))
    }

    /// Begins silence.
    pub(super) fn mask(&mut self, at: i64) {
        self.masked_from.get_or_insert(at);
    }

    /// Ends silence.
    pub(super) fn unmask(&mut self, at: i64) {
        let at = self.clip(at);
        if let Some(from) = self.masked_from.take().filter(|from| *from < at) {
            self.masks.push(from..at);
        }
    }

    /// The stretches of one that are to be silent.
    pub(super) fn masks_within(&self, within: Range<i64>) -> impl Iterator<Item = Range<i64>> + '_ {
        let open = self.masked_from.map(|from| from..i64::MAX);
        let clip = move |mask: Range<i64>| mask.start.max(within.start)..mask.end.min(within.end);
        // The newest are last, and few.
        self.masks.iter().cloned().chain(open).map(clip).filter(|mask| mask.start < mask.end)
    }

    /// Silences what of a packet that arrived at a place came under a mask, wherever its time stamp lays it.
    pub(super) fn silence(&self, arrived: i64, cells: &mut [i16], silence: i16) {
        let start = arrived - cells.len() as i64;
        for mask in self.masks_within(start..arrived) {
            cells[(mask.start - start) as usize..(mask.end - start) as usize].fill(silence); // within
        }
    }

    /// Notes a gap.
    pub(super) fn gap(&mut self, sides: &[Side], at: Range<i64>, why: Why) {
        for &side in sides {
            let (from_ms, end_ms) = (self.rate.ms(at.start), self.rate.ms(at.end));
            // One that goes on where the last of its kind ended makes that longer.
            let last = self.gaps.iter_mut().rfind(|last| last.side == side);
            if let Some(last) = last.filter(|last| last.why == why && last.from_ms + last.ms == from_ms) {
                last.ms = end_ms - last.from_ms;
            } else if end_ms > from_ms && self.gaps.len() < MOST_GAPS {
                self.gaps.push(Gap { side, from_ms, ms: end_ms - from_ms, why });
            }
        }
    }

    /// Notes what is missing on a track for good.
    pub(super) fn collect(&mut self, side: Side, line: &mut Line) {
        for hole in line.take_gone() {
            self.gap(&[side], hole.at, hole.why);
        }
    }

    /// Ends what is open.
    pub(super) fn finish(&mut self, at: i64) {
        self.unmask(at);
        self.resume(at);
    }

    /// Gaps, pauses and masks.
    pub(super) fn into_lists(self) -> (Vec<Gap>, Vec<Span>, Vec<Span>) {
        let rate = self.rate;
        let span = |mask: &Range<i64>| {
            let from_ms = rate.ms(mask.start);
            Span { from_ms, ms: rate.ms(mask.end) - from_ms }
        };
        let masks = self.masks.iter().map(span).collect();
        (self.gaps, self.pauses, masks)
    }
}
