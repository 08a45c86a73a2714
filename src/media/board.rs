//! The ports, bridges, rooms and taps of one media thread, without their sockets: packets and beats come in, packets go to a [`Wire`].
//! Above: `shard`. Beside: `bridge` (packets from port to port), `generator` (the beat), `supervision` (taps), `desk` (commands).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::bridge::Passing;
use super::clock::{Moment, Slot};
use super::command::{Event, PortId, TapId};
use super::copies::{Content, CopyWriter};
use super::port::{Kind, Port, Route};
use super::recording::Recording;
use super::report::Epoch;
use super::room::Room;
use super::tap::Tap;
use crate::rtp::packet::{self, Header, Packet};
use crate::rtp::rtcp::{self, Leaving};

/// Longest datagram looked at, in bytes; so also the most samples of one packet.
pub(super) const MAX_DATAGRAM: usize = 2_048;
/// Slots between two looks at the clocks of some ports, and the number of looks until all had theirs: 25 ms, 250 ms.
pub(super) const WATCH_SLOTS: u64 = 5;
const WATCH_GROUPS: usize = 10;

/// A port's place on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seat(pub(super) u32);

impl Seat {
    /// The place as an index.
    pub(super) fn index(self) -> usize {
        self.0 as usize // u32 fits into usize on every system with threads
    }
}

/// What a board sends packets through: sockets, or a test's list.
pub(super) trait Wire {
    /// Sends an RTP packet to the peer of the port on `seat`.
    fn send(&mut self, seat: Seat, packet: &[u8]);
    /// Sends an RTCP packet to it.
    fn send_report(&mut self, seat: Seat, packet: &[u8]);
    /// From now on sends to `target`, and lets in what it says.
    fn aim(&mut self, seat: Seat, target: &Target);
    /// From now on sends RTP to `remote`, and lets in nothing else.
    fn lock(&mut self, seat: Seat, remote: SocketAddr);
    /// From now on sends RTCP to `remote`.
    fn aim_reports(&mut self, seat: Seat, remote: SocketAddr);
}

/// Where a port's peer is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: SocketAddr,
    /// RTCP goes through the RTP socket (RFC 5761).
    pub(super) is_muxed: bool,
    /// The peer may send from elsewhere, at this address.
    pub(super) nat: Option<IpAddr>,
}

/// What holds for every port of a board.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) rtp_timeout: Duration,
    pub(super) rtcp_interval: Duration,
    pub(super) epoch: Epoch,
    /// Seed of the spread of reports; not secret, not 0.
    pub(super) dice: u64,
}

/// The board.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) settings: Settings,
    pub(super) ports: Vec<Option<Box<Port>>>,
    pub(super) taps: Vec<Option<Box<Tap>>>,
    pub(super) recordings: Vec<Option<Box<Recording>>>,
    /// Where their copies go.
    pub(super) copying: Option<CopyWriter>,
    pub(super) rooms: Vec<Option<Box<Room>>>,
    pub(super) by_id: HashMap<PortId, Seat>,
    pub(super) by_tap: HashMap<TapId, usize>,
    pub(super) by_recording: HashMap<TapId, usize>,
    /// Ports that make packets of their own.
    pub(super) generating: Vec<Seat>,
    pub(super) scratch: Box<Scratch>,
    /// Frames that supervisors did not fetch in time.
    pub(super) frames_dropped: u64,
}

/// Room to work in, so that nothing is allocated.
#[derive(Debug)]
pub(super) struct Scratch {
    /// What the sender of the packet in hand says.
    pub(super) heard: [i16; MAX_DATAGRAM],
    pub(super) samples: [i16; MAX_DATAGRAM],
    pub(super) total: [i32; MAX_DATAGRAM],
    pub(super) packet: [u8; MAX_DATAGRAM],
}

impl Board {
    /// An empty board.
    pub(super) fn new(settings: Settings) -> Self {
        let scratch = Scratch {
            heard: [0; MAX_DATAGRAM],
            samples: [0; MAX_DATAGRAM],
            total: [0; MAX_DATAGRAM],
            packet: [0; MAX_DATAGRAM],
        };
        Self {
            settings,
            ports: Vec::new(),
            taps: Vec::new(),
            recordings: Vec::new(),
            copying: None,
            rooms: Vec::new(),
            by_id: HashMap::new(),
            by_tap: HashMap::new(),
            by_recording: HashMap::new(),
            generating: Vec::new(),
            scratch: Box::new(scratch),
            frames_dropped: 0,
        }
    }

    /// Takes a datagram of the RTP socket. `from` is `None` when the kernel lets only the locked address through.
    pub(super) fn receive(
        &mut self,
        seat: Seat,
        bytes: &mut [u8],
        from: Option<SocketAddr>,
        at: (Moment, &mut impl Wire),
    ) {
        if packet::is_rtcp(bytes) {
            return self.receive_report(seat, bytes, from, at);
        }
        let (now, wire) = at;
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return };
        let Ok(packet) = Packet::parse(bytes) else { return port.count_malformed() };
        let Some(taken) = port.take(&packet, from, &bytes[packet.payload.clone()], now) else { return };
        if let Some(remote) = taken.latched {
            wire.lock(seat, remote);
            port.tell(Event::Latched { port: port.id, remote });
        }
        for press in taken.presses.into_iter().flatten() {
            port.tell_press(press);
        }
        let Some(coding) = port.stream.as_ref().filter(|stream| stream.receive).map(|stream| stream.coding) else {
            return;
        };
        let to = match port.route {
            Route::Alone | Route::Room | Route::Supervising => None,
            Route::Echo => Some(seat),
            Route::Bridged(to) => Some(to),
        };
        let listened_to = coding.codec().filter(|_| taken.kind == Kind::Audio && port.is_listened_to());
        let (header, payload) = (packet.header, packet.payload.clone());
        if let Some(content) = Content::of(taken.kind, coding).filter(|_| !port.recordings.is_empty()) {
            self.copy(seat, content, (&header, &bytes[payload.clone()]), now);
        }
        // Before passing on, which may write over the payload.
        let heard = listened_to.map(|codec| codec.decode(&bytes[payload], &mut self.scratch.heard));
        if let Some(to) = to {
            self.pass(Passing { from: seat, to, packet, kind: taken.kind, coding }, bytes, now, wire);
        }
        // The other party does not wait until all listeners have it.
        if let Some(heard) = heard {
            self.show(seat, &header, heard, now);
        }
    }

    /// Takes a datagram of the RTCP socket, or an RTCP packet of the RTP socket.
    pub(super) fn receive_report(
        &mut self,
        seat: Seat,
        bytes: &[u8],
        from: Option<SocketAddr>,
        at: (Moment, &mut impl Wire),
    ) {
        let (now, wire) = at;
        let epoch = self.settings.epoch;
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return };
        if from.is_some_and(|from| !port.latch.allows_report(from.ip())) {
            return port.count_stranger();
        }
        let Some(incoming) = rtcp::parse(bytes, port.out.ssrc()) else { return port.count_malformed() };
        port.reports.hear(&incoming, now, epoch);
        // Behind a NAT the peer's RTCP comes from a port that only its packets show.
        if let (Some(from), Some(Target { nat: Some(_), is_muxed: false, .. })) = (from, port.target) {
            wire.aim_reports(seat, from);
        }
    }

    /// Does what is due in a slot.
    pub(super) fn beat(&mut self, slot: Slot, wire: &mut impl Wire) {
        self.mix_rooms(slot);
        for at in (0..self.generating.len()).rev() {
            self.emit(self.generating[at], slot, wire);
        }
        self.beat_taps(slot);
        if slot.0.is_multiple_of(WATCH_SLOTS) {
            self.sweep_recordings();
            let group = (slot.0 / WATCH_SLOTS) as usize % WATCH_GROUPS;
            for at in (group..self.ports.len()).step_by(WATCH_GROUPS) {
                self.watch(at, slot.start(), wire);
            }
        }
    }

    /// Whether every slot has something to do.
    pub(super) fn has_beat(&self) -> bool {
        !self.generating.is_empty() || !self.by_tap.is_empty() || self.has_rooms()
    }

    /// Whether there is anything to watch over.
    pub(super) fn has_ports(&self) -> bool {
        !self.by_id.is_empty()
    }

    /// Ports on the board.
    pub(super) fn port_count(&self) -> usize {
        self.by_id.len()
    }

    /// The port on a seat.
    pub(super) fn port(&self, seat: Seat) -> Option<&Port> {
        self.ports.get(seat.index()).and_then(Option::as_deref)
    }

    /// The port on a seat, to be changed.
    pub(super) fn port_mut(&mut self, seat: Seat) -> Option<&mut Port> {
        self.ports.get_mut(seat.index()).and_then(Option::as_deref_mut)
    }

    /// The seat of a port.
    pub(super) fn seat_of(&self, id: PortId) -> Option<Seat> {
        self.by_id.get(&id).copied()
    }

    /// Sends a report of the port on `seat`.
    pub(super) fn report(&mut self, seat: Seat, leaving: Leaving, now: Moment, wire: &mut impl Wire) {
        let epoch = self.settings.epoch;
        let Some(port) = self.port_mut(seat) else { return };
        let (reports, reception, out) = port.report_parts();
        let mut bytes = [0; rtcp::MAX_BYTES];
        let length = reports.write((reception, out), leaving, (now, epoch), &mut bytes);
        wire.send_report(seat, &bytes[..length]);
    }

    /// Shows the taps of a port, the room it is in, and whoever asked how loud it is, what its peer says: so many samples of the scratch.
    fn show(&mut self, seat: Seat, header: &Header, count: usize, now: Moment) {
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return };
        let samples = &self.scratch.heard[..count];
        port.hear(samples);
        if let Some(press) = port.phone.as_mut().and_then(|phone| phone.take(header, samples, now)) {
            port.tell_press(press);
        }
        for &(tap, side) in &port.taps {
            if let Some(tap) = self.taps.get_mut(tap).and_then(Option::as_mut) {
                tap.show(side, header, samples, now);
            }
        }
        self.hear_member(seat, header, count, now);
    }

    fn watch(&mut self, at: usize, now: Moment, wire: &mut impl Wire) {
        let Settings { rtp_timeout, rtcp_interval, .. } = self.settings;
        let dice = self.roll();
        let Some(port) = self.ports.get_mut(at).and_then(Option::as_mut) else { return };
        port.watch(now, rtp_timeout);
        let is_changed = port.look_at_silence(now);
        if port.stream.is_some() && !rtcp_interval.is_zero() && port.reports.is_due(now, rtcp_interval, dice) {
            self.report(Seat(at as u32), Leaving::No, now, wire); // `at` came from a seat
        }
        if is_changed {
            self.refresh(Seat(at as u32));
        }
    }

    /// A number between 0 and 1 (xorshift: it only has to spread).
    pub(super) fn roll(&mut self) -> f64 {
        let mut dice = self.settings.dice;
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        self.settings.dice = dice;
        (dice >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
