//! Calls on record: the packets of a call's ports, and what supervisors say over them, copied for a recorder's thread.
//! Above: `desk` (commands), `board` (packets), `generator` (what we play), `supervision` (what supervisors say). Below: `copies`.

use super::board::{Board, Seat};
use super::clock::Moment;
use super::command::{Event, PortId, TapId};
use super::copies::{Content, Copies, Mark, Origin};
use super::port::Kind;
use super::tap::Tap;
use super::voice::Side;
use crate::audio::codec::Coding;
use crate::audio::frame::Frame;
use crate::rtp::packet::Header;

/// A call on record. What each packet of a party needs of it lies in one line of the processor's cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Recording {
    pub(super) copies: Copies,
    pub(super) id: TapId,
    /// The ports it is to be on: left, right.
    ports: [Option<PortId>; 2],
    /// Their seats, as far as they are here.
    seats: [Option<Seat>; 2],
    /// What it was last told of each: whether it is on hold, and whether it speaks what cannot be recorded.
    told: [[bool; 2]; 2],
}

const _: () = assert!(size_of::<Copies>() <= 64);

/// A tap or a recording, on its way to another thread.
#[derive(Debug)]
pub(super) enum Watcher {
    /// A supervisor.
    Tap(Box<Tap>),
    /// A recording.
    Recording(Box<Recording>),
}

impl Board {
    /// Puts a call on record.
    pub(super) fn record(&mut self, id: TapId, ports: [Option<PortId>; 2], copies: Copies, now: Moment) {
        self.detach(id);
        let recording = Recording { copies, id, ports: [None; 2], seats: [None; 2], told: [[false; 2]; 2] };
        let at = self.adopt_recording(Box::new(recording));
        self.place_recording(at, ports, now);
    }

    /// Puts a recording on other ports.
    pub(super) fn move_recording(&mut self, id: TapId, ports: [Option<PortId>; 2], now: Moment) {
        if let Some(&at) = self.by_recording.get(&id) {
            self.place_recording(at, ports, now);
        }
    }

    /// Takes a recording off and tells its owner.
    pub(super) fn end_recording(&mut self, id: TapId) {
        if let Some(recording) = self.release_recording(id) {
            let _ = recording.copies.events.try_send(Event::TapEnded { tap: id });
        }
    }

    /// Takes a recording off the board as it is, to be put on another.
    pub(super) fn release_recording(&mut self, id: TapId) -> Option<Box<Recording>> {
        let at = self.by_recording.remove(&id)?;
        let mut recording = self.recordings.get_mut(at)?.take()?;
        for seat in std::mem::take(&mut recording.seats).into_iter().flatten() {
            self.unlist_recording(at, seat);
        }
        Some(recording)
    }

    /// Takes a recording up, on no port; its number on the board.
    pub(super) fn adopt_recording(&mut self, recording: Box<Recording>) -> usize {
        let at = self.recordings.iter().position(Option::is_none).unwrap_or(self.recordings.len());
        self.by_recording.insert(recording.id, at);
        if at == self.recordings.len() {
            self.recordings.push(Some(recording));
        } else {
            self.recordings[at] = Some(recording);
        }
        at
    }

    /// Takes the recordings off a port that leaves the board.
    pub(super) fn lose_recorded(&mut self, seat: Seat) {
        while let Some((at, side)) = self.port_mut(seat).and_then(|port| port.recordings.pop()) {
            if let Some(recording) = self.recordings.get_mut(at).and_then(Option::as_mut) {
                recording.seats[side.index()] = None;
                recording.tell_empty();
            }
        }
    }

    /// Puts the recordings that wait for a port on it, now that it has come.
    pub(super) fn regain_recorded(&mut self, id: PortId, now: Moment) {
        for at in 0..self.recordings.len() {
            let ports = self.recordings[at].as_ref().map(|recording| recording.ports);
            if let Some(ports) = ports.filter(|ports| ports.contains(&Some(id))) {
                self.place_recording(at, ports, now);
            }
        }
    }

    /// Ends the recordings that nobody reads any more.
    pub(super) fn sweep_recordings(&mut self) {
        for at in 0..self.recordings.len() {
            let recording = self.recordings[at].as_ref();
            if let Some(id) = recording.filter(|recording| recording.copies.is_abandoned()).map(|r| r.id) {
                self.end_recording(id);
            }
        }
    }

    /// Copies a packet that the peer of the port on `seat` sent.
    pub(super) fn copy(&mut self, seat: Seat, content: Content, packet: (&Header, &[u8]), now: Moment) {
        let Some(port) = self.ports.get(seat.index()).and_then(Option::as_ref) else { return };
        for &(at, side) in &port.recordings {
            if let Some(recording) = self.recordings.get_mut(at).and_then(Option::as_mut) {
                recording.copies.packet(side, content, packet, (now, &mut self.copying));
            }
        }
    }

    /// Copies so many samples of the scratch, which the peer of the port on `seat` is to hear from us, for recordings whose other side
    /// has no port.
    pub(super) fn copy_heard(&mut self, seat: Seat, count: usize, now: Moment) {
        let Some(port) = self.ports.get(seat.index()).and_then(Option::as_ref) else { return };
        let samples = &self.scratch.samples[..count];
        for &(at, side) in &port.recordings {
            let Some(recording) = self.recordings.get_mut(at).and_then(Option::as_mut) else { continue };
            let other = match side {
                Side::Left => Side::Right,
                Side::Right => Side::Left,
            };
            if recording.ports[other.index()].is_none() {
                recording.copies.samples((other.into(), 0), samples, (now, &mut self.copying));
            }
        }
    }

    /// Copies what a supervisor says to parties on record, once for each recording.
    pub(super) fn copy_said(&mut self, tap: &Tap, said: &Frame, now: Moment) {
        for (nth, seat) in tap.seats.iter().flatten().enumerate() {
            let Some(port) = self.ports.get(seat.index()).and_then(Option::as_ref) else { continue };
            for &(at, _) in &port.recordings {
                let Some(recording) = self.recordings.get_mut(at).and_then(Option::as_mut) else { continue };
                // Who is on both ports was given it with the first.
                if nth == 0 || !recording.seats.contains(&tap.seats[0]) {
                    let origin = (Origin::Supervisor, tap.id.0 as u32); // the low bits tell few apart
                    recording.copies.samples(origin, said, (now, &mut self.copying));
                }
            }
        }
    }

    /// Tells the recordings of a port whether its peer is on hold, and whether the recorder can decode it, if that has changed.
    pub(super) fn note_absence(&mut self, id: PortId, now: Moment) {
        let port = self.seat_of(id).and_then(|seat| self.ports.get(seat.index())).and_then(Option::as_ref);
        let Some(port) = port else { return };
        let stream = port.stream.as_ref();
        let is_held = port.hold.is_some() || stream.is_some_and(|stream| !stream.receive);
        let is_foreign = stream.is_some_and(|stream| !stream.coding.can_be_recorded());
        let states = [(is_held, [Mark::Unheld, Mark::Held]), (is_foreign, [Mark::Decodable, Mark::Undecodable])];
        for &(at, side) in &port.recordings {
            let Some(recording) = self.recordings.get_mut(at).and_then(Option::as_mut) else { continue };
            for (told, (is_so, marks)) in recording.told[side.index()].iter_mut().zip(states) {
                if std::mem::replace(told, is_so) != is_so {
                    recording.copies.mark(side, marks[usize::from(is_so)], (now, &mut self.copying));
                }
            }
        }
    }

    fn place_recording(&mut self, at: usize, ports: [Option<PortId>; 2], now: Moment) {
        let mut seats = ports.map(|port| port.and_then(|port| self.seat_of(port)));
        if seats[0] == seats[1] {
            seats[1] = None; // nobody talks with himself
        }
        let Some(recording) = self.recordings.get_mut(at).and_then(Option::as_mut) else { return };
        let before = std::mem::replace(&mut recording.seats, seats);
        recording.ports = ports;
        if ports.iter().zip(seats).any(|(port, seat)| port.is_some() && seat.is_none()) {
            recording.tell_empty();
        }
        for seat in before.into_iter().flatten() {
            self.unlist_recording(at, seat);
        }
        for (side, seat) in Side::BOTH.into_iter().zip(seats) {
            if let Some(port) = seat.and_then(|seat| self.port_mut(seat)) {
                port.recordings.push((at, side));
            }
        }
        for port in ports.into_iter().flatten() {
            self.note_absence(port, now);
        }
    }

    fn unlist_recording(&mut self, at: usize, seat: Seat) {
        if let Some(port) = self.port_mut(seat) {
            port.recordings.retain(|(other, _)| *other != at);
        }
    }
}

impl Recording {
    fn tell_empty(&self) {
        let _ = self.copies.events.try_send(Event::SideEmpty { tap: self.id });
    }
}

impl Content {
    /// What a packet of this kind holds; nothing to be recorded in what the recorder cannot decode.
    pub(super) fn of(kind: Kind, coding: Coding) -> Option<Self> {
        match kind {
            Kind::Audio => match coding {
                Coding::Sound(codec) => Some(Self::Sound(codec)),
                Coding::Foreign(foreign) => foreign.can_be_recorded().then_some(Self::Foreign(foreign)),
            },
            Kind::Event => Some(Self::Digit),
        }
    }
}
