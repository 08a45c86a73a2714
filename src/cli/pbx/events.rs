//! `pbx events`: what happens, as it happens, one JSON object a line.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{EventRecord, EventsSince, method};

/// Print events as they happen, one JSON object a line
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:\n  pbx events --types call.ended | jq -r .uuid")]
pub(super) struct Args {
    /// Only these kinds, separated by commas; `call` is all that begin with `call.`
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    types: Vec<String>,
    /// Begin after this sequence number: what the server still remembers comes first
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let wanted = EventsSince { since: args.since, types: args.types };
    let mut events = context.connect().await?.stream(method::EVENTS, &wanted).await?;
    while let Some(event) = events.next::<EventRecord>().await? {
        context.output.json_line(&event)?;
    }
    Ok(Exit::Ok)
}
