//! From port to port, on arrival: one function decides for each packet whether it is relayed or mixed, and neither adds, drops,
//! delays or reorders one. Above: `board`. Below: `outgoing` (numbers), `voice` (what supervisors say).

use super::board::{Board, MAX_DATAGRAM, Seat, Wire};
use super::clock::Moment;
use super::outgoing::Feed;
use super::player::Progress;
use super::port::{Kind, Played, Port};
use super::setup::Stream;
use super::voice;
use crate::audio::codec::Coding;
use crate::audio::frame::{FRAME_SAMPLES, SILENCE};
use crate::audio::mix;
use crate::rtp::packet::{Header, Packet};

/// A packet on its way from one port to another, or back to the same.
#[derive(Clone, Debug)]
pub(super) struct Passing {
    pub(super) from: Seat,
    pub(super) to: Seat,
    pub(super) packet: Packet,
    pub(super) kind: Kind,
    /// The coding of its sound.
    pub(super) coding: Coding,
}

/// What happens to the sound of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    /// The payload stays as it is, or is rewritten byte by byte in the other law.
    Relay,
    /// Supervisors, or what plays over, are heard over it.
    Mix,
}

/// With what payload type a stream sends a packet that came in `coding`, and how many samples at 8 kHz it lasts. None of what was not
/// negotiated, or cannot be turned into what was.
fn sent_as(stream: &Stream, kind: Kind, coding: Coding, bytes: usize) -> Option<(u8, usize)> {
    match kind {
        Kind::Audio if !coding.reaches(stream.coding) => None,
        Kind::Audio => Some((stream.payload, coding.samples(bytes))),
        Kind::Event => Some((stream.telephone_event?, 0)),
    }
}

impl Board {
    /// Sends a packet on to the peer of another port.
    pub(super) fn pass(&mut self, passing: Passing, bytes: &mut [u8], now: Moment, wire: &mut impl Wire) {
        let Passing { from, to, packet, kind, coding } = passing;
        let is_held = |seat| self.port(seat).is_some_and(|port| port.hold.is_some());
        if is_held(from) || is_held(to) {
            return; // both parties hear what `generator` makes
        }
        let Some(port) = self.ports.get_mut(to.index()).and_then(Option::as_mut) else { return };
        let Some(stream) = &port.stream else { return };
        let feed = Feed::Peer { seat: from.0, ssrc: packet.header.ssrc };
        if !stream.send {
            return port.out.interrupt();
        }
        let sent = sent_as(stream, kind, coding, packet.payload.len());
        // What is only passed on is neither rewritten nor mixed into.
        let codecs = coding.codec().zip(stream.coding.codec()).filter(|_| kind == Kind::Audio);
        // While a key is pressed nothing else may sound.
        let Some((payload_type, samples)) = sent.filter(|_| !port.is_pressing()) else {
            return port.out.skip(feed, &packet.header);
        };
        let payload = &mut bytes[packet.payload.clone()];
        let header = Header { payload_type, ..packet.header };
        // At most some hundred samples a byte, of MAX_DATAGRAM bytes.
        let Some(header) = port.out.relay(feed, &header, samples as u32, now) else { return };
        port.out.count(payload.len());
        let is_spoken_to = kind == Kind::Audio && port.is_spoken_to();
        let treatment = if is_spoken_to { self.gather(to, samples, now) } else { Treatment::Relay };
        match (treatment, codecs) {
            (_, None) => {}
            (Treatment::Relay, Some((codec, to_codec))) => codec.transcode(to_codec, payload),
            (Treatment::Mix, Some((codec, to_codec))) => {
                let (samples, total) = (&mut self.scratch.samples, &mut self.scratch.total);
                let samples = &mut samples[..payload.len()];
                codec.decode(payload, samples);
                voice::speak_over(&mut total[..payload.len()], samples);
                to_codec.encode(samples, payload);
            }
        }
        wire.send(to, packet.rewrite(header, bytes));
    }

    /// Whether anything is to be heard over the sound of the port on `seat` now; then its sum is in the scratch.
    pub(super) fn has_voice(&mut self, seat: Seat, samples: usize, now: Moment) -> bool {
        self.gather(seat, samples, now) == Treatment::Mix
    }

    /// Sums what supervisors say and what plays over; silence in all of it leaves the packet as it is.
    fn gather(&mut self, seat: Seat, samples: usize, now: Moment) -> Treatment {
        let Some(port) = self.ports.get_mut(seat.index()).and_then(Option::as_mut) else { return Treatment::Relay };
        let total = &mut self.scratch.total[..samples.min(MAX_DATAGRAM)];
        total.fill(0);
        let mut any = false;
        for &(tap, side) in &port.taps {
            let Some(tap) = self.taps.get_mut(tap).and_then(Option::as_mut) else { continue };
            if tap.reaches(side) {
                tap.voice_at = now;
            }
            any |= tap.voice.add_to(side, total, now);
        }
        any |= port.over.is_some();
        if port.add_over(total) == Progress::Finished {
            self.refresh(seat);
        }
        let total = &self.scratch.total[..samples.min(MAX_DATAGRAM)];
        if any && total.iter().any(|&sum| sum != 0) { Treatment::Mix } else { Treatment::Relay }
    }
}

impl Port {
    /// Adds what plays over to `total`.
    fn add_over(&mut self, total: &mut [i32]) -> Progress {
        let Some(player) = &mut self.over else { return Progress::Playing };
        let mut progress = Progress::Playing;
        for sums in total.chunks_mut(FRAME_SAMPLES) {
            let mut samples = SILENCE;
            progress = player.fill(&mut samples[..sums.len()]);
            mix::add(sums, &samples);
        }
        if progress == Progress::Finished {
            let id = player.id;
            self.over = None;
            self.tell_played(id, Played::Finished);
        }
        progress
    }
}
