//! `pbx stop`: ends the server and waits until it is gone, so that the next one can start at once.

use std::os::fd::OwnedFd;
use std::time::Duration;

use clap::Args as ClapArgs;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::client::Client;
use crate::control::protocol::{Fault, FaultCode, Status, Stop, Stopping, method};

/// How long live calls may go on in a graceful stop when `--timeout` does not say.
const GRACE: Duration = Duration::from_secs(600);
/// How long the server may take to say BYE on all calls and end.
const TAKING_DOWN: Duration = Duration::from_secs(30);

/// End the server, and wait until it is gone
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Take no new calls and wait for the live ones to end, at most --timeout (10m)
    #[arg(long)]
    graceful: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let mut client = context.connect().await?;
    let status: Status = context.in_time(client.request(method::STATUS, &())).await?;
    if context.common.dry_run {
        context.output.note(&format!("would end pid {} with {} live calls", status.pid, status.calls));
        return Ok(Exit::Ok);
    }
    let grace = if args.graceful { context.common.timeout.unwrap_or(GRACE) } else { Duration::ZERO };
    let wait = if args.graceful { grace + TAKING_DOWN } else { context.common.timeout.unwrap_or(TAKING_DOWN) };
    // Opened while the process answers, so that its number cannot yet be another's.
    let process = if context.common.host.is_none() { process(status.pid) } else { None };
    let how = Stop { graceful: args.graceful, timeout: args.graceful.then_some(grace) };
    let stopping: Stopping = context.in_time(client.request(method::STOP, &how)).await?;
    let ended = tokio::time::timeout(wait, gone(&mut client, process)).await;
    ended.map_err(|_| still_there(stopping.pid, wait))?;
    if context.output.is_json() {
        context.output.document("pbx.stop/1", &stopping)?;
    } else {
        context.output.note(&format!("pid {} has ended", stopping.pid));
    }
    Ok(Exit::Ok)
}

fn process(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// A process descriptor becomes readable when the process ends; of a server elsewhere, only its connection is seen to end.
async fn gone(client: &mut Client, process: Option<OwnedFd>) {
    let Some(process) = process else { return client.closed().await };
    let waiting = tokio::task::spawn_blocking(move || {
        while poll(&mut [PollFd::new(&process, PollFlags::IN)], None) == Err(rustix::io::Errno::INTR) {}
    });
    let _ = waiting.await;
}

fn still_there(pid: u32, wait: Duration) -> Failure {
    let fault = Fault::new(FaultCode::Failure, format!("pid {pid} has not ended after {} s", wait.as_secs()));
    fault.hint(format!("kill -9 {pid} ends it; nothing it leaves is in the way of the next start")).into()
}
