//! The media threads over real loopback sockets, and the proof that they allocate nothing while calls run.
//!
//! An allocator that counts is the allocator of this whole program, so the tests take turns.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use wirechief::audio::codec::Codec;
use wirechief::audio::tone;
use wirechief::media::{Command, Engine, Event, MediaConfig, OpenPort, PlayId, PortId, Source, Stream};
use wirechief::rtp::packet::{Header, Packet};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time, so that what is counted is the media thread's.
static TURN: Mutex<()> = Mutex::new(());

/// How long anything awaited may take; far more than it does.
const PATIENCE: Duration = Duration::from_secs(10);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An engine, and the turn to use it.
struct Stage {
    engine: Engine,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    fn new(change: impl FnOnce(&mut MediaConfig)) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut config = MediaConfig {
            bind: LOCALHOST,
            ports: 42_000..=48_999,
            threads: 1,
            rtp_timeout: Duration::ZERO,
            drain: Duration::ZERO,
            rtcp_interval: Duration::ZERO,
        };
        change(&mut config);
        Self { engine: Engine::start(config).expect("an engine"), _turn: turn }
    }

    fn phone(&self) -> Phone {
        self.phone_with(|_| {})
    }

    /// A phone with a port of the engine, configured as `change` says.
    fn phone_with(&self, change: impl FnOnce(&mut Stream)) -> Phone {
        let (sender, events) = mpsc::channel(64);
        let port = self.engine.open(None, sender).expect("a port");
        let phone = Phone::new(port, events);
        let mut stream = phone.stream();
        change(&mut stream);
        self.engine.send(Command::Configure { port: port.id, stream });
        phone
    }

    fn join(&self, a: &Phone, b: &Phone) {
        self.engine.send(Command::Join { a: a.port.id, b: b.port.id });
    }
}

/// The far end of a port.
struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    port: OpenPort,
    events: mpsc::Receiver<Event>,
    next: Header,
    buffer: [u8; 2_048],
}

impl Phone {
    fn new(port: OpenPort, events: mpsc::Receiver<Event>) -> Self {
        let socket = || {
            let socket = UdpSocket::bind((LOCALHOST, 0)).expect("a socket");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            socket
        };
        let next =
            Header { marker: false, payload_type: 0, sequence: 4_000, timestamp: 777, ssrc: port.rtp.port().into() };
        Self { rtp: socket(), rtcp: socket(), port, events, next, buffer: [0; 2_048] }
    }

    fn id(&self) -> PortId {
        self.port.id
    }

    fn stream(&self) -> Stream {
        Stream {
            remote: self.rtp.local_addr().expect("an address"),
            rtcp: self.rtcp.local_addr().expect("an address"),
            codec: Codec::Pcmu,
            payload: 0,
            ptime_ms: 20,
            telephone_event: Some(101),
            send: true,
            receive: true,
            nat_source: None,
            rtcp_mux: false,
        }
    }

    /// Sends the next packet of 160 bytes.
    fn say(&mut self, payload: &[u8; 160]) {
        self.say_from_to(None, payload);
    }

    fn say_from_to(&mut self, from: Option<&UdpSocket>, payload: &[u8; 160]) {
        let mut packet = [0; 172];
        packet[..12].copy_from_slice(&self.next.to_bytes());
        packet[12..].copy_from_slice(payload);
        from.unwrap_or(&self.rtp).send_to(&packet, self.port.rtp).expect("sent");
        self.next.sequence = self.next.sequence.wrapping_add(1);
        self.next.timestamp = self.next.timestamp.wrapping_add(160);
    }

    /// The next packet that comes.
    fn hear(&mut self) -> (Header, &[u8]) {
        let length = self.rtp.recv(&mut self.buffer).expect("a packet in time");
        let packet = Packet::parse(&self.buffer[..length]).expect("RTP");
        (packet.header, &self.buffer[packet.payload])
    }

    /// The next packet that is not silence of our own making.
    fn hear_sound(&mut self) -> (Header, [u8; 160]) {
        loop {
            let (header, payload) = self.hear();
            if payload.iter().any(|&byte| byte != 0xff) {
                return (header, payload.try_into().expect("160 bytes"));
            }
        }
    }

    fn event(&mut self) -> Event {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let event = runtime.block_on(async { tokio::time::timeout(PATIENCE, self.events.recv()).await });
        event.expect("an event in time").expect("the port's end")
    }
}

#[test]
fn two_joined_phones_hear_each_other_unchanged() {
    let stage = Stage::new(|_| {});
    let (mut a, mut b) = (stage.phone(), stage.phone());
    stage.join(&a, &b);
    let mut first = None;
    for n in 1..=50u8 {
        a.say(&[n; 160]);
        let (header, payload) = b.hear_sound();
        assert_eq!(payload, [n; 160]);
        let first = *first.get_or_insert(header.sequence.wrapping_sub(n.into()));
        assert_eq!(header.sequence.wrapping_sub(first), u16::from(n), "none missing, none added");
        b.say(&[n + 100; 160]);
        assert_eq!(a.hear_sound().1, [n + 100; 160]);
    }
    stage.engine.send(Command::Close { port: a.id() });
    let Event::Closed { stats, .. } = a.event() else { panic!("closed") };
    assert_eq!((stats.packets_in, stats.bytes_in, stats.lost, stats.malformed), (50, 8_000, 0, 0));
}

#[test]
fn a_port_plays_to_the_end_then_sends_silence_steadily() {
    let stage = Stage::new(|_| {});
    let mut phone = stage.phone();
    let mut samples = vec![0i16; 16_000];
    tone::Oscillator::new([1_000.0, 0.0], -10.0).fill(&mut samples);
    let source = Source::Samples { rate_hz: 16_000, samples: samples.into(), repeat: false };
    stage.engine.send(Command::Play { port: phone.id(), id: PlayId(7), source });
    let mut heard = Vec::new();
    let (first, payload) = phone.hear_sound();
    let mut samples = [0; 160];
    Codec::Pcmu.decode(&payload, &mut samples);
    heard.extend(samples);
    for n in 1..=55u16 {
        let (header, payload) = phone.hear();
        assert_eq!(header.sequence, first.sequence.wrapping_add(n));
        assert_eq!(header.timestamp, first.timestamp.wrapping_add(u32::from(n) * 160));
        Codec::Pcmu.decode(payload, &mut samples);
        heard.extend(samples);
    }
    // The oscillator counts samples of 8 kHz: at 16 kHz its tone is twice as high. After a second comes nothing.
    assert!((tone::level_db(&heard[..7_900], 2_000.0) + 10.0).abs() < 0.5);
    assert_eq!(heard[8_160..], [0; 8_960 - 8_160]);
    assert_eq!(phone.event(), Event::Played { id: PlayId(7), finished: true });
}

#[test]
fn an_echo_returns_sound_and_digits() {
    let stage = Stage::new(|_| {});
    let mut phone = stage.phone();
    stage.engine.send(Command::Echo { port: phone.id(), on: true });
    phone.say(&[9; 160]);
    assert_eq!(phone.hear_sound().1, [9; 160]);
    let mut event = phone.next.to_bytes().to_vec();
    event[1] = 101;
    event.extend([11, 0x8a, 3, 0x20]); // '#', end, 800 units
    phone.rtp.send_to(&event, phone.port.rtp).expect("sent");
    assert_eq!(phone.event(), Event::Digit { port: phone.id(), digit: '#', ms: 100 });
    loop {
        let (header, payload) = phone.hear();
        if header.payload_type == 101 {
            assert_eq!(payload, [11, 0x8a, 3, 0x20]);
            break;
        }
    }
}
