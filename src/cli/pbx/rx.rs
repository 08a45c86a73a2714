//! `pbx -rx 'words'`: Asterisk's console words, with honest exit codes.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{ConsoleLine, ConsoleSaid, method};

/// Say a line of Asterisk's console to the server, as in `pbx -rx 'core show channels concise'`
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx -rx 'core show channels concise'
  pbx -rx 'dialplan show internal'
  pbx -rx 'core show help'

The texts are Asterisk's where scripts parse them; the exit code tells whether it worked, which Asterisk's does not.")]
pub(super) struct Args {
    /// The line; several words are joined
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let said: ConsoleSaid = context.ask(method::CONSOLE, &ConsoleLine { line: args.words.join(" ") }).await?;
    if context.output.is_json() {
        context.output.document("pbx.rx/1", &said)?;
    } else {
        for line in said.text.lines() {
            context.output.line(line)?;
        }
    }
    Ok(said.fault.map_or(Exit::Ok, Exit::from))
}
