//! What supervisors say, on its way into a party's packets: one queue for each party that hears it.
//! Above: `bridge` and `generator`, which take as many samples as their packet has. Below: the ring of `TapAudio`.

use std::collections::VecDeque;

use super::command::Sides;
use crate::audio::frame::{FRAME_SAMPLES, Frame};
use crate::audio::mix;

/// Samples waiting for one party at most: 200 ms; the oldest give way.
const CAPACITY: usize = 1_600;

/// Which party of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Sides {
    /// Whether `side` is one of them.
    pub(super) fn has(self, side: Side) -> bool {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }
}

/// The supervisor's voice: a ring that fills both parties' queues at the pace of the faster.
#[derive(Debug)]
pub(super) struct Voice {
    ring: rtrb::Consumer<Frame>,
    heard_by: Sides,
    queues: [Queue; 2],
}

#[derive(Debug)]
struct Queue {
    samples: VecDeque<i16>,
    /// A packet went without, because the queue did not fill it: the next takes what there is.
    was_short: bool,
}

impl Voice {
    /// The voice of a tap, heard by `heard_by`.
    pub(super) fn new(ring: rtrb::Consumer<Frame>, heard_by: Sides) -> Self {
        let queue = || Queue { samples: VecDeque::with_capacity(CAPACITY), was_short: false };
        Self { ring, heard_by, queues: [queue(), queue()] }
    }

    /// Who hears it from now on; nothing said before is heard by anyone.
    pub(super) fn set_heard_by(&mut self, heard_by: Sides) {
        self.heard_by = heard_by;
        self.drop_waiting();
    }

    /// Who hears it.
    pub(super) fn heard_by(&self) -> Sides {
        self.heard_by
    }

    /// Drops what was said and not yet heard.
    pub(super) fn drop_waiting(&mut self) {
        while self.ring.pop().is_ok() {}
        for queue in &mut self.queues {
            queue.samples.clear();
            queue.was_short = false;
        }
    }

    /// Adds the next samples for one party to `total`, and says whether there were any.
    pub(super) fn add_to(&mut self, side: Side, total: &mut [i32]) -> bool {
        if !self.heard_by.has(side) {
            return false;
        }
        while self.queue(side).samples.len() < total.len() {
            let Ok(frame) = self.ring.pop() else { break };
            for (at, queue) in [Side::Left, Side::Right].into_iter().zip(&mut self.queues) {
                if self.heard_by.has(at) {
                    queue.push(&frame);
                }
            }
        }
        self.queue(side).add_to(total)
    }

    fn queue(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Left => &mut self.queues[0],
            Side::Right => &mut self.queues[1],
        }
    }
}

impl Queue {
    fn push(&mut self, frame: &Frame) {
        let over = (self.samples.len() + FRAME_SAMPLES).saturating_sub(CAPACITY);
        self.samples.drain(..over);
        self.samples.extend(frame);
    }

    fn add_to(&mut self, total: &mut [i32]) -> bool {
        let ready = self.samples.len();
        if ready == 0 {
            self.was_short = false;
            return false;
        }
        // A packet is filled whole or left alone once: so packets longer than a frame get no holes in speech.
        if ready < total.len() && !self.was_short {
            self.was_short = true;
            return false;
        }
        self.was_short = false;
        let taken = ready.min(total.len());
        for (sum, sample) in total.iter_mut().zip(self.samples.drain(..taken)) {
            *sum += i32::from(sample);
        }
        true
    }
}

/// Puts a sum of voices over sound, clamped; `sound` is replaced.
pub(super) fn speak_over(total: &mut [i32], sound: &mut [i16]) {
    mix::add(total, sound);
    mix::clamp_into(total, sound);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(heard_by: Sides) -> (rtrb::Producer<Frame>, Voice) {
        let (producer, consumer) = rtrb::RingBuffer::new(50);
        (producer, Voice::new(consumer, heard_by))
    }

    fn taken(voice: &mut Voice, side: Side, samples: usize) -> Vec<i32> {
        let mut total = vec![0; samples];
        let any = voice.add_to(side, &mut total);
        assert!(any || total.iter().all(|&sum| sum == 0));
        total
    }

    #[test]
    fn each_party_hears_every_sample_once() {
        let (mut ring, mut voice) = voice(Sides::BOTH);
        for frame in 1..=4 {
            ring.push([frame; 160]).expect("room");
        }
        assert_eq!(taken(&mut voice, Side::Left, 240), [[1; 80], [1; 80], [2; 80]].concat());
        assert_eq!(taken(&mut voice, Side::Right, 160), [1; 160]);
        assert_eq!(taken(&mut voice, Side::Left, 240), [[2; 80], [3; 80], [3; 80]].concat());
        assert_eq!(taken(&mut voice, Side::Right, 160), [2; 160]);
        assert_eq!(taken(&mut voice, Side::Right, 160), [3; 160]);
        assert_eq!(taken(&mut voice, Side::Right, 160), [4; 160]);
        assert_eq!(taken(&mut voice, Side::Right, 160), [0; 160]);
    }

    #[test]
    fn a_party_that_takes_nothing_does_not_hold_up_the_other() {
        let (mut ring, mut voice) = voice(Sides::BOTH);
        for frame in 0..30 {
            ring.push([frame; 160]).expect("room");
            assert_eq!(taken(&mut voice, Side::Left, 160), [i32::from(frame); 160]);
        }
        assert_eq!(taken(&mut voice, Side::Right, 160), [20; 160], "the last 200 ms");
    }

    #[test]
    fn a_change_of_listener_drops_what_was_said() {
        let (mut ring, mut voice) = voice(Sides::LEFT);
        ring.push([1; 160]).expect("room");
        ring.push([2; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Left, 80), [1; 80]);
        voice.set_heard_by(Sides::RIGHT);
        assert_eq!(taken(&mut voice, Side::Left, 80), [0; 80]);
        assert_eq!(taken(&mut voice, Side::Right, 80), [0; 80]);
        ring.push([3; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Right, 80), [3; 80]);
    }

    #[test]
    fn the_last_samples_are_heard_though_they_do_not_fill_a_packet() {
        let (mut ring, mut voice) = voice(Sides::LEFT);
        ring.push([1; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Left, 240), [0; 240], "more may come");
        assert_eq!(taken(&mut voice, Side::Left, 240)[159..161], [1, 0]);
    }
}
