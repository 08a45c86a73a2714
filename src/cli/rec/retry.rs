//! `rec retry`: what was given up is tried again.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::place::{Desk, Place};
use super::several::Several;
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::Done;
use crate::outbox::{DeliveryState, OutboxError, RecordingId};

/// Try parked deliveries again with the next run
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec retry c7709e9c
  rec ls --failed --json | jq -r '.recordings[].id' | xargs -r rec retry

Of several each is tried on its own. Exit code 6: some were, some could not be; those are told.")]
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
    let mut several = Several::new(context);
    let mut recordings = Vec::new();
    for id in several.meant(&args.ids, &desk)? {
        several.each(id, &desk, |_| {
            let deliveries = if context.common.dry_run { left(&desk, id)? } else { desk.outbox.retry(id)? };
            context.output.note(&match (deliveries, context.common.dry_run) {
                (0, _) => format!("{id}: nothing of it waits or is parked"),
                (_, true) => format!("would try {id} again"),
                (deliveries, false) => format!("{id}: {deliveries} to be tried by the next run"),
            });
            recordings.push(JsonRetried { id: id.to_string(), deliveries });
            Ok(())
        })?;
    }
    if context.output.is_json() {
        context.output.document("rec.retry/1", &Retried { recordings })?;
    }
    several.end()
}

/// Its deliveries without a receipt.
fn left(desk: &Desk, id: RecordingId) -> Result<usize, OutboxError> {
    let deliveries = desk.outbox.deliveries(id)?;
    Ok(deliveries.iter().filter(|delivery| !matches!(delivery.state, DeliveryState::Delivered(_))).count())
}
