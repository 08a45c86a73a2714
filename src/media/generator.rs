//! The packets we make ourselves, on the beat: what plays, keys, silence, and supervisors where the peer's bridge is silent.
//! Above: `board`. Beside: `room`. Below: `player`, `digits`, `outgoing`.

use super::board::{Board, Seat, Wire};
use super::clock::{Moment, SLOT_MS, SLOTS_PER_TICK, Slot};
use super::digits::{Means, Part};
use super::outgoing::EventPart;
use super::player::Progress;
use super::port::{Filler, Played, Port, Route};
use super::voice;
use crate::audio::frame::SAMPLES_PER_MS;
use crate::audio::mix;
use crate::rtp::packet::{HEADER_BYTES, Header};
use crate::rtp::telephone_event::Payload;

/// Shortest and longest packets we make, in ms.
const PTIME_MS: std::ops::RangeInclusive<u32> = 10..=60;

/// What fills the next packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// The samples in the scratch.
    Sound,
    /// Silence.
    Quiet,
    /// No packet is sent.
    Nothing,
}

impl Board {
    /// Makes the packet of the port on `seat` if it is due in `slot`.
    pub(super) fn emit(&mut self, seat: Seat, slot: Slot, wire: &mut impl Wire) {
        let now = slot.start();
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return };
        if port.due == Slot::default() && port.member.is_some() {
            port.due = slot;
        } else if port.due == Slot::default() {
            // Just began: ports keep to different phases of the tick, so that not all are due in one slot.
            port.due = slot.next_of_phase(u64::from(seat.0) % SLOTS_PER_TICK);
        }
        if let Some(press) = port.phone.as_mut().and_then(|phone| phone.speak(slot)) {
            port.tell_press(press);
        }
        if port.due > slot {
            return;
        }
        let slots = port.slots_per_packet();
        let count = (slots as u32 * SLOT_MS * SAMPLES_PER_MS) as usize;
        if port.member.as_ref().is_some_and(|member| !member.fills(count)) {
            // It waits for the next mix of its room, and so finds the room's phase of the tick.
            port.due = slot.after(1);
            return;
        }
        let volume = port.volume;
        if port.phone.as_mut().is_some_and(|phone| !phone.is_ready(count, volume)) {
            port.due = slot.after(1);
            return;
        }
        port.due = port.due.after(slots).max(slot.after(1));
        let fill = match port.next_of_digits(&mut self.scratch.samples[..count]) {
            Part::Event(payload, part) => {
                port.skip_heard(count);
                return self.send_event(seat, (payload, part), now, wire);
            }
            Part::Tone => {
                port.skip_heard(count);
                Fill::Sound
            }
            Part::Pause => self.fill(seat, count, now),
            Part::Over => {
                self.end_digits(seat);
                self.fill(seat, count, now)
            }
        };
        self.send_own(seat, (fill, count), now, wire);
    }

    /// Puts a port among those that make packets of their own, or takes it out.
    pub(super) fn refresh(&mut self, seat: Seat) {
        let Some(port) = self.port(seat) else { return };
        let wants = port.makes_packets();
        let at = self.generating.iter().position(|other| *other == seat);
        match (wants, at) {
            (true, None) => {
                self.generating.push(seat);
                if let Some(port) = self.port_mut(seat) {
                    port.begin();
                }
            }
            (false, Some(at)) => {
                self.generating.swap_remove(at);
            }
            _ => {}
        }
    }

    /// Fills the scratch with what the peer of `seat` is to hear from us.
    fn fill(&mut self, seat: Seat, count: usize, now: Moment) -> Fill {
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return Fill::Nothing };
        let samples = &mut self.scratch.samples[..count];
        let is_spoken_to = port.is_spoken_to();
        let sound = match port.route {
            Route::Alone if port.player.is_some() => port.next_of_player(samples),
            _ if port.hold.is_some() => port.next_of_hold(samples),
            Route::Alone => Fill::Quiet,
            Route::Room => port.next_of_room(samples, &mut self.scratch.total[..count]),
            Route::Supervising => port.next_of_phone(samples),
            // The other party of the bridge is held.
            Route::Bridged(_) if port.filler == Filler::Held => Fill::Quiet,
            // On a bridge the peer's packets carry the voice; only when there are none are they made here.
            Route::Echo | Route::Bridged(_) if is_spoken_to && port.out.peer_is_silent(now) => Fill::Nothing,
            Route::Bridged(_) if port.filler == Filler::Fills && port.out.peer_is_silent(now) => Fill::Quiet,
            Route::Echo | Route::Bridged(_) => return Fill::Nothing,
        };
        if port.player.is_none() && !matches!(port.route, Route::Room | Route::Supervising) {
            self.refresh(seat);
        }
        if sound == Fill::Sound && self.port(seat).is_some_and(|port| !port.recordings.is_empty()) {
            self.copy_heard(seat, count, now); // before what supervisors say is added
        }
        if !is_spoken_to || !self.has_voice(seat, count, now) {
            return sound;
        }
        let samples = &mut self.scratch.samples[..count];
        if sound != Fill::Sound {
            samples.fill(0);
        }
        voice::speak_over(&mut self.scratch.total[..count], samples);
        Fill::Sound
    }

    fn send_own(&mut self, seat: Seat, (fill, count): (Fill, usize), now: Moment, wire: &mut impl Wire) {
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return };
        let Some(stream) = port.stream.as_ref().filter(|stream| stream.send) else { return port.out.interrupt() };
        let Some(codec) = stream.coding.codec() else { return port.out.interrupt() };
        let payload = &mut self.scratch.packet[HEADER_BYTES..HEADER_BYTES + count];
        match fill {
            Fill::Sound => {
                codec.encode(&self.scratch.samples[..count], payload);
            }
            Fill::Quiet => payload.fill(codec.silence()),
            Fill::Nothing => return,
        }
        let header = port.out.own(stream.payload, count as u32, now); // 60 ms at most
        port.out.count(count);
        self.put_on(seat, header, count, wire);
    }

    fn send_event(&mut self, seat: Seat, (payload, part): (Payload, EventPart), now: Moment, wire: &mut impl Wire) {
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return };
        let Some(stream) = port.stream.as_ref().filter(|stream| stream.send) else { return };
        let Some(payload_type) = stream.telephone_event else { return };
        let header = port.out.own_event(payload_type, part, now);
        let bytes = payload.to_bytes();
        port.out.count(bytes.len());
        self.scratch.packet[HEADER_BYTES..HEADER_BYTES + bytes.len()].copy_from_slice(&bytes);
        self.put_on(seat, header, bytes.len(), wire);
    }

    fn put_on(&mut self, seat: Seat, header: Header, payload_bytes: usize, wire: &mut impl Wire) {
        let packet = &mut self.scratch.packet[..HEADER_BYTES + payload_bytes];
        packet[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        wire.send(seat, packet);
    }

    fn end_digits(&mut self, seat: Seat) {
        let Some(port) = self.port_mut(seat) else { return };
        if let Some(digits) = port.digits.take() {
            port.tell_played(digits.id, Played::Finished);
            self.refresh(seat);
        }
    }
}

impl Port {
    fn makes_packets(&self) -> bool {
        let Some(stream) = &self.stream else { return false };
        // What plays goes on for a peer that must not be sent anything: its time passes all the same.
        let has_cause = stream.send
            || self.player.is_some()
            || self.over.is_some()
            || self.digits.is_some()
            || self.phone.is_some();
        has_cause
            && (matches!(self.route, Route::Alone | Route::Room | Route::Supervising)
                || self.digits.is_some()
                || self.hold.is_some()
                || self.is_spoken_to()
                || matches!(self.filler, Filler::Fills | Filler::Held))
    }

    /// Begins to make packets: with the next slot, and with nothing from before.
    pub(super) fn begin(&mut self) {
        self.due = Slot::default();
        if let Some(member) = &mut self.member {
            member.begin();
        }
    }

    fn slots_per_packet(&self) -> u64 {
        let ptime_ms = self.stream.as_ref().map_or(20, |stream| stream.ptime_ms);
        u64::from(ptime_ms.clamp(*PTIME_MS.start(), *PTIME_MS.end()) / SLOT_MS)
    }

    fn next_of_digits(&mut self, samples: &mut [i16]) -> Part {
        let has_events = self.stream.as_ref().is_some_and(|stream| stream.telephone_event.is_some());
        let means = if has_events { Means::Events } else { Means::Tones };
        match &mut self.digits {
            Some(digits) => digits.next(means, samples),
            None => Part::Pause,
        }
    }

    fn next_of_player(&mut self, samples: &mut [i16]) -> Fill {
        let Some(player) = &mut self.player else { return Fill::Quiet };
        let id = player.id;
        if player.fill(samples) == Progress::Finished {
            self.player = None;
            self.tell_played(id, Played::Finished);
        }
        Fill::Sound
    }

    fn next_of_phone(&mut self, samples: &mut [i16]) -> Fill {
        let Some(phone) = &mut self.phone else { return Fill::Quiet };
        phone.next(samples);
        Fill::Sound
    }

    /// The music of a held port, and silence after its end; what its room says meanwhile is passed over.
    fn next_of_hold(&mut self, samples: &mut [i16]) -> Fill {
        self.skip_heard(samples.len());
        match &mut self.hold {
            Some(music) => {
                music.fill(samples);
                Fill::Sound
            }
            None => Fill::Quiet,
        }
    }

    /// What a member hears, and over it what is played to it alone.
    fn next_of_room(&mut self, samples: &mut [i16], total: &mut [i32]) -> Fill {
        let Some(member) = &mut self.member else { return Fill::Quiet };
        member.next(samples);
        if self.player.is_some() {
            total.fill(0);
            mix::add(total, samples);
            self.next_of_player(samples);
            voice::speak_over(total, samples);
        }
        Fill::Sound
    }

    fn skip_heard(&mut self, samples: usize) {
        if let Some(member) = &mut self.member {
            member.skip(samples);
        }
        if let Some(phone) = &mut self.phone {
            phone.skip(samples);
        }
    }
}
