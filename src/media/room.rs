//! Rooms: any number of ports that all hear each other, mixed on the beat: summed once, each member's own voice taken out of
//! what it hears, clamped last. Above: `board` (packets and beats), `desk` (commands). Beside: `generator`, which sends what
//! members hear. Below: `ear`, `player`, `audio/mix`.

use std::collections::VecDeque;

use super::board::{Board, Seat};
use super::clock::{Moment, SLOTS_PER_TICK, Slot};
use super::command::{PlayId, PortId, RoomId, Source};
use super::ear::Ear;
use super::player::{Player, Progress};
use super::port::Route;
use crate::audio::frame::{FRAME_SAMPLES, Frame, SILENCE};
use crate::audio::mix::{self, Total};
use crate::rtp::packet::Header;

/// Samples that may wait for a member's packet: its own 60 ms and a frame more.
const CAPACITY: usize = 640;

/// A room. It is there as long as anybody is in it.
#[derive(Debug)]
pub(super) struct Room {
    id: RoomId,
    members: Vec<Seat>,
    /// When its next frame is due.
    due: Slot,
    /// What everybody hears besides the members.
    player: Option<Player>,
    /// What those who left or were muted trail off with, instead of breaking off with a click.
    tail: Total,
}

/// A port's place in a room.
#[derive(Debug)]
pub(super) struct Member {
    /// The room's number on the board.
    room: usize,
    ear: Ear,
    is_muted: bool,
    /// What it says in this frame.
    voice: Frame,
    /// What it hears and has not been sent yet.
    heard: VecDeque<i16>,
}

impl Board {
    /// Puts a port into a room, which is made for the first.
    pub(super) fn enter(&mut self, id: RoomId, port: PortId, is_muted: bool) {
        let Some(seat) = self.seat_of(port) else { return };
        let room = self.room(id);
        if self.port(seat).and_then(|port| port.member.as_ref()).is_some_and(|member| member.room == room) {
            return self.mute(port, is_muted);
        }
        self.stand_alone(seat);
        let Some(Some(place)) = self.rooms.get_mut(room) else { return };
        place.members.push(seat);
        if let Some(port) = self.port_mut(seat) {
            port.stop_playing();
            port.hold = None;
            port.member = Some(Box::new(Member::new(room, is_muted)));
            port.begin();
        }
        self.set_route(seat, Route::Room);
    }

    /// Takes a port out of the room it is in; a room that nobody is in any more is gone.
    pub(super) fn leave(&mut self, seat: Seat) {
        let Some(mut member) = self.port_mut(seat).and_then(|port| port.member.take()) else { return };
        self.set_route(seat, Route::Alone);
        let Some(place) = self.rooms.get_mut(member.room) else { return };
        if let Some(room) = place {
            room.members.retain(|other| *other != seat);
            member.trail_off(&mut room.tail);
        }
        if place.as_ref().is_some_and(|room| room.members.is_empty()) {
            *place = None;
        }
        while self.rooms.pop_if(|room| room.is_none()).is_some() {}
    }

    /// Lets the others hear a member no longer, or again.
    pub(super) fn mute(&mut self, port: PortId, is_muted: bool) {
        let Some(seat) = self.seat_of(port) else { return };
        let Some(member) = self.ports.get_mut(seat.index()).and_then(Option::as_mut).and_then(|p| p.member.as_mut())
        else {
            return;
        };
        if is_muted
            && !member.is_muted
            && let Some(Some(room)) = self.rooms.get_mut(member.room)
        {
            member.trail_off(&mut room.tail);
        }
        member.is_muted = is_muted;
    }

    /// Plays to everybody in a room.
    pub(super) fn play_to_room(&mut self, id: RoomId, source: Source) {
        if let Some(room) = self.rooms.iter_mut().flatten().find(|room| room.id == id) {
            room.player = Some(Player::new(PlayId(0), source)); // nobody is told of its end
        }
    }

    /// Takes the samples of a member's packet.
    pub(super) fn hear_member(&mut self, seat: Seat, header: &Header, samples: usize, now: Moment) {
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return };
        let is_held = port.hold.is_some();
        let Some(member) = port.member.as_mut().filter(|member| !member.is_muted && !is_held) else { return };
        member.ear.take(header, &self.scratch.heard[..samples], now);
    }

    /// Mixes the frame of each room that has one due.
    pub(super) fn mix_rooms(&mut self, slot: Slot) {
        let Self { rooms, ports, .. } = self;
        let now = slot.start();
        for room in rooms.iter_mut().flatten().filter(|room| room.due <= slot) {
            room.due = match room.due {
                // Rooms begin at any slot, so that not all are due in one.
                due if due == Slot::default() => slot.after(SLOTS_PER_TICK),
                due => due.after(SLOTS_PER_TICK).max(slot.after(1)),
            };
            let mut total = room.begin();
            let members = &room.members;
            let mut each = |act: &mut dyn FnMut(&mut Member)| {
                for seat in members {
                    let port = ports.get_mut(seat.index()).and_then(Option::as_mut);
                    if let Some(member) = port.and_then(|port| port.member.as_mut()) {
                        act(member);
                    }
                }
            };
            each(&mut |member| member.speak(now, &mut total));
            each(&mut |member| member.hear(&total));
        }
    }

    /// Whether there is any room.
    pub(super) fn has_rooms(&self) -> bool {
        self.rooms.iter().any(Option::is_some)
    }

    /// The number of a room on the board; it is made if there is none.
    fn room(&mut self, id: RoomId) -> usize {
        let of_id = |room: &Option<Box<Room>>| room.as_ref().is_some_and(|room| room.id == id);
        if let Some(at) = self.rooms.iter().position(of_id) {
            return at;
        }
        let at = self.rooms.iter().position(Option::is_none).unwrap_or(self.rooms.len());
        let room = Room { id, members: Vec::new(), due: Slot::default(), player: None, tail: [0; FRAME_SAMPLES] };
        if at == self.rooms.len() {
            self.rooms.push(None);
        }
        self.rooms[at] = Some(Box::new(room));
        at
    }
}

impl Room {
    /// The sum that the members' voices are added to.
    fn begin(&mut self) -> Total {
        let mut total = std::mem::replace(&mut self.tail, [0; FRAME_SAMPLES]);
        if let Some(player) = &mut self.player {
            let mut sound = SILENCE;
            let progress = player.fill(&mut sound);
            mix::add(&mut total, &sound);
            if progress == Progress::Finished {
                self.player = None;
            }
        }
        total
    }
}

impl Member {
    fn new(room: usize, is_muted: bool) -> Self {
        Self { room, ear: Ear::default(), is_muted, voice: SILENCE, heard: VecDeque::with_capacity(CAPACITY) }
    }

    /// Whether what it hears fills a packet of `samples`.
    pub(super) fn fills(&self, samples: usize) -> bool {
        self.heard.len() >= samples
    }

    /// Takes the next samples that it hears; silence where there are none.
    pub(super) fn next(&mut self, out: &mut [i16]) {
        for sample in out {
            *sample = self.heard.pop_front().unwrap_or(0);
        }
    }

    /// Passes over samples that are not sent, because something else is.
    pub(super) fn skip(&mut self, samples: usize) {
        self.heard.drain(..samples.min(self.heard.len()));
    }

    /// Drops what was not sent: it is too old.
    pub(super) fn begin(&mut self) {
        self.heard.clear();
    }

    fn speak(&mut self, now: Moment, total: &mut Total) {
        if self.is_muted {
            return;
        }
        let delay = self.ear.wanted_delay();
        self.ear.listen(now, delay, &mut self.voice);
        mix::add(total, &self.voice);
    }

    fn hear(&mut self, total: &Total) {
        let mut frame = SILENCE;
        mix::minus_own(total, &self.voice, &mut frame);
        let over = (self.heard.len() + FRAME_SAMPLES).saturating_sub(CAPACITY);
        self.heard.drain(..over);
        self.heard.extend(frame);
    }

    /// Adds what follows on its last frame to `tail`, falling to nothing, and says no more.
    fn trail_off(&mut self, tail: &mut Total) {
        if self.is_muted {
            return;
        }
        self.ear.trail_off(&mut self.voice);
        let length = FRAME_SAMPLES as i32;
        for (left, (sum, sample)) in (1..=length).rev().zip(tail.iter_mut().zip(&self.voice)) {
            *sum += i32::from(*sample) * left / length;
        }
        self.voice = SILENCE;
    }
}
