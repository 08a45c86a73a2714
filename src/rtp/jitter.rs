//! The jitter buffer: packets go in as they arrive, samples come out on a steady beat, any number at a time.
//! It works on time stamps, so packets of any length, order or number fit. Above: `media/tap`.
//!
//! A packet's *transit* is its arrival less the time stamp after its last sample. The least transit of the last
//! seconds is the path without jitter; what is played at an instant is what the path without jitter would have
//! brought one `delay` earlier. Two buffers played with one delay are therefore aligned, whatever their packet
//! times and jitter. Drift moves the least transit; the buffer follows by a few samples a frame.

use super::packet::Header;
use super::sequence;
use crate::audio::stretch::stretch_into;

/// Samples kept: 512 ms at 8 kHz.
const CAPACITY: usize = 4_096;
/// Bits in one word of the map of filled samples.
const WORD: usize = 64;
/// Samples played in one go; longer pulls are made of several.
const CHUNK: usize = 160;
/// Most samples read more or less than played in a chunk, to follow a drift.
const MAX_STRETCH: usize = 8;
/// Being off by this many samples or fewer is left alone: 0.375 ms.
const DEAD_BAND: i64 = 3;
/// Being off by more than this is put right at once: 20 ms.
const JUMP: i64 = 160;
/// A transit this far from the known ones is another clock: 2 s.
const NEW_CLOCK: i64 = 16_000;
/// So many late packets in a row are another clock as well.
const LATE_IN_A_ROW: u32 = 8;
/// How long a window of transits lasts: 2 s.
const WINDOW: i64 = 16_000;
/// Least and greatest allowance for jitter: 8 ms and 300 ms.
const MARGIN: std::ops::RangeInclusive<i64> = 64..=2_400;

/// A stretch of samples that is being played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// These samples were received.
    Heard,
    /// These are missing: the slice is to be filled.
    Missing,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It will be played, at least in part.
    Kept,
    /// Its time has passed.
    Late,
    /// It began a new source or clock: what was buffered is gone.
    Restarted,
}

/// A jitter buffer of one stream. All times are in samples of 8 kHz.
#[derive(Debug)]
pub struct JitterBuffer {
    ring: Box<[i16; CAPACITY]>,
    filled: [u64; CAPACITY / WORD],
    ssrc: Option<u32>,
    /// Unwrapped time stamp after the newest sample.
    end: i64,
    /// Unwrapped time stamp of the next sample to play.
    position: Option<i64>,
    /// Samples of the last packet.
    packet: i64,
    transits: Transits,
    late_in_a_row: u32,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self {
            ring: Box::new([0; CAPACITY]),
            filled: [0; CAPACITY / WORD],
            ssrc: None,
            end: 0,
            position: None,
            packet: CHUNK as i64,
            transits: Transits::default(),
            late_in_a_row: 0,
        }
    }
}

impl JitterBuffer {
    /// Takes the samples of a packet that arrived at `now`.
    pub fn insert(&mut self, now: i64, header: &Header, samples: &[i16]) -> Inserted {
        let samples = &samples[..samples.len().min(CAPACITY / 2)];
        let length = samples.len() as i64;
        let start = sequence::unwrap_timestamp(self.end, header.timestamp);
        let transit = now - (start + length);
        let restarted = self.ssrc != Some(header.ssrc) || self.is_other_clock(transit, start + length);
        if restarted {
            self.clear();
            self.ssrc = Some(header.ssrc);
            self.end = start + length;
        }
        self.packet = length.max(1);
        self.transits.note(now, transit);
        let late = self.position.map_or(0, |position| (position - start).max(0));
        if late >= length {
            self.late_in_a_row += 1;
            return Inserted::Late;
        }
        self.late_in_a_row = 0;
        self.end = self.end.max(start + length);
        self.store(start + late, &samples[late as usize..]); // 0 ≤ late < length
        if restarted { Inserted::Restarted } else { Inserted::Kept }
    }

    /// How long after the path without jitter samples should be played, for pulls of `pull` samples.
    pub fn wanted_delay(&self, pull: usize) -> i64 {
        let margin = (self.transits.spread() * 5 / 4 + 40).clamp(*MARGIN.start(), *MARGIN.end());
        pull as i64 + self.packet + margin
    }

    /// Plays samples at `now`, `delay` behind the path without jitter. `fill` is shown each run in turn and fills the missing ones.
    pub fn pull(&mut self, now: i64, delay: i64, out: &mut [i16], mut fill: impl FnMut(Run, &mut [i16])) {
        let Some(path) = self.transits.least() else {
            fill(Run::Missing, out);
            return;
        };
        for (at, chunk) in out.chunks_mut(CHUNK).enumerate() {
            let target = now + (at * CHUNK) as i64 - path - delay;
            let stretch = self.follow(target, chunk.len());
            let read = chunk.len().saturating_add_signed(stretch);
            let mut taken = [0i16; CHUNK + MAX_STRETCH];
            self.take(&mut taken[..read], &mut fill);
            if stretch == 0 {
                chunk.copy_from_slice(&taken[..read]);
            } else {
                stretch_into(&taken[..read], chunk);
            }
        }
    }

    /// Changes the samples that wait, from the time stamp `from` to before `until`; only their low 32 bits count. `change` is given
    /// each one's time stamp and the sample.
    pub fn edit(&mut self, from: i64, until: i64, mut change: impl FnMut(i64, i16) -> i16) {
        let shift = sequence::unwrap_timestamp(self.end, from as u32) - from; // the low 32 bits, on purpose
        let oldest = (self.end - CAPACITY as i64).max(self.position.unwrap_or(i64::MIN));
        for at in (from + shift).max(oldest)..(until + shift).min(self.end) {
            if self.is_filled(at) {
                self.ring[index(at)] = change(at - shift, self.ring[index(at)]);
            }
        }
    }

    /// Forgets what is buffered; the next packet begins anew.
    pub fn clear(&mut self) {
        self.filled = [0; CAPACITY / WORD];
        self.ssrc = None;
        self.position = None;
        self.transits = Transits::default();
        self.late_in_a_row = 0;
    }

    fn is_other_clock(&self, transit: i64, end: i64) -> bool {
        let far = self.transits.least().is_some_and(|least| (transit - least).abs() > NEW_CLOCK);
        let beyond = self.position.is_some_and(|position| end - position > CAPACITY as i64);
        far || beyond || self.late_in_a_row >= LATE_IN_A_ROW
    }

    /// Moves towards `target` and returns how many samples to read more (or fewer) than are played.
    fn follow(&mut self, target: i64, length: usize) -> isize {
        let off = self.position.map_or(i64::MAX, |position| target - position);
        if off.abs() > JUMP || self.position.is_none() {
            self.jump(target.max(self.end - CAPACITY as i64));
            return 0;
        }
        if off.abs() <= DEAD_BAND || length <= MAX_STRETCH {
            return 0;
        }
        let step = (off.abs() / 16).clamp(1, MAX_STRETCH as i64) as isize;
        if off > 0 { step } else { -step }
    }

    fn jump(&mut self, to: i64) {
        if let Some(from) = self.position.replace(to)
            && to > from
        {
            let passed = (to - from).min(CAPACITY as i64) as usize; // 1 to CAPACITY
            self.unmark(from, passed);
        }
    }

    fn store(&mut self, start: i64, samples: &[i16]) {
        let mut rest = samples;
        for (first, length) in pieces(start, samples.len()) {
            let (now, later) = rest.split_at(length);
            self.ring[first..first + length].copy_from_slice(now);
            each_word(first, length, |word, mask| self.filled[word] |= mask);
            rest = later;
        }
    }

    /// Reads on from the position, forgetting what is read.
    fn take(&mut self, out: &mut [i16], fill: &mut impl FnMut(Run, &mut [i16])) {
        let start = self.position.unwrap_or(0);
        let mut rest = out;
        let mut at = start;
        while !rest.is_empty() {
            let heard = self.is_filled(at);
            let run = self.run(at, rest.len());
            let (samples, after) = rest.split_at_mut(run);
            if heard {
                self.read(at, samples);
                self.unmark(at, run);
            }
            fill(if heard { Run::Heard } else { Run::Missing }, samples);
            at += run as i64;
            rest = after;
        }
        self.position = Some(at);
    }

    fn is_filled(&self, at: i64) -> bool {
        let index = index(at);
        self.filled[index / WORD] >> (index % WORD) & 1 == 1
    }

    /// How many of the next `most` samples are filled, or not, like the first.
    fn run(&self, at: i64, most: usize) -> usize {
        let heard = self.is_filled(at);
        let mut count = 0;
        while count < most {
            let index = index(at + count as i64);
            let (word, left) = (self.filled[index / WORD], WORD - index % WORD);
            let other = (if heard { !word } else { word }) >> (index % WORD);
            let alike = (other.trailing_zeros() as usize).min(left);
            count += alike;
            if alike < left {
                break;
            }
        }
        count.min(most)
    }

    fn read(&self, at: i64, out: &mut [i16]) {
        let mut rest = out;
        for (first, length) in pieces(at, rest.len()) {
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(&self.ring[first..first + length]);
            rest = later;
        }
    }

    fn unmark(&mut self, at: i64, length: usize) {
        for (first, length) in pieces(at, length) {
            each_word(first, length, |word, mask| self.filled[word] &= !mask);
        }
    }
}

/// Where `length` samples from a time stamp on are in the ring: up to its end, and from its beginning on.
fn pieces(at: i64, length: usize) -> [(usize, usize); 2] {
    let first = index(at);
    let before_end = length.min(CAPACITY - first);
    [(first, before_end), (0, length - before_end)]
}

/// The words of the map that hold a stretch of the ring, with a bit for each sample of it.
fn each_word(first: usize, length: usize, mut act: impl FnMut(usize, u64)) {
    let (mut at, end) = (first, first + length);
    while at < end {
        let bit = at % WORD;
        let count = (WORD - bit).min(end - at);
        act(at / WORD, (u64::MAX >> (WORD - count)) << bit);
        at += count;
    }
}

fn index(at: i64) -> usize {
    at.rem_euclid(CAPACITY as i64) as usize // 0 ≤ … < CAPACITY
}

/// Least and greatest transit of the last two to four seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Transits {
    present: Option<Extremes>,
    before: Option<Extremes>,
    /// When the present window began.
    since: i64,
}

#[derive(Clone, Copy, Debug)]
struct Extremes {
    least: i64,
    greatest: i64,
}

impl Transits {
    fn note(&mut self, now: i64, transit: i64) {
        let new = Extremes { least: transit, greatest: transit };
        let Some(present) = &mut self.present else {
            (self.present, self.since) = (Some(new), now);
            return;
        };
        if now - self.since > WINDOW {
            (self.before, self.since) = (Some(*present), now);
            *present = new;
        }
        present.least = present.least.min(transit);
        present.greatest = present.greatest.max(transit);
    }

    fn least(&self) -> Option<i64> {
        let present = self.present?.least;
        Some(self.before.map_or(present, |before| before.least.min(present)))
    }

    fn spread(&self) -> i64 {
        let greatest = self.present.into_iter().chain(self.before).map(|window| window.greatest).max();
        greatest.unwrap_or(0) - self.least().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
