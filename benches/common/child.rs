//! A command from its start to its end: how long it took, its CPU time and its greatest memory, as the kernel counts them.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// How often a running command's memory is looked at; the kernel keeps the greatest.
const LOOK: Duration = Duration::from_millis(3);

/// What a run cost.
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// `VmHWM`
    pub(crate) peak_bytes: u64,
}

/// Runs a command; it has to succeed.
pub(crate) fn measure(command: &mut Command) -> anyhow::Result<Cost> {
    let cpu = cpu_of_children()?;
    let began = Instant::now();
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        while ended.recv_timeout(LOOK).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout) {
            peak = peak.max(peak_bytes(&status).unwrap_or_default());
        }
        peak
    });
    let exit = child.wait()?;
    let wall = began.elapsed();
    drop(done);
    let peak_bytes = watch.join().ok().context("the watch over its memory")?;
    ensure!(exit.success(), "{command:?}: {exit}");
    Ok(Cost { wall, cpu: cpu_of_children()?.saturating_sub(cpu), peak_bytes })
}

/// Nothing once the command has ended.
fn peak_bytes(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1_024)
}

/// CPU time of all commands that have ended and been waited for.
fn cpu_of_children() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // the program's name in parentheses may hold blanks; utime is field 14, cutime and cstime are 16 and 17 (proc_pid_stat(5))
    let after = text.rsplit_once(") ").context("a state")?.1;
    let ticks: Vec<u64> = after.split(' ').skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    // USER_HZ is 100 wherever Linux runs this
    Ok(Duration::from_millis(10 * ticks.iter().sum::<u64>()))
}
