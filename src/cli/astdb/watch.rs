//! `astdb watch`: changes as they are made, by whatever process.

use std::ops::ControlFlow;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::history::JsonChange;
use crate::astdb::{Detail, Store};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Failure};

/// How often the store is asked: soon enough for a person, and nothing for the machine.
const INTERVAL: Duration = Duration::from_millis(100);

/// Print each change as a line of JSON, as it is made
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Only changes of this family
    #[arg(add = complete::families())]
    family: Option<String>,
}

pub(super) async fn run(args: &Args, store: &Store, context: &Context) -> Done {
    let mut seen = store.last_change()?;
    let mut beat = tokio::time::interval(INTERVAL);
    context.output.note("watching; Ctrl-C ends");
    loop {
        beat.tick().await;
        if store.last_change()? == seen {
            continue;
        }
        let mut failed: Option<Failure> = None;
        store.log(seen, (args.family.as_deref(), None), Detail::Names, &mut |change| {
            seen = change.sequence;
            match context.output.json_line(&JsonChange::of(&change)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(failure) => {
                    failed = Some(failure);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(failure) = failed {
            return Err(failure);
        }
    }
}
