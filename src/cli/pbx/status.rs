//! `pbx status`: whether the server runs, in one line.

use clap::Args as ClapArgs;

use super::watch::watch;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::words;
use crate::control::protocol::{Status, method};

/// Say whether the server runs, and how it is
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Print the process id, nothing else
    #[arg(long, conflicts_with = "watch")]
    pid: bool,
    /// Again each second
    #[arg(long)]
    watch: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    if args.watch {
        return watch(context, || show(context)).await;
    }
    if args.pid {
        let status: Status = context.ask(method::STATUS, &()).await?;
        context.output.line(&status.pid.to_string())?;
        return Ok(Exit::Ok);
    }
    show(context).await?;
    Ok(Exit::Ok)
}

async fn show(context: &Context) -> Result<(), Failure> {
    let status: Status = context.ask(method::STATUS, &()).await?;
    if context.output.is_json() {
        return context.output.document("pbx.status/1", &status);
    }
    context.output.line(&in_words(&status))
}

fn in_words(status: &Status) -> String {
    let store = match status.store_locked {
        Some(true) => ", store locked",
        Some(false) => ", store unlocked",
        None => "",
    };
    let state = if status.stopping { "stopping" } else { "running" };
    format!(
        "{state}, pid {}, up {}, {}, {}, {}, {}{store}",
        status.pid,
        words::duration(status.uptime_s),
        counted(status.calls, "call"),
        counted(status.registrations, "registration"),
        counted(status.spies, "supervisor"),
        status.sip.join(" "),
    )
}

fn counted(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_it_all() {
        let status =
            Status { pid: 7, uptime_s: 61.0, calls: 1, sip: vec!["udp://127.0.0.1:5060".into()], ..Status::default() };
        assert_eq!(
            in_words(&status),
            "running, pid 7, up 1m01s, 1 call, 0 registrations, 0 supervisors, udp://127.0.0.1:5060"
        );
        let locked = in_words(&Status { store_locked: Some(true), ..status });
        assert!(locked.ends_with(", store locked"), "{locked}");
    }
}
