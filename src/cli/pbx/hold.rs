//! `pbx hold` and `pbx unhold`: a party waits with music, and is taken back.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{CallDetail, Held, Hold as Wanted, Target, method};

/// Put a party on hold: it hears music, and the other one does not hear it
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Example:
  pbx hold c7709e9c-1517-11dc-842a-d3a3942d3d63

It ends with `pbx unhold`, and when either party leaves the call. Supervisors go on hearing the party and speaking to it. Exit code
75: it is not answered yet, or talks with nobody; nothing is changed then.")]
pub(super) struct Hold {
    /// The UUID of a leg that talks with another
    #[arg(add = complete::live_uuids())]
    uuid: String,
}

/// Take back a party that `pbx hold` has put on hold
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Example:
  pbx unhold c7709e9c-1517-11dc-842a-d3a3942d3d63

What its phone has put on hold stays so. Exit code 75: it is not held by `pbx hold`.")]
pub(super) struct Unhold {
    /// The UUID of the held leg
    #[arg(add = complete::live_uuids())]
    uuid: String,
}

pub(super) async fn hold(args: Hold, context: &Context) -> Done {
    ask((method::HOLD, "hold"), args.uuid, context).await
}

pub(super) async fn unhold(args: Unhold, context: &Context) -> Done {
    ask((method::UNHOLD, "take back"), args.uuid, context).await
}

async fn ask((method, verb): (&str, &str), uuid: String, context: &Context) -> Done {
    if context.common.dry_run {
        let _live: CallDetail = context.ask(method::CALL, &Target { uuid: uuid.clone() }).await?;
        context.output.note(&format!("would {verb} {uuid}"));
        return Ok(Exit::Ok);
    }
    let done: Held = context.ask(method, &Wanted { uuid }).await?;
    if context.output.is_json() {
        context.output.document("pbx.hold/1", &done)?;
    } else {
        let did = if done.held { "holds" } else { "took back" };
        context.output.note(&format!("{did} {}", done.uuid));
    }
    Ok(Exit::Ok)
}
