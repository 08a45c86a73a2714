//! `pbx transfer`: sends a live leg elsewhere in the dialplan.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{CallDetail, Moves, Target, Transfer, Transferred, method};

/// Send a leg elsewhere in the dialplan
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx transfer c7709e9c-1517-11dc-842a-d3a3942d3d63 600
  pbx transfer --both c7709e9c-1517-11dc-842a-d3a3942d3d63 12345@conferences

The party that it talked with goes on as if this one had hung up: one that was called ends, one that called goes on where its
dialplan says so. Exit code 3: no such leg or extension; 75: not answered yet, or talks with nobody. Nothing is changed then.")]
pub(super) struct Args {
    /// The UUID of an answered leg
    #[arg(add = complete::live_uuids())]
    uuid: String,
    /// Where it goes on; without a context in the one that it calls in
    #[arg(value_name = "EXTEN[@CONTEXT]", value_parser = place)]
    to: Place,
    /// The party that it talks with goes there too
    #[arg(long, conflicts_with = "other")]
    both: bool,
    /// The party that it talks with goes there instead
    #[arg(long)]
    other: bool,
}

#[derive(Clone, Debug)]
struct Place {
    extension: String,
    context: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let moves = match (args.both, args.other) {
        (true, _) => Moves::Both,
        (_, true) => Moves::Other,
        _ => Moves::This,
    };
    let Place { extension, context: within } = args.to;
    let wanted = Transfer { uuid: args.uuid, extension, context: within, moves };
    if context.common.dry_run {
        let _live: CallDetail = context.ask(method::CALL, &Target { uuid: wanted.uuid.clone() }).await?;
        context.output.note(&format!("would send {} to {}", whom(&wanted), wanted.extension));
        return Ok(Exit::Ok);
    }
    let sent: Transferred = context.ask(method::TRANSFER, &wanted).await?;
    if context.output.is_json() {
        context.output.document("pbx.transfer/1", &sent)?;
    } else {
        for leg in &sent.legs {
            context.output.note(&format!("sent {leg} to {}@{}", sent.extension, sent.context));
        }
    }
    Ok(Exit::Ok)
}

fn whom(wanted: &Transfer) -> String {
    match wanted.moves {
        Moves::This => wanted.uuid.clone(),
        Moves::Other => format!("the party that {} talks with", wanted.uuid),
        Moves::Both => format!("{} and the party that it talks with", wanted.uuid),
    }
}

fn place(text: &str) -> Result<Place, String> {
    let (extension, context) = match text.rsplit_once('@') {
        Some((extension, context)) => (extension, Some(context)),
        None => (text, None),
    };
    if extension.is_empty() || context.is_some_and(str::is_empty) {
        return Err(format!("`{text}` is no place in a dialplan (write 600 or 600@internal)"));
    }
    Ok(Place { extension: extension.to_owned(), context: context.map(str::to_owned) })
}
