//! What a call costs: the release `pbx` over loopback, beside a bare forwarder of the same packets in the same run.
//!
//! `cargo bench --bench relay [-- --calls 100 --seconds 5 --rate 200]`. Read the ratio to the bare forwarder, not the absolute values.

#[path = "../common/arguments.rs"]
mod arguments;
mod forwarder;
mod load;
mod process;
mod stream;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use arguments::number;
use load::Load;
use process::Process;

/// Calls a second in the set-up test, unless asked otherwise.
const RATE: u32 = 200;
const SET_UPS: usize = 2_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(count) = number(&arguments, "--forward") {
        return forwarder::run(count);
    }
    let standing = number(&arguments, "--calls").unwrap_or(100);
    let time = Duration::from_secs(number(&arguments, "--seconds").unwrap_or(5));
    let rate = number(&arguments, "--rate").unwrap_or(RATE);

    let folder = tempfile::tempdir()?;
    let uas = UdpSocket::bind("127.0.0.1:0")?;
    let sip = free_port()?;
    write_configuration(folder.path(), sip, uas.local_addr()?)?;
    let began = Instant::now();
    let pbx = Process::pbx(folder.path())?;
    let mut load = Load::new(sip, uas)?;
    load.waits_for_options(Duration::from_secs(10))?;
    let started = began.elapsed();

    // a first round makes the pools and tables that later ones use again
    load.calls(200, rate)?;
    load.hangs_up()?;
    let before = pbx.cpu()?;
    let set_up = load.calls_and_ends(SET_UPS, rate)?;
    let set_up_cpu = (pbx.cpu()? - before) / u32::try_from(SET_UPS)?;

    let rss = pbx.resident_bytes()?;
    load.calls(standing, rate)?;
    let streams = load.streams()?;
    let relayed = stream::measure(&streams, time, &pbx)?;
    let per_call = pbx.resident_bytes()?.saturating_sub(rss) / standing as u64;
    load.hangs_up()?;

    let (bare, streams) = forwarder::start(streams)?;
    let forwarded = stream::measure(&streams, time, &bare)?;

    let ratio = relayed.cpu_per_packet().as_secs_f64() / forwarded.cpu_per_packet().as_secs_f64();
    let mut median = set_up.times;
    median.sort_unstable();
    println!("start to first OPTIONS answer        {:8.1} ms", ms(started));
    println!("set-up and tear-down, CPU per call   {:8.3} ms", ms(set_up_cpu));
    println!("set-up time, median                  {:8.3} ms", ms(median[median.len() / 2]));
    println!("repeated messages in {SET_UPS} calls      {:8}", set_up.repeats);
    println!(
        "{standing} relayed calls: CPU per 100 calls  {:8.2} % of a core",
        relayed.percent(time) * 100.0 / standing as f64
    );
    println!("packets per CPU second               {:8.0}", relayed.packets_per_cpu_second());
    println!(
        "bare forwarder: CPU per 100 calls    {:8.2} % of a core",
        forwarded.percent(time) * 100.0 / standing as f64
    );
    println!("bare forwarder: packets per CPU s    {:8.0}", forwarded.packets_per_cpu_second());
    println!("ratio to the bare forwarder          {ratio:8.2}");
    println!("packets lost, relayed / bare         {:8} / {}", relayed.lost(), forwarded.lost());
    println!("memory per standing call             {:8.1} kB", per_call as f64 / 1_000.0);
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn free_port() -> std::io::Result<SocketAddr> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

fn write_configuration(folder: &Path, sip: SocketAddr, uas: SocketAddr) -> std::io::Result<()> {
    let settings = format!(
        "[sip]\nbind = [\"udp://{sip}\"]\n\n[media]\nbind = \"127.0.0.1\"\nports = \"20000-29999\"\n\n\
         [dialplan]\nfiles = [\"extensions.conf\"]\n\n[guests]\ncontext = \"bench\"\nfrom = [\"127.0.0.0/8\"]\n\n\
         [limits]\ncalls_per_user = 0\nrequests_per_second_per_source = 0\n\n[log]\nlevel = \"error\"\n"
    );
    std::fs::write(folder.join("pbx.toml"), settings)?;
    std::fs::write(folder.join("extensions.conf"), format!("[bench]\nexten => _X.,1,Dial(SIP/${{EXTEN}}@{uas})\n"))
}
