//! `pbx reload`: reads the files again, prints what changes; on an error the old ones stay in force.

use clap::{Args as ClapArgs, ValueEnum};

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{Reload, ReloadReport, ReloadWhat, method};

/// Read configuration and dialplan again, and swap them in whole
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// What to read
    #[arg(default_value = "all")]
    what: What,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The dialplan files
    Dialplan,
    /// The settings
    Config,
    /// Both
    All,
}

impl From<What> for Reload {
    fn from(what: What) -> Self {
        match what {
            What::Dialplan => Self::Dialplan,
            What::Config => Self::Config,
            What::All => Self::All,
        }
    }
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let what = ReloadWhat { what: args.what.into(), dry_run: context.common.dry_run };
    let report: ReloadReport = context.ask(method::RELOAD, &what).await?;
    if context.output.is_json() {
        context.output.document("pbx.reload/1", &report)?;
        return Ok(Exit::Ok);
    }
    for change in &report.changes {
        context.output.line(change)?;
    }
    for warning in &report.warnings {
        context.output.note(&format!("warning: {warning}"));
    }
    if report.changes.is_empty() {
        context.output.note("nothing has changed");
    }
    Ok(Exit::Ok)
}
