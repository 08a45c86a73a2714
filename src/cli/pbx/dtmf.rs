//! `pbx dtmf`: presses keys on a live leg.

use clap::Args as ClapArgs;

use crate::call::QueuedKeys;
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{CallDetail, Dtmf, KeysWay, Pressed, Target, method};

/// Press keys towards a phone, or as if it pressed them
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx dtmf c7709e9c-1517-11dc-842a-d3a3942d3d63 1234#
  pbx dtmf --recv c7709e9c-1517-11dc-842a-d3a3942d3d63 w2@500

w is a pause of half a second, W of one; @ms is how long each key of a group is pressed, + begins another group.")]
pub(super) struct Args {
    /// The UUID of an answered leg
    #[arg(add = complete::live_uuids())]
    uuid: String,
    /// Keys 0-9 * # A-D, pauses, lengths: 12, w2@500, 1@80+2@400
    #[arg(value_parser = keys)]
    digits: String,
    /// As if the leg's phone pressed them: they reach whatever runs there
    #[arg(long)]
    recv: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let way = if args.recv { KeysWay::Received } else { KeysWay::Sent };
    let wanted = Dtmf { uuid: args.uuid, digits: args.digits, way };
    if context.common.dry_run {
        let _live: CallDetail = context.ask(method::CALL, &Target { uuid: wanted.uuid.clone() }).await?;
        context.output.note(&format!("would press {} {} {}", wanted.digits, towards(way), wanted.uuid));
        return Ok(Exit::Ok);
    }
    let pressed: Pressed = context.ask(method::DTMF, &wanted).await?;
    if context.output.is_json() {
        context.output.document("pbx.dtmf/1", &pressed)?;
    } else {
        context.output.note(&format!("pressed {} {} {}", pressed.digits, towards(way), pressed.uuid));
    }
    Ok(Exit::Ok)
}

fn towards(way: KeysWay) -> &'static str {
    match way {
        KeysWay::Sent => "towards",
        KeysWay::Received => "on behalf of",
    }
}

fn keys(text: &str) -> Result<String, String> {
    match QueuedKeys::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("keys are 0-9 * # A-D; w and W are pauses, @ms a length, + begins another group".to_owned()),
    }
}
