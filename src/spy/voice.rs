//! The supervisor's voice on its way to the call: whatever pieces come in, one frame leaves at each beat of the call.
//! Above: `session` asks once a heard frame. Below: `input` and `device` bring samples. Pure.

use std::collections::VecDeque;

use super::sound::RATE_HZ;
use crate::control::supervision::{FRAME_SAMPLES, VoiceFrame};

/// The longest start that is ever waited for: 200 ms.
const MOST_WAITING: usize = RATE_HZ as usize / 5;
/// More than this is never kept, so that a session in listen mode does not save up speech: 400 ms.
const ROOM: usize = 2 * MOST_WAITING;

/// Samples of a millisecond.
const PER_MS: f64 = RATE_HZ as f64 / 1_000.0;

/// A queue that waits for a little more before it starts each time it has run dry, so that a source which brings large pieces does not stutter.
#[derive(Debug)]
pub struct VoiceQueue {
    samples: VecDeque<i16>,
    /// Samples to gather before speech starts.
    start_at: usize,
    speaking: bool,
    ended: bool,
}

impl Default for VoiceQueue {
    fn default() -> Self {
        Self { samples: VecDeque::with_capacity(ROOM), start_at: FRAME_SAMPLES, speaking: false, ended: false }
    }
}

impl VoiceQueue {
    /// How many more samples are taken now; the rest waits at the source.
    pub fn room(&self) -> usize {
        ROOM.saturating_sub(self.samples.len())
    }

    /// Takes samples at 8 kHz.
    pub fn push(&mut self, samples: &[i16]) {
        self.samples.extend(samples);
    }

    /// Whether the last beat was speech; a queue that is only gathering says nothing about its source's clock.
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// What waits, ms.
    pub fn waiting_ms(&self) -> f64 {
        self.samples.len() as f64 / PER_MS
    }

    /// Drops the oldest of what waits, down to so many ms.
    pub fn keep_ms(&mut self, keep_ms: f64) {
        let keep = (keep_ms * PER_MS) as usize;
        let cut = self.samples.len().saturating_sub(keep);
        self.samples.drain(..cut);
    }

    /// The source has ended: what is there goes out, then silence.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Drops what waits; speech starts anew with what comes next.
    pub fn clear(&mut self) {
        self.samples.clear();
        self.speaking = false;
    }

    /// The frame for this beat; `None` is silence.
    pub fn take(&mut self) -> Option<VoiceFrame> {
        let waiting = self.samples.len();
        if waiting == 0 && self.ended {
            return None;
        }
        if waiting < FRAME_SAMPLES && !self.ended {
            if self.speaking {
                // It ran dry: this source needs a longer start.
                self.speaking = false;
                self.start_at = (self.start_at + FRAME_SAMPLES).min(MOST_WAITING);
            }
            return None;
        }
        if !self.speaking && waiting < self.start_at && !self.ended {
            return None;
        }
        self.speaking = true;
        let mut frame = [0; FRAME_SAMPLES];
        for (to, from) in frame.iter_mut().zip(self.samples.drain(..waiting.min(FRAME_SAMPLES))) {
            *to = from;
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_leaves_for_each_frame_that_came() {
        let mut queue = VoiceQueue::default();
        assert_eq!(queue.take(), None);
        queue.push(&[5; 160]);
        assert_eq!(queue.take(), Some([5; 160]));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn a_source_of_large_pieces_stops_stuttering_after_a_while() {
        // A sound card that brings 125 ms at a time; a beat is 20 ms.
        let mut queue = VoiceQueue::default();
        let (mut gaps_early, mut gaps_late, mut came) = (0, 0, 0);
        for beat in 0..1_500 {
            while came + 125 <= beat * 20 {
                queue.push(&[1; 1_000]);
                came += 125;
            }
            let gap = queue.take().is_none();
            if beat < 500 { gaps_early += usize::from(gap) } else { gaps_late += usize::from(gap) }
        }
        assert!(gaps_early > 0);
        assert_eq!(gaps_late, 0);
    }

    #[test]
    fn the_end_plays_what_is_left_and_then_is_silence() {
        let mut queue = VoiceQueue::default();
        queue.push(&[9; 200]);
        queue.end();
        assert_eq!(queue.take(), Some([9; 160]));
        let last = queue.take().expect("the rest");
        assert_eq!((&last[..40], &last[40..]), (&[9; 40][..], &[0; 120][..]));
        assert_eq!(queue.take(), None);
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn nothing_of_before_a_clear_is_said_after_it() {
        let mut queue = VoiceQueue::default();
        queue.push(&[7; 1_000]);
        queue.clear();
        queue.push(&[8; 160]);
        assert_eq!((queue.take(), queue.take()), (Some([8; 160]), None));
    }

    #[test]
    fn a_full_queue_has_no_room() {
        let mut queue = VoiceQueue::default();
        assert_eq!(queue.room(), 3_200);
        queue.push(&[0; 3_200]);
        assert_eq!(queue.room(), 0);
    }
}
