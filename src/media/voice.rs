//! What supervisors say, on its way into a party's packets: one queue for each party that hears it, and one for other supervisors.
//! Above: `bridge` and `generator`, which take as many samples as their packet has, and `tap`. Below: the ring of `TapAudio`, `audio/steady`.

use std::time::Duration;

use super::clock::Moment;
use super::command::Sides;
use crate::audio::frame::{FRAME_SAMPLES, Frame};
use crate::audio::mix;
use crate::audio::steady::Steady;

/// Samples waiting for one party at most: 200 ms; the oldest give way.
const CAPACITY: usize = 1_600;

/// What comes this soon after somebody new listens was said before: a supervisor's phone keeps up to 66 ms of packets of 20 ms in its
/// jitter buffer, 106 ms of packets of 60 ms.
const ON_ITS_WAY: Duration = Duration::from_millis(110);

/// Which party of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Side {
    /// Both, in the order of everything that there are two of.
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// Its place in a pair.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }
}

impl Sides {
    /// Whether `side` is one of them.
    pub(super) fn has(self, side: Side) -> bool {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }

    /// Those that are in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self { left: self.left && other.left, right: self.right && other.right }
    }
}

/// The supervisor's voice: a ring that fills the queues of all who hear it whenever one of them takes.
#[derive(Debug)]
pub(super) struct Voice {
    ring: rtrb::Consumer<Frame>,
    /// Who hears it.
    reach: Sides,
    queues: [Steady; 2],
    /// What the parties were given, for other supervisors.
    said: Steady,
    /// What comes before was said before the present listeners listened; nothing was before a tap began.
    fresh_from: Option<Moment>,
}

impl Voice {
    /// A voice that nobody hears yet.
    pub(super) fn new(ring: rtrb::Consumer<Frame>) -> Self {
        let queue = || Steady::new(CAPACITY);
        Self { ring, reach: Sides::NONE, queues: [queue(), queue()], said: queue(), fresh_from: None }
    }

    /// Who hears it from now on. Where the party is not the same as before (not in `stay`), or did not hear it before, nothing of
    /// what was said is heard.
    pub(super) fn address(&mut self, reach: Sides, stay: Sides, now: Moment) {
        let known = self.reach.and(stay);
        for (side, queue) in Side::BOTH.into_iter().zip(&mut self.queues) {
            if !(known.has(side) && reach.has(side)) {
                queue.clear();
            }
        }
        if reach.and(known) != reach && self.fresh_from.is_some() {
            // Nor do other supervisors who are there now: this may be another call.
            self.said.clear();
            self.drop_ring();
            self.fresh_from = Some(now.after(ON_ITS_WAY));
        }
        self.reach = reach;
        if reach == Sides::NONE {
            self.drop_waiting();
        }
    }

    /// From here on there is a before: until now nothing can have been said to anyone else.
    pub(super) fn begin(&mut self) {
        self.fresh_from = Some(Moment::default());
    }

    /// Who hears it.
    pub(super) fn reach(&self) -> Sides {
        self.reach
    }

    /// Drops what was said and not yet heard.
    pub(super) fn drop_waiting(&mut self) {
        self.drop_ring();
        self.queues.iter_mut().for_each(Steady::clear);
        self.said.clear();
    }

    /// Adds the next samples for one party to `total`, and says whether there were any.
    pub(super) fn add_to(&mut self, side: Side, total: &mut [i32], now: Moment) -> bool {
        if !self.reach.has(side) {
            return false;
        }
        self.fill_queues(now);
        let queue = &mut self.queues[side.index()];
        let mut any = false;
        for sums in total.chunks_mut(FRAME_SAMPLES) {
            let mut samples = [0; FRAME_SAMPLES];
            let samples = &mut samples[..sums.len()];
            if queue.take(samples) {
                any = true;
                mix::add(sums, samples);
            }
        }
        any
    }

    /// The next 20 ms of what the parties hear, for other supervisors; `false` when that is nothing.
    pub(super) fn take_said(&mut self, frame: &mut Frame) -> bool {
        self.said.take(frame)
    }

    fn fill_queues(&mut self, now: Moment) {
        while let Ok(frame) = self.ring.pop() {
            if self.fresh_from.is_some_and(|from| now < from) {
                continue;
            }
            for (side, queue) in Side::BOTH.into_iter().zip(&mut self.queues) {
                if self.reach.has(side) {
                    queue.push(&frame);
                }
            }
            self.said.push(&frame);
        }
    }

    fn drop_ring(&mut self) {
        while self.ring.pop().is_ok() {}
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

    fn voice(reach: Sides) -> (rtrb::Producer<Frame>, Voice) {
        let (producer, consumer) = rtrb::RingBuffer::new(50);
        let mut voice = Voice::new(consumer);
        voice.address(reach, Sides::NONE, at(0));
        voice.begin();
        (producer, voice)
    }

    fn at(ms: u64) -> Moment {
        Moment::default().after(Duration::from_millis(1_000 + ms))
    }

    fn taken(voice: &mut Voice, side: Side, samples: usize, ms: u64) -> Vec<i32> {
        let mut total = vec![0; samples];
        let any = voice.add_to(side, &mut total, at(ms));
        assert!(any || total.iter().all(|&sum| sum == 0));
        total
    }

    #[test]
    fn each_party_and_the_other_supervisors_hear_every_sample_once() {
        let (mut ring, mut voice) = voice(Sides::BOTH);
        for frame in 1..=4 {
            ring.push([frame; 160]).expect("room");
        }
        assert_eq!(taken(&mut voice, Side::Left, 240, 0), [[1; 80], [1; 80], [2; 80]].concat());
        assert_eq!(taken(&mut voice, Side::Right, 160, 0), [1; 160]);
        assert_eq!(taken(&mut voice, Side::Left, 240, 0), [[2; 80], [3; 80], [3; 80]].concat());
        for frame in 2..=4 {
            assert_eq!(taken(&mut voice, Side::Right, 160, 0), [frame; 160]);
        }
        for frame in 1..=4 {
            let mut said = [0; 160];
            assert!(voice.take_said(&mut said));
            assert_eq!(said, [frame; 160]);
        }
    }

    #[test]
    fn a_party_that_takes_nothing_does_not_hold_up_the_other() {
        let (mut ring, mut voice) = voice(Sides::BOTH);
        for frame in 0..30 {
            ring.push([frame; 160]).expect("room");
            assert_eq!(taken(&mut voice, Side::Left, 160, 0), [i32::from(frame); 160]);
        }
        assert_eq!(taken(&mut voice, Side::Right, 160, 0), [20; 160], "the last 200 ms");
    }

    #[test]
    fn a_new_listener_hears_nothing_of_before_nor_what_was_on_its_way() {
        let (mut ring, mut voice) = voice(Sides::LEFT);
        ring.push([1; 160]).expect("room");
        ring.push([2; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Left, 80, 0), [1; 80]);
        voice.address(Sides::RIGHT, Sides::BOTH, at(0));
        ring.push([3; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Left, 80, 100), [0; 80]);
        assert_eq!(taken(&mut voice, Side::Right, 80, 100), [0; 80]);
        ring.push([4; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Right, 80, 110), [4; 80]);
    }

    #[test]
    fn who_goes_on_listening_misses_nothing_when_the_other_leaves() {
        let (mut ring, mut voice) = voice(Sides::BOTH);
        ring.push([1; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Right, 80, 0), [1; 80]);
        voice.address(Sides::RIGHT, Sides::BOTH, at(0));
        ring.push([2; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Right, 240, 0), [[1; 80], [2; 80], [2; 80]].concat());
        assert_eq!(taken(&mut voice, Side::Left, 160, 0), [0; 160]);
    }

    #[test]
    fn the_last_samples_are_heard_though_they_do_not_fill_a_packet() {
        let (mut ring, mut voice) = voice(Sides::LEFT);
        ring.push([1_000; 160]).expect("room");
        assert_eq!(taken(&mut voice, Side::Left, 240, 0)[..160], [1_000; 160]);
        assert_eq!(taken(&mut voice, Side::Left, 960, 0)[720..], [0; 240], "what follows on it fades");
    }
}
