//! `rec watch`: delivers recordings as they are finished, until it is told to end.

use std::time::Duration;

use clap::Args as ClapArgs;
use sd_notify::NotifyState;

use super::place::{Place, known, settings};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::entry::{Threads, in_runtime, stoppable};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::output::Output;
use crate::config::parse_duration;
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::push::{self, Event, Options, Outcome, Until, Watcher};

/// Deliver recordings as they are finished, until Ctrl-C or SIGTERM
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec watch
  rec watch --to crm --json | jq -r 'select(.state==\"parked\").error'

For recordings that `pbx` makes this is not needed: it delivers them itself to remotes with `when = \"ended\"`. As a service it is of
Type=notify. With --json each attempt is a line.")]
pub(super) struct Args {
    /// Only to this remote; may be given several times
    #[arg(long, value_name = "REMOTE", add = complete::remotes())]
    to: Vec<String>,
    /// Wait so long for the end of another run
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "0s", hide_default_value = true)]
    wait_lock: Duration,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let settings = settings(context)?;
    for name in &args.to {
        known(&settings.remotes, name)?;
    }
    if context.common.dry_run {
        let all = || settings.remotes.keys().map(String::as_str).collect::<Vec<_>>();
        let to = if args.to.is_empty() { all() } else { args.to.iter().map(String::as_str).collect() };
        let to = if to.is_empty() { "nobody: the settings name no remote".to_owned() } else { to.join(", ") };
        context.output.note(&format!("would deliver what is finished to {to}"));
        return Ok(Exit::Ok);
    }
    let desk = place.make(context)?;
    desk.prepare()?;
    let remotes = desk.remotes()?;
    let until = Until::Stopped;
    let max_time = context.common.timeout;
    let options = Options { to: args.to.clone(), wait_lock: args.wait_lock, max_time, until, ..Options::default() };
    let lines = Lines(context.output);
    let ended = in_runtime(
        Threads::Delivery,
        stoppable(&options.stop, async {
            // Without a service manager nobody is told.
            let _ = sd_notify::notify(false, &[NotifyState::Ready]);
            context.output.note("watching; Ctrl-C ends");
            push::run(&desk.outbox, &remotes, &options, &lines).await?;
            Ok(Exit::Ok)
        }),
    );
    match ended {
        // That is how it ends.
        Err(Failure::Silent(Exit::Interrupted | Exit::Terminated)) => Ok(Exit::Ok),
        ended => ended,
    }
}

/// A line an attempt: what arrived to stdout, what did not to stderr.
struct Lines(Output);

impl Watcher for Lines {
    fn event(&self, event: &Event<'_>) {
        let Event::Ended(item, outcome) = event else { return };
        if self.0.is_json() {
            let _ = self.0.json_line(&super::push::json(item, outcome));
            return;
        }
        match outcome {
            Outcome::Delivered => self.0.note(&format!("delivered {} ({}) to {}", item.id, item.file, item.remote)),
            Outcome::Waiting { error, .. } => self.0.fault(&Fault::new(FaultCode::TryAgain, error.clone())),
            Outcome::Parked { error, .. } => self.0.fault(&Fault::new(FaultCode::Partial, error.clone())),
            Outcome::CutShort => {}
        }
    }
}
