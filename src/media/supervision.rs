//! Taps on the board: put on ports, moved, lost and taken off, and given their frames on the beat.
//! Above: `desk` (commands), `board` (beats). Below: `tap`. What a supervisor says goes out with `bridge` and `generator`.

use super::board::{Board, Seat};
use super::clock::{Moment, SLOTS_PER_TICK, Slot};
use super::command::{PortId, Sides, TapAudio, TapId};
use super::tap::{Given, Tap};
use super::voice::Side;
use crate::audio::frame::{FRAME_SAMPLES, Frame, SILENCE};
use crate::audio::mix;

/// A tap further behind than this has lost its beat for good, such as after a sleep of the machine: 2 s.
const MOST_BEHIND: u64 = 400;

impl Board {
    /// Puts a new tap on ports.
    pub(super) fn attach(
        &mut self,
        tap: (TapId, TapAudio),
        ports: [Option<PortId>; 2],
        sides: (Sides, Sides),
        now: Moment,
    ) {
        let (id, audio) = tap;
        self.detach(id);
        let at = self.adopt_tap(Box::new(Tap::new(id, sides, audio, now.slot().after(1))));
        self.place(at, ports, now);
        if let Some(tap) = self.taps[at].as_mut() {
            tap.voice.begin();
        }
    }

    /// Puts a tap on other ports.
    pub(super) fn move_tap(&mut self, id: TapId, ports: [Option<PortId>; 2], now: Moment) {
        match self.by_tap.get(&id) {
            Some(&at) => self.place(at, ports, now),
            None => self.move_recording(id, ports, now),
        }
    }

    /// Changes who hears whom.
    pub(super) fn set_tap(&mut self, id: TapId, sides: (Sides, Sides), now: Moment) {
        let Some(tap) = self.by_tap.get(&id).and_then(|&at| self.taps.get_mut(at)).and_then(Option::as_mut) else {
            return;
        };
        tap.set(sides, now);
        for seat in tap.seats.into_iter().flatten() {
            self.count_speakers(seat);
        }
    }

    /// Takes a tap off and tells its supervisor.
    pub(super) fn detach(&mut self, id: TapId) {
        if let Some(tap) = self.release_tap(id) {
            tap.end();
        }
        self.end_recording(id);
    }

    /// Takes a tap off the board as it is, to be put on another.
    pub(super) fn release_tap(&mut self, id: TapId) -> Option<Box<Tap>> {
        let at = self.by_tap.remove(&id)?;
        let mut tap = self.taps.get_mut(at)?.take()?;
        for seat in std::mem::take(&mut tap.seats).into_iter().flatten() {
            self.unlist(at, seat);
        }
        Some(tap)
    }

    /// Takes a tap up, on no port; its number on the board.
    pub(super) fn adopt_tap(&mut self, tap: Box<Tap>) -> usize {
        let at = self.taps.iter().position(Option::is_none).unwrap_or(self.taps.len());
        self.by_tap.insert(tap.id, at);
        if at == self.taps.len() {
            self.taps.push(Some(tap));
        } else {
            self.taps[at] = Some(tap);
        }
        at
    }

    /// Takes the taps off a port that leaves the board: they beat on without it.
    pub(super) fn lose_port(&mut self, seat: Seat, now: Moment) {
        while let Some((at, side)) = self.port_mut(seat).and_then(|port| port.taps.pop()) {
            if let Some(tap) = self.taps.get_mut(at).and_then(Option::as_mut) {
                tap.lose(side, now);
            }
        }
        self.count_speakers(seat);
        self.lose_recorded(seat);
    }

    /// Puts the taps that wait for a port on it, now that it has come.
    pub(super) fn regain_port(&mut self, id: PortId, now: Moment) {
        for at in 0..self.taps.len() {
            let ports = self.taps[at].as_ref().map(|tap| tap.ports);
            if let Some(ports) = ports.filter(|ports| ports.contains(&Some(id))) {
                self.place(at, ports, now);
            }
        }
        self.regain_recorded(id, now);
    }

    /// Drops what taps have buffered of a port whose peer is no longer listened to.
    pub(super) fn forget(&mut self, seat: Seat) {
        let Some(port) = self.ports.get(seat.index()).and_then(Option::as_ref) else { return };
        for &(tap, side) in &port.taps {
            if let Some(tap) = self.taps.get_mut(tap).and_then(Option::as_mut) {
                tap.forget(side);
            }
        }
    }

    /// Gives each supervisor the frames that are due.
    pub(super) fn beat_taps(&mut self, slot: Slot) {
        for at in 0..self.taps.len() {
            // It is taken out while it looks at the others.
            let Some(mut tap) = self.taps[at].take() else { continue };
            let given = self.give(at, &mut tap, slot);
            let id = tap.id;
            self.taps[at] = Some(tap);
            if given == Given::Abandoned {
                self.detach(id);
            }
        }
    }

    fn give(&mut self, at: usize, tap: &mut Tap, slot: Slot) -> Given {
        if slot.0.saturating_sub(tap.due.0) > MOST_BEHIND {
            tap.due = slot;
        }
        let mut given = Given::Taken;
        // Usually one; after the thread was late as many as were missed, so that not a moment is missing.
        while tap.due <= slot {
            let now = tap.due.start();
            tap.due = tap.due.after(SLOTS_PER_TICK);
            tap.speak(now);
            if let Some(said) = tap.saying() {
                self.copy_said(tap, said, now);
            }
            let others = if tap.due > slot { self.others(at, tap) } else { SILENCE };
            given = tap.give(&others, now);
            self.frames_dropped += u64::from(given == Given::Dropped);
        }
        given
    }

    /// What the other supervisors on the same ports say, each once.
    fn others(&self, at: usize, tap: &Tap) -> Frame {
        let mut total = [0; FRAME_SAMPLES];
        let mut heard = SILENCE;
        if tap.hears == Sides::NONE {
            return heard;
        }
        let mut any = false;
        for (nth, &seat) in tap.seats.iter().flatten().enumerate() {
            for &(other, _) in self.port(seat).iter().flat_map(|port| &port.taps) {
                let Some(other) = self.taps.get(other).and_then(Option::as_ref).filter(|_| other != at) else {
                    continue;
                };
                // Who is on both ports was heard with the first.
                let is_twice = nth == 1 && other.seats.contains(&tap.seats[0]);
                if let Some(saying) = other.saying().filter(|_| !is_twice) {
                    mix::add(&mut total, saying);
                    any = true;
                }
            }
        }
        if any {
            mix::clamp_into(&total, &mut heard);
        }
        heard
    }

    fn place(&mut self, at: usize, ports: [Option<PortId>; 2], now: Moment) {
        let mut seats = ports.map(|port| port.and_then(|port| self.seat_of(port)));
        if seats[0] == seats[1] {
            seats[1] = None; // nobody talks with himself
        }
        let Some(tap) = self.taps.get_mut(at).and_then(Option::as_mut) else { return };
        let before = tap.seats;
        tap.place(ports, seats, now);
        if ports.iter().zip(seats).any(|(port, seat)| port.is_some() && seat.is_none()) {
            tap.tell_empty();
        }
        for seat in before.into_iter().flatten() {
            self.unlist(at, seat);
        }
        for (side, seat) in Side::BOTH.into_iter().zip(seats) {
            let Some(seat) = seat else { continue };
            if let Some(port) = self.port_mut(seat) {
                port.taps.push((at, side));
            }
            self.count_speakers(seat);
        }
    }

    fn unlist(&mut self, at: usize, seat: Seat) {
        if let Some(port) = self.port_mut(seat) {
            port.taps.retain(|(other, _)| *other != at);
        }
        self.count_speakers(seat);
    }

    /// Counts anew how many taps the peer of a port hears.
    fn count_speakers(&mut self, seat: Seat) {
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return };
        let taps = &self.taps;
        let is_heard = |&&(tap, side): &&(usize, Side)| {
            taps.get(tap).and_then(Option::as_ref).is_some_and(|tap| tap.reaches(side))
        };
        port.speakers = port.taps.iter().filter(is_heard).count();
        self.refresh(seat);
    }
}
