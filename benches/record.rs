//! What it costs to record calls: relayed calls alone and the same calls on record, turn by turn in the same run; CPU of the media
//! threads and the recorder's. `cargo bench --bench record [-- --calls 500 --seconds 5 --rounds 3 --folder /tmp]`. Read the ratios.

#[path = "common/arguments.rs"]
mod arguments;
#[path = "common/calls.rs"]
mod calls;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use wirechief::audio::codec::Codec;
use wirechief::media::{Command, Engine, MediaConfig, TapId};
use wirechief::recorder::{Finished, Form, Order, Recorder, Running};

use arguments::{number, text};
use calls::{Call, beats, converse, cpu, packet};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let calls = number(&arguments, "--calls").unwrap_or(500);
    let time = Duration::from_secs(number(&arguments, "--seconds").unwrap_or(5));
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
    let mut sequence = 0;
    // any sound
    let mut speak =
        |time| converse((calls.as_slice(), &mut sequence), time, |number, to| packet(number, to, number as u8), || {});
    speak(Duration::from_secs(1));
    let before = [cpu("media-")?, cpu("recorder")?];
    let arrived = speak(time);
    let [media, recorder_cpu] = [cpu("media-")? - before[0], cpu("recorder")? - before[1]];
    let finished = finish(running)?;
    let lost_copies = finished.iter().map(|finished| finished.dropped).sum();
    let figures = Figures {
        media,
        recorder: recorder_cpu,
        lost: (beats(time) * 2 * calls.len() as u64).saturating_sub(arrived),
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
