//! The board without sockets and on virtual time: packets go in, beats pass, and what left the board is looked at.
//! Here the hall and its people; `calls` and `foreign` test what ports do, `rooms`, `supervision` and `phones` who hears whom, `simulation` all by chance.

mod calls;
mod foreign;
mod phones;
mod recording;
mod rooms;
mod simulation;
mod supervision;

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::*;
use crate::audio::codec::{Codec, Coding};
use crate::audio::frame::FRAME_SAMPLES;
use crate::audio::tone::Oscillator;
use crate::media::command::{Command, EarFrame, Sides, TapAudio};
use crate::media::port::Seed;
use crate::media::setup::Stream;
use crate::rtp::packet::Header;

/// Tones of the left party, the right one and the supervisors; no harmonic of one is near another.
const LEFT_HZ: f32 = 450.0;
const RIGHT_HZ: f32 = 700.0;
const VOICE_HZ: f32 = 1_150.0;
const SECOND_VOICE_HZ: f32 = 1_600.0;

/// What left the board.
#[derive(Default)]
struct Air {
    sent: HashMap<Seat, Vec<Vec<u8>>>,
    reports: HashMap<Seat, Vec<Vec<u8>>>,
    locked: Vec<(Seat, SocketAddr)>,
    aimed: Vec<(Seat, Target)>,
}

impl Wire for Air {
    fn send(&mut self, seat: Seat, packet: &[u8]) {
        self.sent.entry(seat).or_default().push(packet.to_vec());
    }
    fn send_report(&mut self, seat: Seat, packet: &[u8]) {
        self.reports.entry(seat).or_default().push(packet.to_vec());
    }
    fn aim(&mut self, seat: Seat, target: &Target) {
        self.aimed.push((seat, *target));
    }
    fn lock(&mut self, seat: Seat, remote: SocketAddr) {
        self.locked.push((seat, remote));
    }
    fn aim_reports(&mut self, _: Seat, _: SocketAddr) {}
}

/// A board, its wire and its time.
struct Hall {
    board: Board,
    air: Air,
    slot: Slot,
    ports: u64,
}

/// A party at the far end of a port.
struct Party {
    id: PortId,
    seat: Seat,
    events: mpsc::Receiver<Event>,
    next: Header,
    oscillator: Oscillator,
    codec: Codec,
}

/// A supervisor's far ends.
struct Supervisor {
    frames: rtrb::Consumer<EarFrame>,
    voice: rtrb::Producer<[i16; 160]>,
    events: mpsc::Receiver<Event>,
    oscillator: Oscillator,
    heard: [Vec<i16>; 3],
}

impl Hall {
    fn new() -> Self {
        let settings = Settings {
            rtp_timeout: Duration::from_secs(2),
            rtcp_interval: Duration::from_secs(5),
            epoch: Epoch(0),
            dice: 1,
        };
        Self { board: Board::new(settings), air: Air::default(), slot: Slot(1_000), ports: 0 }
    }

    fn party(&mut self, hz: f32) -> Party {
        self.party_with(hz, |_| {})
    }

    fn party_with(&mut self, hz: f32, change: impl FnOnce(&mut Stream)) -> Party {
        self.ports += 1;
        let id = PortId(self.ports);
        let (sender, events) = mpsc::channel(100);
        let seat = self.board.seat(Box::new(Port::new(id, sender, Seed([self.ports as u8; 22]))));
        let mut stream = stream();
        change(&mut stream);
        // Who speaks what has no samples sends bytes of his own.
        let codec = stream.coding.codec().unwrap_or(Codec::Pcmu);
        let next = Header {
            marker: false,
            payload_type: stream.payload,
            sequence: 100,
            timestamp: 5_000,
            ssrc: 70 + self.ports as u32,
        };
        self.obey(Command::Configure { port: id, stream });
        Party { id, seat, events, next, oscillator: Oscillator::new([hz, 0.0], -10.0), codec }
    }

    fn supervisor(
        &mut self,
        number: u64,
        (left, right): (&Party, &Party),
        (hears, heard_by): (Sides, Sides),
    ) -> Supervisor {
        let (out, frames) = rtrb::RingBuffer::new(8);
        let (voice, said) = rtrb::RingBuffer::new(8);
        let (sender, events) = mpsc::channel(8);
        let audio = TapAudio { out, voice: said, events: sender };
        let (tap, left, right) = (TapId(number), Some(left.id), Some(right.id));
        self.obey(Command::Attach { tap, left, right, hears, heard_by, audio });
        let hz = if number == 1 { VOICE_HZ } else { SECOND_VOICE_HZ };
        Supervisor { frames, voice, events, oscillator: Oscillator::new([hz, 0.0], -10.0), heard: Default::default() }
    }

    fn set(&mut self, (hears, heard_by): (Sides, Sides)) {
        self.obey(Command::SetTap { tap: TapId(1), hears, heard_by });
    }

    fn obey(&mut self, command: Command) {
        self.board.obey(command, self.slot.start(), &mut self.air);
    }

    fn join(&mut self, a: &Party, b: &Party) {
        self.obey(Command::Join { a: a.id, b: b.id });
    }

    /// Lets 20 ms pass.
    fn tick(&mut self) {
        for _ in 0..4 {
            self.board.beat(self.slot, &mut self.air);
            self.slot = self.slot.after(1);
        }
    }

    fn ticks(&mut self, count: usize) {
        (0..count).for_each(|_| self.tick());
    }

    /// The party speaks 20 ms of its tone.
    fn speak(&mut self, party: &mut Party) {
        let (mut samples, mut payload) = ([0i16; 160], [0u8; 160]);
        party.oscillator.fill(&mut samples);
        party.codec.encode(&samples, &mut payload);
        self.send(party, &payload);
    }

    fn send(&mut self, party: &mut Party, payload: &[u8]) {
        let header = party.next;
        party.next.sequence = party.next.sequence.wrapping_add(1);
        party.next.timestamp = party.next.timestamp.wrapping_add(payload.len() as u32);
        self.send_as(party.seat, header, payload);
    }

    fn send_as(&mut self, seat: Seat, header: Header, payload: &[u8]) {
        let mut bytes = [&header.to_bytes(), payload].concat();
        self.board.receive(seat, &mut bytes, None, (self.slot.start(), &mut self.air));
    }

    /// Both speak and the supervisors too, for `count` ticks.
    fn talk(&mut self, parties: [&mut Party; 2], supervisors: &mut [&mut Supervisor], count: usize) {
        let [left, right] = parties;
        for _ in 0..count {
            self.speak(left);
            self.speak(right);
            for supervisor in supervisors.iter_mut() {
                supervisor.speak();
            }
            self.tick();
            for supervisor in supervisors.iter_mut() {
                supervisor.listen();
            }
        }
    }

    /// Takes what was sent to a party since the last time.
    fn heard_by(&mut self, party: &Party) -> Vec<Vec<u8>> {
        self.air.sent.remove(&party.seat).unwrap_or_default()
    }

    /// The sound of it.
    fn sound_at(&mut self, party: &Party) -> Vec<i16> {
        self.heard_by(party).iter().flat_map(|bytes| sound(party.codec, bytes)).collect()
    }
}

impl Supervisor {
    fn speak(&mut self) {
        let mut frame = [0; 160];
        self.oscillator.fill(&mut frame);
        self.voice.push(frame).expect("room");
    }

    fn listen(&mut self) {
        while let Ok(frame) = self.frames.pop() {
            for (heard, half) in self.heard.iter_mut().zip(frame.chunks(FRAME_SAMPLES)) {
                heard.extend(half);
            }
        }
    }

    fn forget(&mut self) {
        self.listen();
        self.heard = Default::default();
    }
}

fn stream() -> Stream {
    Stream {
        remote: "192.0.2.1:4000".parse().expect("an address"),
        rtcp: "192.0.2.1:4001".parse().expect("an address"),
        coding: Codec::Pcmu.into(),
        payload: 0,
        ptime_ms: 20,
        telephone_event: Some(101),
        send: true,
        receive: true,
        nat_source: None,
        rtcp_mux: false,
    }
}

fn sound(codec: Codec, bytes: &[u8]) -> Vec<i16> {
    let packet = Packet::parse(bytes).expect("a packet");
    let mut samples = vec![0; packet.payload.len()];
    codec.decode(&bytes[packet.payload], &mut samples);
    samples
}

fn header(bytes: &[u8]) -> Header {
    Packet::parse(bytes).expect("a packet").header
}
