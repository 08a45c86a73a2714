//! The `spy` program: its flags.

use clap::Args as ClapArgs;

use super::common::{Common, Context};
use super::exit::{Done, Exit};

/// Listen to a live call, whisper to one side, or barge in
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The shared flags.
    #[command(flatten)]
    pub common: Common,
    /// The call: the UUID of any of its legs
    #[arg(add = super::complete::live_uuids())]
    pub uuid: Option<String>,
}

/// Runs the program. Ctrl-C and SIGTERM drop the future: what must be put back is put back by `Drop`.
///
/// # Errors
/// To be printed by the caller.
pub async fn run(args: Args, context: Context) -> Done {
    let _ = (args, context);
    Ok(Exit::Ok)
}
