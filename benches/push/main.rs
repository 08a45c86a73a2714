//! How fast recordings are delivered: the release `rec push` beside `curl --parallel` with the same files, headers and receiver, turn
//! by turn in the same run. `rec push` also hashes every file and brings every receipt to the disk.
//!
//! `cargo bench --bench push [-- --recordings 400 --kilobytes 480 --large 6 --rounds 7 --link 1000 --only tls]`. Read the ratios, not
//! the absolute values: both are measured on whatever else the machine does. The goals are a ratio of at least 1, where there is a link
//! to be filled, and a peak below 30 MB. Without a link, over loopback, everything is processor: that tells how much is in reserve.

#[path = "../common/arguments.rs"]
mod arguments;
#[path = "../common/child.rs"]
mod child;
mod curl;
mod receiver;
mod spool;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use arguments::{number, text};
use child::Cost;
use curl::Twin;
use receiver::{Receiver, Transport};
use spool::Recordings;

/// Of a large recording: about an hour of both sides.
const LARGE_BYTES: u64 = 60_000_000;
/// Uploads at once.
const PARALLEL: u32 = 8;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let count = number(&arguments, "--recordings").unwrap_or(400);
    let bytes = number::<u64>(&arguments, "--kilobytes").unwrap_or(480) * 1_000;
    let large = number(&arguments, "--large").unwrap_or(6);
    let rounds = number(&arguments, "--rounds").unwrap_or(7_u64).max(1);
    let only = text(&arguments, "--only");

    // on the disk of the target folder: in memory a receipt costs nothing
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!(
        "{PARALLEL} uploads at once, {rounds} rounds; CPU and memory are the program's own; of ratios: least, median, most"
    );
    let link = number(&arguments, "--link").unwrap_or(1_000);
    for (count, bytes) in [(count, bytes), (large, LARGE_BYTES)].into_iter().filter(|(count, _)| *count > 0) {
        let recordings = Recordings::fill(&folder.path().join(bytes.to_string()), count, bytes)?;
        for (transport, megabits) in [(Transport::Tls, link), (Transport::Tls, 0), (Transport::Plain, 0)] {
            let over = if megabits > 0 { format!("a link of {megabits} Mbit/s") } else { "loopback".to_owned() };
            let title = format!("{count} of {} kB, {}, {over}", bytes / 1_000, transport.name());
            if only.is_none_or(|only| title.contains(only)) {
                Figures::measure(&recordings, (transport, megabits), rounds, folder.path())?.print(&title);
            }
        }
    }
    Ok(())
}

/// What all rounds of one set came to.
struct Figures {
    bytes: u64,
    rec: Vec<Cost>,
    curl: Vec<Cost>,
}

impl Figures {
    fn measure(recordings: &Recordings, way: (Transport, u64), rounds: u64, folder: &Path) -> anyhow::Result<Self> {
        let receiver = Receiver::start(way, folder)?;
        let settings = recordings.settings(&receiver)?;
        // the first run is for the page cache and for the headers that curl is to send
        receiver.keeps_heads();
        push(recordings, &receiver, &settings)?;
        let twin = Twin::new(recordings, &receiver, &receiver.heads()?)?;
        twin.run(recordings, &receiver)?;
        let mut figures = Self { bytes: recordings.bytes(), rec: Vec::new(), curl: Vec::new() };
        for _ in 0..rounds {
            figures.rec.push(push(recordings, &receiver, &settings)?);
            figures.curl.push(twin.run(recordings, &receiver)?);
        }
        Ok(figures)
    }

    fn print(&self, title: &str) {
        let mut ratios: Vec<f64> = self
            .rec
            .iter()
            .zip(&self.curl)
            .map(|(rec, curl)| curl.wall.as_secs_f64() / rec.wall.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        let best = |costs: &[Cost]| {
            let seconds = costs.iter().map(|cost| cost.wall.as_secs_f64()).fold(f64::MAX, f64::min);
            self.bytes as f64 / 1e6 / seconds
        };
        let cpu =
            |costs: &[Cost]| 1e3 * costs.iter().map(|cost| cost.cpu.as_secs_f64()).sum::<f64>() / costs.len() as f64;
        let peak = |costs: &[Cost]| costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or_default() as f64 / 1e6;
        println!("{title}");
        for (name, costs) in [("rec push", &self.rec), ("curl", &self.curl)] {
            println!(
                "  {name:9} best {:7.1} MB/s  CPU a run {:7.1} ms  peak memory {:5.1} MB",
                best(costs),
                cpu(costs),
                peak(costs),
            );
        }
        println!(
            "  speed of rec push to curl's: {:.2} {:.2} {:.2}, at their best {:.2}",
            ratios[0],
            ratios[ratios.len() / 2],
            ratios[ratios.len() - 1],
            best(&self.rec) / best(&self.curl),
        );
    }
}

/// One `rec push` of everything, as cron runs it.
fn push(recordings: &Recordings, receiver: &Receiver, settings: &Path) -> anyhow::Result<Cost> {
    recordings.undeliver()?;
    let before = receiver.taken();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rec"));
    command.arg("--config").arg(settings).args(["push", "-q"]).stdin(Stdio::null()).stdout(Stdio::null());
    let cost = child::measure(&mut command).context("rec push")?;
    ensure!(receiver.taken() - before == recordings.len(), "rec push did not send each recording once");
    ensure!(recordings.delivered()? == recordings.len(), "rec push did not keep all receipts");
    Ok(cost)
}
