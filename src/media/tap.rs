//! A supervisor at a call: what both parties say, through jitter buffers and concealment, and what other supervisors say, as a
//! steady beat of frames, whatever becomes of the ports. Above: `supervision`, which shows it packets and beats. Below: `ear`, `voice`.

use tokio::sync::mpsc;

use super::board::Seat;
use super::clock::{Moment, Slot};
use super::command::{EarFrame, Event, PortId, Sides, TapAudio, TapId};
use super::ear::Ear;
use super::voice::{Side, Voice};
use crate::audio::frame::{FRAME_SAMPLES, Frame, SILENCE};
use crate::rtp::packet::Header;

/// Voice that nobody took for this long is dropped, in ms: it would come too late.
const STALE_MS: u128 = 200;

/// A tap's state.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) id: TapId,
    /// The ports it is to be on: left, right.
    pub(super) ports: [Option<PortId>; 2],
    /// Their seats, as far as they are here.
    pub(super) seats: [Option<Seat>; 2],
    /// When its next frame is due.
    pub(super) due: Slot,
    /// What its supervisor says.
    pub(super) voice: Voice,
    /// When its voice was taken last.
    pub(super) voice_at: Moment,
    /// Whom the supervisor hears.
    pub(super) hears: Sides,
    heard_by: Sides,
    /// What it says to other supervisors in this tick, if it says anything.
    saying: Frame,
    is_saying: bool,
    ears: [Ear; 2],
    out: rtrb::Producer<EarFrame>,
    events: mpsc::Sender<Event>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// The supervisor has it.
    Taken,
    /// The supervisor does not keep up.
    Dropped,
    /// The supervisor has gone.
    Abandoned,
}

impl Tap {
    /// A tap on no port yet, with its first frame due at `due`.
    pub(super) fn new(id: TapId, (hears, heard_by): (Sides, Sides), audio: TapAudio, due: Slot) -> Self {
        Self {
            id,
            ports: [None; 2],
            seats: [None; 2],
            due,
            voice: Voice::new(audio.voice),
            voice_at: due.start(),
            hears,
            heard_by,
            saying: SILENCE,
            is_saying: false,
            ears: Default::default(),
            out: audio.out,
            events: audio.events,
        }
    }

    /// Changes who hears whom: at once, and without anything from before.
    pub(super) fn set(&mut self, (hears, heard_by): (Sides, Sides), now: Moment) {
        for (side, ear) in Side::BOTH.into_iter().zip(&mut self.ears) {
            if hears.has(side) != self.hears.has(side) {
                ear.forget();
            }
        }
        (self.hears, self.heard_by) = (hears, heard_by);
        self.address(Sides::BOTH, now);
    }

    /// Puts it on other ports; what it hears of a port that stays goes on.
    pub(super) fn place(&mut self, ports: [Option<PortId>; 2], seats: [Option<Seat>; 2], now: Moment) {
        let stays = [0, 1].map(|side| ports[side].is_some() && ports[side] == self.ports[side]);
        for (ear, _) in self.ears.iter_mut().zip(stays).filter(|(_, stays)| !stays) {
            ear.forget();
        }
        (self.ports, self.seats) = (ports, seats);
        self.address(Sides { left: stays[0], right: stays[1] }, now);
    }

    /// Takes it off a port that is no longer here, and tells its supervisor.
    pub(super) fn lose(&mut self, side: Side, now: Moment) {
        self.seats[side.index()] = None;
        self.ears[side.index()].forget();
        self.address(Sides::BOTH, now);
        self.tell_empty();
    }

    /// Tells its supervisor that a side is empty.
    pub(super) fn tell_empty(&self) {
        let _ = self.events.try_send(Event::SideEmpty { tap: self.id });
    }

    /// Whether the peer of the port on that side hears the supervisor.
    pub(super) fn reaches(&self, side: Side) -> bool {
        self.voice.reach().has(side)
    }

    /// Takes the samples of a packet that `side`'s party sent.
    pub(super) fn show(&mut self, side: Side, header: &Header, samples: &[i16], now: Moment) {
        if self.hears.has(side) {
            self.ears[side.index()].take(header, samples, now);
        }
    }

    /// Drops what is buffered of a party: it is on hold.
    pub(super) fn forget(&mut self, side: Side) {
        self.ears[side.index()].forget();
    }

    /// Takes 20 ms of what it says to its parties, for other supervisors.
    pub(super) fn speak(&mut self, now: Moment) {
        if self.voice.reach() == Sides::NONE || now.since(self.voice_at).as_millis() > STALE_MS {
            self.voice.drop_waiting();
        }
        self.is_saying = self.voice.take_said(&mut self.saying);
    }

    /// What it says in this tick.
    pub(super) fn saying(&self) -> Option<&Frame> {
        self.is_saying.then_some(&self.saying)
    }

    /// Gives the supervisor the frame of `now`; `others` say that.
    pub(super) fn give(&mut self, others: &Frame, now: Moment) -> Given {
        // One delay for both sides keeps them aligned.
        let delay = self.ears.iter().map(Ear::wanted_delay).max().unwrap_or(0);
        let mut frame = [0; 3 * FRAME_SAMPLES];
        let (parties, third) = frame.split_at_mut(2 * FRAME_SAMPLES);
        for (ear, half) in self.ears.iter_mut().zip(parties.chunks_exact_mut(FRAME_SAMPLES)) {
            ear.listen(now, delay, half);
        }
        third.copy_from_slice(others);
        match self.out.push(frame) {
            Ok(()) => Given::Taken,
            Err(_) if self.out.is_abandoned() => Given::Abandoned,
            Err(_) => Given::Dropped,
        }
    }

    /// Tells the supervisor that it is over.
    pub(super) fn end(&self) {
        let _ = self.events.try_send(Event::TapEnded { tap: self.id });
    }

    /// Speaks from now on to whom it should and who is here; `stay` are the sides with the same party as before.
    fn address(&mut self, stay: Sides, now: Moment) {
        let is_here = Sides { left: self.seats[0].is_some(), right: self.seats[1].is_some() };
        self.voice.address(self.heard_by.and(is_here), stay, now);
        // What was said in this tick was said to others.
        if self.voice.reach() == Sides::NONE || stay != Sides::BOTH {
            self.is_saying = false;
        }
    }
}
