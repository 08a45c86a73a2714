//! `pbx hangup`: ends a call.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{CallDetail, Hangup, Hungup, Target, method};

/// End a call
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The UUID of any of its legs
    #[arg(add = complete::live_uuids())]
    uuid: String,
    /// Q.850 cause told to both sides, instead of 16, normal clearing
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=127))]
    cause: Option<u8>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    if context.common.dry_run {
        let call: CallDetail = context.ask(method::CALL, &Target { uuid: args.uuid }).await?;
        context.output.note(&format!("would end the call of {} with {}", call.from, call.to));
        return Ok(Exit::Ok);
    }
    let hangup = Hangup { uuid: args.uuid, cause: args.cause };
    let hungup: Hungup = context.ask(method::HANGUP, &hangup).await?;
    if context.output.is_json() {
        context.output.document("pbx.hangup/1", &hungup)?;
    } else {
        context.output.note(&format!("ended {}", hangup.uuid));
    }
    Ok(Exit::Ok)
}
