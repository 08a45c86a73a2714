//! What a listener costs and what the parties notice of it: relayed calls alone, with one supervisor each, and with all supervisors
//! on one call, in the same run. `cargo bench --bench spy [-- --calls 100 --seconds 5]`. Read the ratios, not the absolute values.

#[path = "common/arguments.rs"]
mod arguments;
#[path = "common/calls.rs"]
mod calls;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::mpsc;
use wirechief::media::{Command, EarFrame, Engine, MediaConfig, Sides, TapAudio, TapId};

use arguments::number;
use calls::{BEAT, Call, Packet, beats, converse, cpu, packet};

/// µ-law: silence, and as loud as it gets.
const SILENT: u8 = 0xff;
const LOUD: u8 = 0x80;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let calls = number(&arguments, "--calls").unwrap_or(100);
    let time = Duration::from_secs(number(&arguments, "--seconds").unwrap_or(5));
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
    let (done, probe, others) = (AtomicBool::new(false), &calls[0], &calls[1..]);
    let (mut sequence, mut heard) = (0, Heard::default());
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| latencies(probe, &done));
        converse((others, &mut sequence), Duration::from_secs(1), voice, || heard.take(&mut rings));
        heard.frames = 0;
        let before = cpu("media-")?;
        let arrived = converse((others, &mut sequence), time, voice, || heard.take(&mut rings));
        let cpu = cpu("media-")? - before;
        done.store(true, Ordering::Relaxed);
        let mut latencies = watch.join().ok().context("the watched call")??;
        latencies.sort_unstable();
        let should = beats(time) * listeners.len() as u64;
        let lost = (beats(time) * 2 * others.len() as u64).saturating_sub(arrived);
        let stats = engine.stats();
        engine.shutdown();
        Ok(Figures {
            cpu,
            latencies,
            tick_late_us: stats.tick_late_p99_us,
            lost,
            frames_percent: if should == 0 { 100.0 } else { 100.0 * heard.frames as f64 / should as f64 },
            apart_samples: apart(&heard.ear),
        })
    })
}

/// What the supervisors are given: how many frames, and what the first of them heard of each party.
#[derive(Default)]
struct Heard {
    frames: u64,
    ear: [Vec<i16>; 2],
}

impl Heard {
    fn take(&mut self, rings: &mut [rtrb::Consumer<EarFrame>]) {
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
        second.send_to(&voice(sequence, call.ports[1].rtp), call.ports[1].rtp)?;
        let sent = Instant::now();
        first.send_to(&voice(sequence, call.ports[0].rtp), call.ports[0].rtp)?;
        let expected = sequence.to_be_bytes();
        let mut has_come = false;
        // The numbers are the server's own, but each packet sent is one that comes.
        while !has_come {
            let length = second.recv(&mut buffer).with_context(|| format!("packet {sequence}"))?;
            has_come = length == size_of::<Packet>() && buffer[12..14] == expected;
        }
        latencies.push(sent.elapsed());
        while first.recv(&mut buffer).is_ok() {}
    }
    Ok(latencies)
}

/// A packet that says its number in its first two samples, at the quiet end of µ-law as far as it goes.
fn voice(sequence: u16, to: SocketAddr) -> Packet {
    let byte = if sequence.is_multiple_of(25) { LOUD } else { SILENT };
    let mut packet = packet(sequence, to, byte);
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
