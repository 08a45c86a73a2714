//! What it costs to record calls: relayed calls alone and the same calls on record, turn by turn in the same run; CPU of the media
//! threads and the recorder's. `cargo bench --bench record [-- --calls 500 --seconds 5 --rounds 3 --folder /tmp]`. Read the ratios.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wirechief::audio::codec::Codec;
use wirechief::media::{Command, Engine, Event, MediaConfig, OpenPort, Stream, TapId};
use wirechief::recorder::{Finished, Form, Order, Recorder, Running};

const BEAT: Duration = Duration::from_millis(20);
/// The calls of a beat are spread over it, as in life.
const SLICES: usize = 20;
const PACKET_BYTES: usize = 172;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let calls = number(&arguments, "--calls").unwrap_or(500);
    let time = Duration::from_secs(number(&arguments, "--seconds").unwrap_or(5) as u64);
    let rounds = number(&arguments, "--rounds").unwrap_or(3);
    let folder = text(&arguments, "--folder").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("record-bench-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    println!(
        "{calls} relayed calls, {} s each, {rounds} rounds; CPU of the media thread and the recorder",
        time.as_secs()
    );
    let mut sums = [Figures::default(), Figures::default(), Figures::default()];
    for round in 0..rounds {
        for (sum, (name, form)) in sums.iter_mut().zip([
            ("plain", None),
            ("recorded", Some(Form::Pcm16)),
            ("as it came", Some(Form::AsCame(Codec::Pcmu))),
        ]) {
            let figures = measure(calls, form.map(|form| (folder.join(format!("{name}-{round}")), form)), time)?;
            figures.print(name, time);
            sum.add(&figures);
        }
    }
    let [plain, pcm, kept] = sums.map(|sum| (sum.media + sum.recorder).as_secs_f64());
    println!("a recorded call costs {:5.3} of a relayed one, kept as it came {:5.3}", pcm / plain, kept / plain);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[derive(Default)]
struct Figures {
    media: Duration,
    recorder: Duration,
    /// Packets that the far ends did not get, and copies that were not recorded.
    lost: u64,
    dropped: u64,
    tick_late_us: u64,
}

impl Figures {
    fn print(&self, name: &str, time: Duration) {
        let percent = |cpu: Duration| 100.0 * cpu.as_secs_f64() / time.as_secs_f64();
        println!(
            "{name:12} media {:6.2} %  recorder {:6.2} % of a core  lost {}  dropped {}  ticks late p99 {} µs",
            percent(self.media),
            percent(self.recorder),
            self.lost,
            self.dropped,
            self.tick_late_us,
        );
    }

    fn add(&mut self, other: &Self) {
        self.media += other.media;
        self.recorder += other.recorder;
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
        for (socket, port) in self.sockets.iter().zip(&self.ports) {
            while socket.recv(&mut buffer).is_ok_and(|length| length == PACKET_BYTES) {
                arrived += 1;
            }
            // refused only when the engine is gone, which the count of arrivals shows
            let _ = socket.send_to(&packet(sequence, port.rtp), port.rtp);
        }
        arrived
    }
}

fn measure(calls: usize, on_record: Option<(PathBuf, Form)>, time: Duration) -> anyhow::Result<Figures> {
    let config = MediaConfig { ports: 20_000..=29_999, threads: 1, ..MediaConfig::default() };
    let engine = Engine::start(config)?;
    let recorder = Recorder::start()?;
    let calls = (0..calls).map(|_| Call::new(&engine)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut running = Vec::new();
    if let Some((folder, form)) = on_record {
        std::fs::create_dir(&folder)?;
        for (number, call) in calls.iter().enumerate() {
            let order = Order { form, ..Order::new(folder.join(format!("{number}.wav"))) };
            let (recording, copies) = recorder.open(order, mpsc::channel(1).0)?;
            let [left, right] = call.ports.map(|port| Some(port.id));
            engine.send(Command::Record { tap: TapId(number as u64), left, right, copies });
            running.push(recording);
        }
    }
    let mut load = Load { calls: &calls, sequence: 0, arrived: 0 };
    load.run(Duration::from_secs(1));
    load.arrived = 0;
    let before = [cpu("media-")?, cpu("recorder")?];
    load.run(time);
    let [media, recorder_cpu] = [cpu("media-")? - before[0], cpu("recorder")? - before[1]];
    let beats = (time.as_millis() / BEAT.as_millis()) as u64;
    let finished = finish(running)?;
    let lost_copies = finished.iter().map(|finished| finished.dropped).sum();
    let figures = Figures {
        media,
        recorder: recorder_cpu,
        lost: (beats * 2 * calls.len() as u64).saturating_sub(load.arrived),
        dropped: lost_copies,
        tick_late_us: engine.stats().tick_late_p99_us,
    };
    engine.shutdown();
    Ok(figures)
}

fn finish(running: Vec<Running>) -> anyhow::Result<Vec<Finished>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut all = Vec::new();
        for running in running {
            all.push(running.stop().await?);
        }
        Ok(all)
    })
}

struct Load<'a> {
    calls: &'a [Call],
    sequence: u16,
    arrived: u64,
}

impl Load<'_> {
    fn run(&mut self, time: Duration) {
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
        }
    }
}

fn packet(sequence: u16, to: SocketAddr) -> [u8; PACKET_BYTES] {
    let mut packet = [sequence as u8; PACKET_BYTES]; // any sound
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&u32::from(to.port()).to_be_bytes());
    packet
}

/// CPU time of the threads of a name so far.
fn cpu(name: &str) -> anyhow::Result<Duration> {
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

fn text<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

fn number(arguments: &[String], name: &str) -> Option<usize> {
    text(arguments, name)?.parse().ok()
}
