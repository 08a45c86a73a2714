//! `pbx bridge`: connects two live legs with each other.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{Bridge, Bridged, CallDetail, Target, method};

/// Connect two legs of different calls with each other
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Example:
  pbx bridge c7709e9c-1517-11dc-842a-d3a3942d3d63 52d87034-4173-11de-99ef-f1acc19bfdf1

They leave what they do. The parties that they talked with go on as if these had hung up. When one of the two hangs up, the other
ends too. Exit code 75: one of them is not answered yet, or they talk with each other already; nothing is changed then.")]
pub(super) struct Args {
    /// The UUID of an answered leg; its call goes on
    #[arg(add = complete::live_uuids())]
    uuid: String,
    /// The UUID of another one; if it called, its call ends
    #[arg(add = complete::live_uuids())]
    other: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let wanted = Bridge { legs: [args.uuid, args.other] };
    if context.common.dry_run {
        for uuid in &wanted.legs {
            let _live: CallDetail = context.ask(method::CALL, &Target { uuid: uuid.clone() }).await?;
        }
        context.output.note(&format!("would connect {} with {}", wanted.legs[0], wanted.legs[1]));
        return Ok(Exit::Ok);
    }
    let bridged: Bridged = context.ask(method::BRIDGE, &wanted).await?;
    if context.output.is_json() {
        context.output.document("pbx.bridge/1", &bridged)?;
    } else {
        context.output.note(&format!("connected {} with {}", bridged.legs[0], bridged.legs[1]));
    }
    Ok(Exit::Ok)
}
