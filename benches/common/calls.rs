//! Relayed calls of an engine in this process, both of their far ends, and what its threads cost.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wirechief::audio::codec::Codec;
use wirechief::media::{Command, Engine, Event, OpenPort, Stream};

/// How often a party sends a packet.
pub(crate) const BEAT: Duration = Duration::from_millis(20);
/// The calls of a beat are spread over it, as in life.
const SLICES: usize = 20;
/// A packet of G.711 with its header.
const PACKET_BYTES: usize = 172;

/// One party's packet.
pub(crate) type Packet = [u8; PACKET_BYTES];

/// A call's far ends and its ports.
pub(crate) struct Call {
    pub(crate) sockets: [UdpSocket; 2],
    pub(crate) ports: [OpenPort; 2],
    _events: mpsc::Receiver<Event>,
}

impl Call {
    /// Two parties who hear each other.
    pub(crate) fn new(engine: &Engine) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::channel(16);
        let sockets = [UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?];
        let first = engine.open(None, sender.clone())?;
        let ports = [first, engine.open(Some(first.id), sender)?];
        for (socket, port) in sockets.iter().zip(&ports) {
            socket.set_nonblocking(true)?;
            engine.send(Command::Configure { port: port.id, stream: stream(socket.local_addr()?) });
        }
        engine.send(Command::Join { a: ports[0].id, b: ports[1].id });
        Ok(Self { sockets, ports, _events: events })
    }

    /// Both parties speak, each to the port that `packet` is told; how many packets came.
    pub(crate) fn speak(&self, packet: impl Fn(SocketAddr) -> Packet) -> u64 {
        let mut buffer = [0; 2_048];
        let mut arrived = 0;
        for (socket, port) in self.sockets.iter().zip(&self.ports) {
            while socket.recv(&mut buffer).is_ok_and(|length| length == PACKET_BYTES) {
                arrived += 1;
            }
            // refused only when the engine is gone, which the count of arrivals shows
            let _ = socket.send_to(&packet(port.rtp), port.rtp);
        }
        arrived
    }
}

/// All calls speak for a while, their packets made of the number of the beat and the port they go to; `after` follows each beat.
/// Returns how many packets came.
pub(crate) fn converse(
    (calls, sequence): (&[Call], &mut u16),
    time: Duration,
    packet: impl Fn(u16, SocketAddr) -> Packet,
    mut after: impl FnMut(),
) -> u64 {
    let mut arrived = 0;
    let start = Instant::now();
    for beat in 0..beats(time) as u32 {
        *sequence = sequence.wrapping_add(1);
        for slice in 0..SLICES {
            let due = start + BEAT * beat + BEAT * slice as u32 / SLICES as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            for call in calls.iter().skip(slice).step_by(SLICES) {
                arrived += call.speak(|to| packet(*sequence, to));
            }
        }
        after();
    }
    arrived
}

/// How many packets a party sends in a time.
pub(crate) fn beats(time: Duration) -> u64 {
    (time.as_millis() / BEAT.as_millis()) as u64
}

/// G.711 of this one byte, numbered.
pub(crate) fn packet(sequence: u16, to: SocketAddr, byte: u8) -> Packet {
    let mut packet = [byte; PACKET_BYTES];
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&u32::from(to.port()).to_be_bytes());
    packet
}

/// CPU time of the threads of a name so far.
pub(crate) fn cpu(name: &str) -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let folder = thread?.path();
        // A thread of the round before may end meanwhile.
        let Ok(comm) = std::fs::read_to_string(folder.join("comm")) else { continue };
        if comm.starts_with(name) {
            let text = std::fs::read_to_string(folder.join("schedstat"))?;
            total += Duration::from_nanos(text.split(' ').next().unwrap_or("0").parse()?);
        }
    }
    Ok(total)
}

fn stream(remote: SocketAddr) -> Stream {
    Stream {
        remote,
        rtcp: remote,
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
