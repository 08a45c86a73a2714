//! A queue between two beats: frames come early, late or not at all, samples leave at a steady pace and without clicks.
//! Above: `media/voice` and `media/phone`. Below: `conceal` (what did not come), `stretch` (what there is too much of).
//!
//! A take that finds too little is filled with concealment, and what was late then waits behind: so the queue grows to what
//! its lateness needs. What has not been needed for five seconds is played away, 5 % faster. Nothing allocates after `new`.

use std::collections::VecDeque;

use super::conceal::Conceal;
use super::frame::FRAME_SAMPLES;
use super::stretch::stretch_into;

/// Samples taken in one go; longer takes are made of several.
const CHUNK: usize = FRAME_SAMPLES;
/// Samples taken more than played, in a chunk that catches up.
const MOST_EXTRA: usize = CHUNK / 20;
/// How long a window is in which the fewest samples left are looked for: 5 s.
const WINDOW: usize = 40_000;
/// So many samples that were never needed in a window are too many: a frame.
const TOO_MANY: usize = FRAME_SAMPLES;
/// So many of them stay: 5 ms.
const KEPT: usize = 40;

/// A queue of mono samples at 8 kHz.
#[derive(Debug)]
pub struct Steady {
    samples: VecDeque<i16>,
    capacity: usize,
    conceal: Conceal,
    /// Something was heard, and its end is not concealed yet.
    is_sounding: bool,
    /// Fewest samples left after a take of this window.
    least: usize,
    /// Samples taken in this window.
    taken: usize,
    /// Samples still to be played away.
    surplus: usize,
}

impl Steady {
    /// An empty queue that keeps `capacity` samples at most; then the oldest give way.
    pub fn new(capacity: usize) -> Self {
        Self {
            samples: VecDeque::with_capacity(capacity),
            capacity,
            conceal: Conceal::default(),
            is_sounding: false,
            least: usize::MAX,
            taken: 0,
            surplus: 0,
        }
    }

    /// Puts samples at the end; of more than the capacity, the last.
    pub fn push(&mut self, samples: &[i16]) {
        let samples = &samples[samples.len().saturating_sub(self.capacity)..];
        let over = (self.samples.len() + samples.len()).saturating_sub(self.capacity);
        self.samples.drain(..over);
        self.samples.extend(samples);
    }

    /// Writes the next samples over `out`, concealed where they have not come; `false` when that is nothing but silence after an end.
    pub fn take(&mut self, out: &mut [i16]) -> bool {
        let mut any = false;
        for chunk in out.chunks_mut(CHUNK) {
            any |= self.take_chunk(chunk);
        }
        self.look_back(out.len());
        any
    }

    /// Forgets everything: silence follows.
    pub fn clear(&mut self) {
        self.samples.clear();
        self.conceal.reset();
        (self.is_sounding, self.least, self.taken, self.surplus) = (false, usize::MAX, 0, 0);
    }

    /// Samples that wait.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    fn take_chunk(&mut self, out: &mut [i16]) -> bool {
        let extra = self.surplus.min(MOST_EXTRA);
        let ready = self.samples.len();
        if extra > 0 && out.len() == CHUNK && ready >= CHUNK + extra {
            let mut taken = [0; CHUNK + MOST_EXTRA];
            self.pop_into(&mut taken[..CHUNK + extra]);
            stretch_into(&taken[..CHUNK + extra], out);
            self.surplus -= extra;
        } else {
            let count = ready.min(out.len());
            self.pop_into(&mut out[..count]);
        }
        let (heard, missing) = out.split_at_mut(ready.min(out.len()));
        if !heard.is_empty() {
            self.conceal.heard(heard);
            self.is_sounding = true;
        }
        if !missing.is_empty() {
            (self.surplus, self.least) = (0, 0);
            self.fill(missing);
        }
        !heard.is_empty() || self.is_sounding
    }

    fn fill(&mut self, missing: &mut [i16]) {
        if !self.is_sounding {
            return missing.fill(0);
        }
        self.conceal.fill(missing);
        if self.conceal.is_silent() {
            self.conceal.reset();
            self.is_sounding = false;
        }
    }

    fn pop_into(&mut self, out: &mut [i16]) {
        let count = out.len();
        for (out, sample) in out.iter_mut().zip(self.samples.drain(..count)) {
            *out = sample;
        }
    }

    fn look_back(&mut self, taken: usize) {
        self.least = self.least.min(self.samples.len());
        self.taken += taken;
        if self.taken >= WINDOW {
            if self.least >= TOO_MANY {
                self.surplus = self.least - KEPT;
            }
            (self.least, self.taken) = (usize::MAX, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::Oscillator;

    fn queue() -> Steady {
        Steady::new(1_600)
    }

    #[test]
    fn what_comes_in_time_leaves_unchanged() {
        let mut queue = queue();
        for n in 1..=50 {
            queue.push(&[n; 160]);
            let mut out = [0; 160];
            assert!(queue.take(&mut out));
            assert_eq!(out, [n; 160]);
        }
    }

    #[test]
    fn after_the_end_sound_fades_and_then_nothing_is_left() {
        let mut queue = queue();
        queue.push(&[9_000; 160]);
        let mut out = [0; 160];
        assert!(queue.take(&mut out));
        let lasts = (0..10).take_while(|_| queue.take(&mut out)).count();
        assert!((1..=3).contains(&lasts), "{lasts} frames of concealment");
        assert_eq!((queue.take(&mut out), out), (false, [0; 160]));
    }

    #[test]
    fn a_late_frame_is_bridged_without_a_click_and_its_delay_is_played_away() {
        let mut queue = queue();
        let mut oscillator = Oscillator::new([200.0, 0.0], -10.0);
        let mut frame = [0; 160];
        let (mut heard, mut left) = (Vec::new(), Vec::new());
        for n in 0..1_000 {
            if n != 100 {
                oscillator.fill(&mut frame);
                queue.push(&frame);
            }
            if n == 101 {
                oscillator.fill(&mut frame); // the late one, with the next
                queue.push(&frame);
            }
            let mut out = [0; 160];
            assert!(queue.take(&mut out), "no hole");
            heard.extend(out);
            left.push(queue.len());
        }
        let steepest = heard.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max();
        assert!(steepest < Some(4_000), "no click: {steepest:?}");
        assert_eq!((left[99], left[110]), (0, 160));
        assert!(left[999] <= 48, "{} samples still wait", left[999]);
    }

    #[test]
    fn too_much_at_once_costs_the_oldest() {
        let mut queue = queue();
        for n in 0..30 {
            queue.push(&[n; 160]);
        }
        let mut out = [0; 160];
        assert!(queue.take(&mut out));
        assert_eq!((out, queue.len()), ([20; 160], 1_440));
    }
}
