//! An engine on loopback sockets, and phones at the far ends of its ports.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use wirechief::audio::codec::Codec;
use wirechief::media::{Command, Engine, Event, MediaConfig, OpenPort, PortId, Stream};
use wirechief::rtp::packet::{Header, Packet};

/// One test at a time, so that what is counted is the media thread's.
static TURN: Mutex<()> = Mutex::new(());

/// How long anything awaited may take; far more than it does.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An engine, and the turn to use it.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) _turn: MutexGuard<'static, ()>,
}

impl Stage {
    pub(super) fn new(change: impl FnOnce(&mut MediaConfig)) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        super::counting::count_mine();
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

    pub(super) fn phone(&self) -> Phone {
        self.phone_with(|_| {})
    }

    /// A phone with a port of the engine, configured as `change` says.
    pub(super) fn phone_with(&self, change: impl FnOnce(&mut Stream)) -> Phone {
        let (sender, events) = mpsc::channel(64);
        let port = self.engine.open(None, sender).expect("a port");
        let phone = Phone::new(port, events);
        let mut stream = phone.stream();
        change(&mut stream);
        self.engine.send(Command::Configure { port: port.id, stream });
        phone
    }

    pub(super) fn join(&self, a: &Phone, b: &Phone) {
        self.engine.send(Command::Join { a: a.port.id, b: b.port.id });
    }
}

/// The far end of a port.
pub(super) struct Phone {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) port: OpenPort,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) next: Header,
    buffer: [u8; 2_048],
}

impl Phone {
    pub(super) fn new(port: OpenPort, events: mpsc::Receiver<Event>) -> Self {
        let socket = || {
            let socket = UdpSocket::bind((LOCALHOST, 0)).expect("a socket");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            socket
        };
        let next =
            Header { marker: false, payload_type: 0, sequence: 4_000, timestamp: 777, ssrc: port.rtp.port().into() };
        Self { rtp: socket(), rtcp: socket(), port, events, next, buffer: [0; 2_048] }
    }

    pub(super) fn id(&self) -> PortId {
        self.port.id
    }

    pub(super) fn stream(&self) -> Stream {
        Stream {
            remote: self.rtp.local_addr().expect("an address"),
            rtcp: self.rtcp.local_addr().expect("an address"),
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

    /// Sends the next packet of 160 bytes.
    pub(super) fn say(&mut self, payload: &[u8; 160]) {
        let mut packet = [0; 172];
        packet[..12].copy_from_slice(&self.next.to_bytes());
        packet[12..].copy_from_slice(payload);
        self.rtp.send_to(&packet, self.port.rtp).expect("sent");
        self.next.sequence = self.next.sequence.wrapping_add(1);
        self.next.timestamp = self.next.timestamp.wrapping_add(160);
    }

    /// The next packet that comes.
    pub(super) fn hear(&mut self) -> (Header, &[u8]) {
        let length = self.rtp.recv(&mut self.buffer).expect("a packet in time");
        let packet = Packet::parse(&self.buffer[..length]).expect("RTP");
        (packet.header, &self.buffer[packet.payload])
    }

    /// The next packet that is not silence of our own making.
    pub(super) fn hear_sound(&mut self) -> (Header, [u8; 160]) {
        let (header, payload, _) = self.hear_behind_silence();
        (header, payload)
    }

    /// The same, and how many packets of silence came before it.
    pub(super) fn hear_behind_silence(&mut self) -> (Header, [u8; 160], u16) {
        for silent in 0.. {
            let (header, payload) = self.hear();
            if payload.iter().any(|&byte| byte != 0xff) {
                return (header, payload.try_into().expect("160 bytes"), silent);
            }
        }
        unreachable!("more silence than there are numbers")
    }

    pub(super) fn event(&mut self) -> Event {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let event = runtime.block_on(async { tokio::time::timeout(PATIENCE, self.events.recv()).await });
        event.expect("an event in time").expect("the port's end")
    }
}
