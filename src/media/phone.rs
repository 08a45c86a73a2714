//! A supervisor's phone: what the supervisor hears as a steady stream for its peer, and what its peer says as steady frames.
//! Above: `generator` (the beat), `board` (packets), `desk` (commands). Below: `ear` (jitter), `guard` (keys), `audio/steady`. The other ends are a tap's.

use super::board::{Board, Seat};
use super::clock::{Moment, SLOTS_PER_TICK, Slot};
use super::command::{EarFrame, PortId};
use super::ear::Ear;
use super::guard::Guard;
use super::port::Route;
use crate::audio::frame::{FRAME_SAMPLES, Frame, SILENCE};
use crate::audio::mix;
use crate::audio::steady::Steady;
use crate::rtp::packet::Header;
use crate::rtp::telephone_event::Press;

/// Samples that may wait for the peer's next packet: its own 60 ms and 60 ms more.
const CAPACITY: usize = 960;
/// So many slots a packet waits for a late frame: 15 ms. The packets after it are then later too, and the frames in time.
const PATIENCE_SLOTS: u32 = 3;
/// A phone further behind than this has lost its beat for good: 2 s.
const MOST_BEHIND: u64 = 400;

/// What makes a port a supervisor's phone.
#[derive(Debug)]
pub(super) struct Phone {
    heard: rtrb::Consumer<EarFrame>,
    voice: rtrb::Producer<Frame>,
    /// What was heard and has not been sent yet.
    queue: Steady,
    /// Nothing is to be waited for: nothing came for some time.
    is_dry: bool,
    /// Slots that the next packet has waited.
    waited: u32,
    /// What the peer says.
    ear: Ear,
    /// What takes the tones of keys out of it.
    guard: Guard,
    /// When the next frame of it is due.
    due: Slot,
}

impl Board {
    /// Makes a port a supervisor's phone.
    pub(super) fn supervise(&mut self, id: PortId, heard: rtrb::Consumer<EarFrame>, voice: rtrb::Producer<Frame>) {
        let Some(seat) = self.seat_of(id) else { return };
        self.stand_alone(seat);
        if let Some(port) = self.port_mut(seat) {
            port.stop_playing();
            port.hold = None;
            port.phone = Some(Box::new(Phone::new(heard, voice)));
        }
        self.set_route(seat, Route::Supervising);
    }

    /// Makes a supervisor's phone a port like any other.
    pub(super) fn stop_supervising(&mut self, id: PortId) {
        if let Some(seat) = self.seat_of(id) {
            self.end_supervising(seat);
        }
    }

    /// Ends the supervising of a port, if it does.
    pub(super) fn end_supervising(&mut self, seat: Seat) {
        if self.port_mut(seat).and_then(|port| port.phone.take()).is_some() {
            self.set_route(seat, Route::Alone);
        }
    }
}

impl Phone {
    fn new(heard: rtrb::Consumer<EarFrame>, voice: rtrb::Producer<Frame>) -> Self {
        Self {
            heard,
            voice,
            queue: Steady::new(CAPACITY),
            is_dry: true,
            waited: 0,
            ear: Ear::default(),
            guard: Guard::default(),
            due: Slot::default(),
        }
    }

    /// Whether a packet of `samples` can be filled now, or need not wait any longer; `volume` is in Asterisk's steps.
    pub(super) fn is_ready(&mut self, samples: usize, volume: i8) -> bool {
        self.fetch(volume);
        let is_full = self.queue.len() >= samples;
        self.is_dry &= !is_full;
        if is_full || self.is_dry {
            self.waited = 0;
            return true;
        }
        self.waited += 1;
        self.is_dry = self.waited > PATIENCE_SLOTS;
        self.is_dry
    }

    /// Writes the next samples that the peer hears; silence where there are none.
    pub(super) fn next(&mut self, out: &mut [i16]) {
        self.queue.take(out);
    }

    /// Samples that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Passes over samples that are not sent, because something else is.
    pub(super) fn skip(&mut self, samples: usize) {
        let mut passed = SILENCE;
        for left in (0..samples).step_by(FRAME_SAMPLES) {
            self.queue.take(&mut passed[..(samples - left).min(FRAME_SAMPLES)]);
        }
    }

    /// Takes the samples of a packet that the peer sent; gives back a key whose tones ended in it.
    pub(super) fn take(&mut self, header: &Header, samples: &[i16], now: Moment) -> Option<Press> {
        self.guard.take(&mut self.ear, header, samples, now)
    }

    /// The peer pressed a key by a telephone-event.
    pub(super) fn note_event(&mut self) {
        self.guard.note_event();
    }

    /// Says what the peer says, whenever a frame of it is due; gives back a key whose tones were the last thing it sent.
    pub(super) fn speak(&mut self, slot: Slot) -> Option<Press> {
        if slot.0.saturating_sub(self.due.0) > MOST_BEHIND {
            self.due = slot;
        }
        while self.due <= slot {
            let mut frame = SILENCE;
            let delay = self.ear.wanted_delay() + self.guard.look_ahead();
            self.ear.listen(self.due.start(), delay, &mut frame);
            // A tap that does not take has no use for it later.
            let _ = self.voice.push(frame);
            self.due = self.due.after(SLOTS_PER_TICK);
        }
        self.guard.watch(slot.start())
    }

    fn fetch(&mut self, volume: i8) {
        // Of what gathered before anybody listened, the last is enough.
        while self.is_dry && self.heard.slots() > 1 {
            let _ = self.heard.pop();
        }
        while let Ok(frame) = self.heard.pop() {
            let mut total = [0; FRAME_SAMPLES];
            for part in frame.chunks_exact(FRAME_SAMPLES) {
                mix::add(&mut total, part);
            }
            total.iter_mut().for_each(|sum| *sum = louder(*sum, volume));
            let mut mixed = SILENCE;
            mix::clamp_into(&total, &mut mixed);
            self.queue.push(&mixed);
        }
    }
}

/// A sample as loud as Asterisk's ChanSpy makes it: times `steps`, or divided by `-steps`; 1 and −1 change nothing.
fn louder(sample: i32, steps: i8) -> i32 {
    match steps {
        0 => sample,
        1.. => sample.saturating_mul(steps.into()),
        _ => sample / -i32::from(steps),
    }
}
