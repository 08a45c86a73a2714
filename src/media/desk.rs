//! Commands at the board: ports taken up and given back, configured, joined and parted; what they play.
//! Above: `shard`. Beside: `board`, `bridge`, `generator`, `supervision`. Commands may allocate; beats and packets may not.

use super::board::{Board, Seat, Target, Wire};
use super::clock::Moment;
use super::command::{Command, Event, PlayId, PortId, Source};
use super::digits::Digits;
use super::latch::Latch;
use super::loudness::Loudness;
use super::player::Player;
use super::port::{Filler, Played, Port, Route};
use super::setup::Stream;
use crate::rtp::rtcp::Leaving;

/// A port that was closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacated {
    /// Its former seat.
    pub(super) seat: Seat,
    /// Its peer sent packets, so that more may be on their way.
    pub(super) was_heard: bool,
}

impl Board {
    /// Obeys a command. Closing gives the port's former seat back, so that its sockets can be drained.
    pub(super) fn obey(&mut self, command: Command, now: Moment, wire: &mut impl Wire) -> Option<Vacated> {
        let held = if self.by_recording.is_empty() { [None; 2] } else { may_hold(&command) };
        let vacated = self.act(command, now, wire);
        for port in held.into_iter().flatten() {
            self.note_absence(port, now);
        }
        vacated
    }

    fn act(&mut self, command: Command, now: Moment, wire: &mut impl Wire) -> Option<Vacated> {
        match command {
            Command::Configure { port, stream } => self.configure(port, stream, now, wire),
            Command::Join { a, b } => self.join(a, b),
            Command::Part { port } => {
                if let Some(seat) = self.seat_of(port) {
                    self.part(seat);
                }
            }
            Command::EnterRoom { room, port, muted } => self.enter(room, port, muted),
            Command::MuteInRoom { port, muted } => self.mute(port, muted),
            Command::LeaveRoom { port } => {
                if let Some(seat) = self.seat_of(port) {
                    self.leave(seat);
                }
            }
            Command::PlayToRoom { room, source } => self.play_to_room(room, source),
            Command::Play { port, id, source } => {
                self.with_alone(port, id, |port| port.player = Some(Box::new(Player::new(id, source))));
            }
            Command::StopPlay { port } => self.with(port, Port::stop_playing),
            Command::Echo { port, on } => self.echo(port, on),
            Command::TellSound { port, on } => {
                self.with(port, |port| port.loudness = on.then(Loudness::default));
            }
            Command::SendDigits { port, id, digits, tone_ms, gap_ms } => self.with(port, |port| {
                port.stop_digits();
                port.digits = Some(Box::new(Digits::new(id, &digits, tone_ms, gap_ms)));
            }),
            Command::Attach { tap, left, right, hears, heard_by, audio } => {
                self.attach((tap, audio), [left, right], (hears, heard_by), now);
            }
            Command::Record { tap, left, right, copies } => self.record(tap, [left, right], copies, now),
            Command::MoveTap { tap, left, right } => self.move_tap(tap, [left, right], now),
            Command::SetTap { tap, hears, heard_by } => self.set_tap(tap, (hears, heard_by), now),
            Command::Detach { tap } => self.detach(tap),
            Command::Supervise { port, heard, voice } => self.supervise(port, heard, voice),
            Command::StopSupervising { port } => self.stop_supervising(port),
            Command::SetVolume { port, steps } => self.with(port, |port| port.volume = steps.clamp(-4, 4)),
            Command::PlayOver { port, id, source } => self.with(port, |port| {
                port.stop_playing_over();
                port.over = Some(Box::new(Player::new(id, source)));
            }),
            Command::StopPlayOver { port } => self.with(port, Port::stop_playing_over),
            Command::Hold { port, music } => self.hold(port, Some(music)),
            Command::Unhold { port } => self.hold(port, None),
            Command::Measure { port, reply } => {
                if let Some(port) = self.seat_of(port).and_then(|seat| self.port(seat)) {
                    // Nobody may be waiting any more.
                    let _ = reply.send(port.stats());
                }
            }
            Command::Close { port } => return self.close(port, now, wire),
        }
        None
    }

    /// Gives a port a seat.
    pub(super) fn seat(&mut self, port: Box<Port>) -> Seat {
        let at = self.ports.iter().position(Option::is_none).unwrap_or(self.ports.len());
        let seat = Seat(at as u32); // far fewer ports than 2³²: each has a UDP port
        self.by_id.insert(port.id, seat);
        if at == self.ports.len() {
            self.ports.push(Some(port));
        } else {
            self.ports[at] = Some(port);
        }
        self.refresh(seat);
        seat
    }

    /// Takes a port off the board: parted, without taps, otherwise as it is.
    pub(super) fn unseat(&mut self, id: PortId, now: Moment) -> Option<(Seat, Box<Port>)> {
        let seat = self.seat_of(id)?;
        self.stand_alone(seat);
        self.lose_port(seat, now);
        self.generating.retain(|other| *other != seat);
        self.by_id.remove(&id);
        self.ports[seat.index()].take().map(|port| (seat, port))
    }

    fn close(&mut self, id: PortId, now: Moment, wire: &mut impl Wire) -> Option<Vacated> {
        let seat = self.seat_of(id)?;
        let has_talked = self.port(seat).is_some_and(|port| port.stream.is_some());
        if has_talked && !self.settings.rtcp_interval.is_zero() {
            self.report(seat, Leaving::Yes, now, wire);
        }
        let (seat, mut port) = self.unseat(id, now)?;
        port.stop_playing();
        port.stop_playing_over();
        port.stop_digits();
        let stats = port.stats();
        port.tell(Event::Closed { port: id, stats });
        Some(Vacated { seat, was_heard: stats.packets_in > 0 })
    }

    fn configure(&mut self, id: PortId, mut stream: Stream, now: Moment, wire: &mut impl Wire) {
        let Some(seat) = self.seat_of(id) else { return };
        let (interval, dice) = (self.settings.rtcp_interval, self.roll());
        let Some(port) = self.port_mut(seat) else { return };
        let target = Target {
            rtp: stream.remote,
            rtcp: stream.rtcp,
            is_muxed: stream.rtcp_mux,
            nat: stream.nat_source.filter(|source| *source != stream.remote.ip()),
        };
        // An address of zeros is the old way to hold (RFC 3264 §8.4): the peer stays where it was.
        let has_address = !stream.remote.ip().is_unspecified() && stream.remote.port() != 0;
        if has_address && port.target != Some(target) {
            port.latch = match target.nat {
                Some(nat) => Latch::seeking(target.rtp, nat),
                None => Latch::Locked(target.rtp),
            };
            port.target = Some(target);
            wire.aim(seat, &target);
        }
        if port.stream.is_none() {
            port.reports.begin(now, interval, dice);
        }
        let was_listening = port.is_listening();
        stream.send &= has_address;
        port.stream = Some(stream);
        port.out.set_clock(port.clock());
        if !was_listening {
            port.listen_from(now);
        }
        if !port.is_listening() {
            self.forget(seat);
        }
        self.refresh(seat);
    }

    fn join(&mut self, a: PortId, b: PortId) {
        let (Some(left), Some(right)) = (self.seat_of(a), self.seat_of(b)) else { return };
        for seat in [left, right] {
            self.leave(seat);
            self.end_supervising(seat);
        }
        for (seat, other) in [(left, right), (right, left)] {
            let before = self.port(seat).map(|port| port.route);
            if let Some(Route::Bridged(old)) = before
                && old != other
            {
                self.set_route(old, Route::Alone);
            }
            if let Some(port) = self.port_mut(seat) {
                port.stop_playing();
                port.hold = None;
            }
            let route = if left == right { Route::Echo } else { Route::Bridged(other) };
            self.set_route(seat, route);
        }
    }

    fn part(&mut self, seat: Seat) {
        let Some(Route::Bridged(other)) = self.port(seat).map(|port| port.route) else { return };
        self.set_route(seat, Route::Alone);
        self.set_route(other, Route::Alone);
    }

    /// Takes a port out of its bridge and its room.
    pub(super) fn stand_alone(&mut self, seat: Seat) {
        self.part(seat);
        self.leave(seat);
        self.end_supervising(seat);
    }

    fn echo(&mut self, id: PortId, on: bool) {
        let Some(seat) = self.seat_of(id) else { return };
        let Some(port) = self.port_mut(seat) else { return };
        match (port.route, on) {
            (Route::Alone, true) => {
                port.stop_playing();
                self.set_route(seat, Route::Echo);
            }
            (Route::Echo, false) => self.set_route(seat, Route::Alone),
            _ => {}
        }
    }

    pub(super) fn set_route(&mut self, seat: Seat, route: Route) {
        if let Some(port) = self.port_mut(seat) {
            port.route = route;
            port.filler = Filler::Idle;
        }
        self.refresh(seat);
    }

    /// Holds a port with music, or ends its hold.
    fn hold(&mut self, id: PortId, music: Option<Source>) {
        let Some(seat) = self.seat_of(id) else { return };
        let Some(port) = self.port_mut(seat) else { return };
        let is_held = music.is_some();
        port.hold = music.map(|music| Box::new(Player::new(PlayId(0), music))); // nobody is told of its end
        let route = port.route;
        self.refresh(seat);
        let Route::Bridged(other) = route else { return };
        if let Some(other) = self.port_mut(other) {
            other.filler = if is_held { Filler::Held } else { Filler::Idle };
        }
        self.refresh(other);
    }

    /// Changes a port, which may give it packets to make or take them.
    fn with(&mut self, id: PortId, change: impl FnOnce(&mut Port)) {
        let Some(seat) = self.seat_of(id) else { return };
        if let Some(port) = self.port_mut(seat) {
            change(port);
        }
        self.refresh(seat);
    }

    /// Like `with`, for what only a port that is alone or in a room can play; on a bridge it is over at once.
    fn with_alone(&mut self, id: PortId, play: PlayId, change: impl FnOnce(&mut Port)) {
        self.with(id, |port| {
            port.stop_playing();
            match port.route {
                Route::Alone | Route::Room => change(port),
                Route::Echo | Route::Bridged(_) | Route::Supervising => port.tell_played(play, Played::Stopped),
            }
        });
    }
}

/// The ports that a command may hold, or hold no longer.
fn may_hold(command: &Command) -> [Option<PortId>; 2] {
    match *command {
        Command::Configure { port, .. }
        | Command::Hold { port, .. }
        | Command::Unhold { port }
        | Command::EnterRoom { port, .. }
        | Command::Supervise { port, .. } => [Some(port), None],
        Command::Join { a, b } => [Some(a), Some(b)],
        _ => [None; 2],
    }
}
