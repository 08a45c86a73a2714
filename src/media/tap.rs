//! A supervisor at a bridge: what both parties say, through jitter buffers and concealment, as a steady beat of stereo frames.
//! Above: `board`, which shows it packets and beats. Below: `ear`, `voice`.

use tokio::sync::mpsc;

use super::board::Seat;
use super::clock::{Moment, Slot};
use super::command::{Event, Sides, TapAudio, TapId};
use super::ear::Ear;
use super::voice::{Side, Voice};
use crate::audio::frame::FRAME_SAMPLES;
use crate::rtp::packet::Header;

/// Voice that nobody took for this long is dropped, in ms: it would come too late.
const STALE_MS: u128 = 200;

/// A tap's state.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) id: TapId,
    /// The ports it is on: left, right.
    pub(super) seats: [Seat; 2],
    /// When its next frame is due.
    pub(super) due: Slot,
    /// What its supervisor says.
    pub(super) voice: Voice,
    /// When its voice was taken last.
    pub(super) voice_at: Moment,
    hears: Sides,
    ears: [Ear; 2],
    out: rtrb::Producer<[i16; 2 * FRAME_SAMPLES]>,
    events: mpsc::Sender<Event>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The supervisor has it.
    Given,
    /// The supervisor does not keep up.
    Dropped,
    /// The supervisor has gone.
    Abandoned,
}

impl Tap {
    /// A tap on two ports, with its first frame due at `due`.
    pub(super) fn new(
        id: TapId,
        seats: [Seat; 2],
        (hears, heard_by): (Sides, Sides),
        audio: TapAudio,
        due: Slot,
    ) -> Self {
        Self {
            id,
            seats,
            due,
            voice: Voice::new(audio.voice, heard_by),
            voice_at: due.start(),
            hears,
            ears: Default::default(),
            out: audio.out,
            events: audio.events,
        }
    }

    /// Changes who hears whom: at once, and without anything from before.
    pub(super) fn set(&mut self, hears: Sides, heard_by: Sides) {
        for (side, ear) in [Side::Left, Side::Right].into_iter().zip(&mut self.ears) {
            if hears.has(side) != self.hears.has(side) {
                ear.forget();
            }
        }
        self.hears = hears;
        self.voice.set_heard_by(heard_by);
    }

    /// Takes the samples of a packet that `side`'s party sent.
    pub(super) fn show(&mut self, side: Side, header: &Header, samples: &[i16], now: Moment) {
        if self.hears.has(side) {
            self.ear(side).take(header, samples, now);
        }
    }

    /// Drops what is buffered of a party: it is on hold.
    pub(super) fn forget(&mut self, side: Side) {
        self.ear(side).forget();
    }

    /// Gives the supervisor the frame that is due at `now`.
    pub(super) fn give(&mut self, now: Moment) -> Frame {
        if self.voice.heard_by() == Sides::NONE || now.since(self.voice_at).as_millis() > STALE_MS {
            self.voice.drop_waiting();
        }
        // One delay for both sides keeps them aligned.
        let delay = self.ears.iter().map(Ear::wanted_delay).max().unwrap_or(0);
        let mut frame = [0; 2 * FRAME_SAMPLES];
        for (ear, half) in self.ears.iter_mut().zip(frame.chunks_exact_mut(FRAME_SAMPLES)) {
            ear.listen(now, delay, half);
        }
        match self.out.push(frame) {
            Ok(()) => Frame::Given,
            Err(_) if self.out.is_abandoned() => Frame::Abandoned,
            Err(_) => Frame::Dropped,
        }
    }

    /// Tells the supervisor that it is over.
    pub(super) fn end(&self) {
        let _ = self.events.try_send(Event::TapEnded { tap: self.id });
    }

    fn ear(&mut self, side: Side) -> &mut Ear {
        match side {
            Side::Left => &mut self.ears[0],
            Side::Right => &mut self.ears[1],
        }
    }
}
