//! `TOOL completion`: prints the completion script of a shell. Above: every tool has it.

use clap::Args as ClapArgs;

use super::common::Context;
use super::entry::Tool;
use super::exit::{Done, Exit};
use super::{complete, generate};

/// Print the completion script of a shell
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The shell
    #[arg(value_parser = generate::SHELLS)]
    shell: String,
}

pub(super) fn run(args: &Args, tool: Tool, context: &Context) -> Done {
    context.output.raw(&complete::script(tool, &args.shell).unwrap_or_default())?;
    Ok(Exit::Ok)
}
