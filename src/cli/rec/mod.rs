//! The `rec` program: one file per kind of command, one line here for each; their order is that of the manual.
//! Below: `crate::outbox`, which keeps the recordings and delivers them.

use clap::{Parser, Subcommand};

use super::common::{Common, Context};
use super::entry::Tool;
use super::exit::{Done, Exit};
use super::{completion, man};

#[derive(Parser, Debug)]
#[command(name = "rec", version, about = "Recordings of calls: listed, verified, and delivered exactly once")]
#[command(subcommand_required = true, disable_help_subcommand = true)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Rec {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  rec man | man -l -";

#[derive(Subcommand, Debug)]
enum Command {
    #[command(after_help = "\
Examples:
  rec completion bash > ~/.local/share/bash-completion/completions/rec")]
    Completion(completion::Args),
    #[command(after_help = "\
Examples:
  rec man | man -l -")]
    Man(man::Args),
}

/// Runs the command to its exit code.
pub(super) fn run(rec: Rec) -> Exit {
    let context = Context::new("rec", rec.common);
    let output = context.output;
    output.ended(execute(rec.command, &context))
}

fn execute(command: Command, context: &Context) -> Done {
    match command {
        Command::Completion(args) => completion::run(&args, Tool::Rec, context),
        Command::Man(args) => man::run(&args, Tool::Rec, context),
    }
}
