//! `rec retry`: what was given up is tried again.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::place::Place;
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};

/// Try parked deliveries again with the next run
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec retry c7709e9c
  rec ls --failed --json | jq -r '.recordings[].id' | xargs -r rec retry")]
pub(super) struct Args {
    /// Ids or their beginnings, names of files, or UUIDs or UNIQUEIDs of calls
    #[arg(value_name = "ID", required = true, add = complete::recordings())]
    ids: Vec<String>,
}

#[derive(Serialize)]
struct Retried {
    recordings: Vec<JsonRetried>,
}

#[derive(Serialize)]
struct JsonRetried {
    id: String,
    deliveries: usize,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    let mut recordings = Vec::new();
    for id in desk.all(&args.ids)? {
        if context.common.dry_run {
            context.output.note(&format!("would try {id} again"));
            continue;
        }
        let deliveries = desk.outbox.retry(id)?;
        context.output.note(&format!("{id}: {deliveries} to be tried by the next run"));
        recordings.push(JsonRetried { id: id.to_string(), deliveries });
    }
    if context.output.is_json() {
        context.output.document("rec.retry/1", &Retried { recordings })?;
    }
    Ok(Exit::Ok)
}
