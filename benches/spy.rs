//! What a listener costs and what the parties notice of it: relayed calls alone, with one supervisor each, and with all supervisors
//! on one call, in the same run. `cargo bench --bench spy [-- --calls 100 --seconds 5]`. Read the ratios, not the absolute values.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::mpsc;
use wirechief::audio::codec::Codec;
use wirechief::media::{Command, EarFrame, Engine, Event, MediaConfig, OpenPort, Sides, Stream, TapAudio, TapId};

const BEAT: Duration = Duration::from_millis(20);
/// The calls of a beat are spread over it, as in life.
const SLICES: usize = 20;
const PACKET_BYTES: usize = 172;
/// µ-law: silence, and as loud as it gets.
const SILENT: u8 = 0xff;
const LOUD: u8 = 0x80;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let calls = argument(&arguments, "--calls").unwrap_or(100);
    let time = Duration::from_secs(argument(&arguments, "--seconds").unwrap_or(5) as u64);
    let plain = measure(calls, &[], time)?;
    let each: Vec<usize> = (0..calls).collect();
    let listened = measure(calls, &each, time)?;
    let crowded = measure(calls, &vec![0; calls], time)?;
    let per_call = plain.cpu.as_secs_f64() / calls as f64;
    println!("{calls} relayed calls, {} s each; CPU of the media threads", time.as_secs());
    for (name, figures) in [("no listener", &plain), ("one on each", &listened), ("all on one", &crowded)] {
        let listener = (figures.cpu.as_secs_f64() - plain.cpu.as_secs_f64()) / calls as f64;
        println!(
            "{name:12} {:6.2} % of a core  a listener costs {:5.2} of a call  latency p50 {:4} µs p99 {:5} µs  \
             ticks late p99 {:4} µs  lost {}  frames given {:5.2} %  voices apart {:.3} ms",
            100.0 * figures.cpu.as_secs_f64() / time.as_secs_f64(),
            listener / per_call,
            figures.percentile(50).as_micros(),
            figures.percentile(99).as_micros(),
            figures.tick_late_us,
            figures.lost,
            figures.frames_percent,
            figures.apart_samples as f64 / 8.0,
        );
    }
    Ok(())
}

struct Figures {
    cpu: Duration,
    /// From a party's packet to the other party, sorted.
    latencies: Vec<Duration>,
    tick_late_us: u64,
    lost: u64,
    /// Frames that supervisors got, of those that there should be.
    frames_percent: f64,
    /// Greatest distance of the two parties' voices in a supervisor's ear.
    apart_samples: usize,
}

impl Figures {
    fn percentile(&self, percent: usize) -> Duration {
        self.latencies.get(self.latencies.len() * percent / 100).copied().unwrap_or_default()
    }
}

/// A call's far ends and its ports.
struct Call {
    sockets: [UdpSocket; 2],
    ports: [OpenPort; 2],
    _events: mpsc::Receiver<Event>,
}

impl Call {
    fn new(engine: &Engine) -> anyhow::Result<Self> {
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

    /// Both parties speak; how many packets came.
    fn speak(&self, sequence: u16) -> u64 {
        let mut buffer = [0; 2_048];
        let mut arrived = 0;
        let byte = if sequence.is_multiple_of(25) { LOUD } else { SILENT };
        for (socket, port) in self.sockets.iter().zip(&self.ports) {
            while socket.recv(&mut buffer).is_ok_and(|length| length == PACKET_BYTES) {
                arrived += 1;
            }
            // refused only when the engine is gone, which the count of arrivals shows
            let _ = socket.send_to(&packet(sequence, port.rtp, byte), port.rtp);
        }
        arrived
    }
}

fn measure(calls: usize, listeners: &[usize], time: Duration) -> anyhow::Result<Figures> {
    let config = MediaConfig { ports: 20_000..=29_999, threads: 1, ..MediaConfig::default() };
    let engine = Engine::start(config)?;
    let calls = (0..calls).map(|_| Call::new(&engine)).collect::<anyhow::Result<Vec<_>>>()?;
    // The first call is watched closely, and not spoken on by the others' clock.
    let mut rings = Vec::new();
    for (tap, &call) in (1..).zip(listeners) {
        let (out, frames) = rtrb::RingBuffer::new(50);
        let (_, voice) = rtrb::RingBuffer::new(1);
        let audio = TapAudio { out, voice, events: mpsc::channel(4).0 };
        let [left, right] = calls[call].ports.map(|port| Some(port.id));
        let (hears, heard_by) = (Sides::BOTH, Sides::NONE);
        engine.send(Command::Attach { tap: TapId(tap), left, right, hears, heard_by, audio });
        rings.push(frames);
    }
    let mut load = Load { calls: &calls[1..], sequence: 0, arrived: 0, frames: 0, ear: [Vec::new(), Vec::new()] };
    let (done, probe) = (AtomicBool::new(false), &calls[0]);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| latencies(probe, &done));
        load.run(Duration::from_secs(1), &mut rings);
        (load.arrived, load.frames) = (0, 0);
        let before = media_cpu()?;
        load.run(time, &mut rings);
        let cpu = media_cpu()? - before;
        done.store(true, Ordering::Relaxed);
        let mut latencies = watch.join().ok().context("the watched call")??;
        latencies.sort_unstable();
        let beats = (time.as_millis() / BEAT.as_millis()) as u64;
        let should = beats * listeners.len() as u64;
        let lost = (beats * 2 * load.calls.len() as u64).saturating_sub(load.arrived);
        let stats = engine.stats();
        engine.shutdown();
        Ok(Figures {
            cpu,
            latencies,
            tick_late_us: stats.tick_late_p99_us,
            lost,
            frames_percent: if should == 0 { 100.0 } else { 100.0 * load.frames as f64 / should as f64 },
            apart_samples: apart(&load.ear),
        })
    })
}

struct Load<'a> {
    calls: &'a [Call],
    sequence: u16,
    arrived: u64,
    frames: u64,
    /// What the first supervisor heard of each party.
    ear: [Vec<i16>; 2],
}

impl Load<'_> {
    fn run(&mut self, time: Duration, rings: &mut [rtrb::Consumer<EarFrame>]) {
        let start = Instant::now();
        for beat in 0..(time.as_millis() / BEAT.as_millis()) as u32 {
            self.sequence = self.sequence.wrapping_add(1);
            for slice in 0..SLICES {
                let due = start + BEAT * beat + BEAT * slice as u32 / SLICES as u32;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                for call in self.calls.iter().skip(slice).step_by(SLICES) {
                    self.arrived += call.speak(self.sequence);
                }
            }
            for (nth, ring) in rings.iter_mut().enumerate() {
                while let Ok(frame) = ring.pop() {
                    self.frames += 1;
                    if nth == 0 {
                        self.ear[0].extend_from_slice(&frame[..160]);
                        self.ear[1].extend_from_slice(&frame[160..320]);
                    }
                }
            }
        }
    }
}

/// Both parties of a call speak every 20 ms; how long the first one's packets take to the second.
fn latencies(call: &Call, done: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
    let [first, second] = &call.sockets;
    second.set_nonblocking(false)?;
    second.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (mut latencies, mut buffer, start) = (Vec::new(), [0; 2_048], Instant::now());
    for sequence in 1u16.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let due = start + BEAT * u32::from(sequence);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let byte = if sequence.is_multiple_of(25) { LOUD } else { SILENT };
        second.send_to(&packet(sequence, call.ports[1].rtp, byte), call.ports[1].rtp)?;
        let sent = Instant::now();
        first.send_to(&packet(sequence, call.ports[0].rtp, byte), call.ports[0].rtp)?;
        let expected = sequence.to_be_bytes();
        let mut has_come = false;
        // The numbers are the server's own, but each packet sent is one that comes.
        while !has_come {
            let length = second.recv(&mut buffer).with_context(|| format!("packet {sequence}"))?;
            has_come = length == PACKET_BYTES && buffer[12..14] == expected;
        }
        latencies.push(sent.elapsed());
        while first.recv(&mut buffer).is_ok() {}
    }
    Ok(latencies)
}

/// A packet that says its number in its first two samples, at the quiet end of µ-law as far as it goes.
fn packet(sequence: u16, to: SocketAddr, byte: u8) -> [u8; PACKET_BYTES] {
    let mut packet = [byte; PACKET_BYTES];
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&u32::from(to.port()).to_be_bytes());
    packet[12..14].copy_from_slice(&sequence.to_be_bytes());
    packet
}

/// How far the loud stretches of two voices are apart at most.
fn apart(ear: &[Vec<i16>; 2]) -> usize {
    let begins = |voice: &Vec<i16>| -> Vec<usize> {
        let is_loud = |at: usize| voice[at..at + 16].iter().all(|sample| sample.unsigned_abs() > 20_000);
        (8_000..voice.len().saturating_sub(16)).filter(|&at| is_loud(at) && !is_loud(at - 1)).collect()
    };
    let (left, right) = (begins(&ear[0]), begins(&ear[1]));
    let nearest = |at: &usize| right.iter().map(|other| other.abs_diff(*at)).min().unwrap_or(usize::MAX);
    left.iter().map(nearest).filter(|&distance| distance < 2_000).max().unwrap_or(0)
}

/// CPU time of the media threads so far.
fn media_cpu() -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let folder = thread?.path();
        if std::fs::read_to_string(folder.join("comm"))?.starts_with("media-") {
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

fn argument(arguments: &[String], name: &str) -> Option<usize> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1)?.parse().ok()
}
