//! `spy ls`: who is listening to what now.

use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::pbx::watch::watch;
use crate::cli::words;
use crate::control::protocol::method;
use crate::control::supervision::SpyInfo;

const HEADER: [&str; 8] = ["SESSION", "WHO", "VIA", "MODE", "TARGET", "PEER", "SINCE", "WHY"];

/// Show who is listening to what now
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  spy ls --watch
  spy ls --json | jq -r '.spies[]|[.who,.mode,.target.number]|@tsv'")]
pub(super) struct Args {
    /// Show again each second
    #[arg(long)]
    watch: bool,
}

#[derive(Serialize)]
struct Spies {
    spies: Vec<SpyInfo>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    if args.watch {
        return watch(context, || show(context)).await;
    }
    show(context).await?;
    Ok(Exit::Ok)
}

async fn show(context: &Context) -> Result<(), Failure> {
    let spies: Vec<SpyInfo> = context.list(method::SPIES, &()).await?;
    if context.output.is_json() {
        return context.output.document("spy.ls/1", &Spies { spies });
    }
    let rows: Vec<Vec<String>> = spies.iter().map(row).collect();
    context.output.table(&HEADER, &rows)
}

fn row(spy: &SpyInfo) -> Vec<String> {
    vec![
        spy.facts.session.clone(),
        spy.who.clone(),
        spy.via.clone(),
        spy.facts.mode.word().to_owned(),
        spy.facts.target.number.clone(),
        spy.facts.peer.number.clone(),
        words::local(spy.since),
        spy.reason.clone().unwrap_or_default(),
    ]
}
