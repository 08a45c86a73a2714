//! `pbx completion`: prints the completion script of a shell.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::entry::Tool;
use crate::cli::exit::{Done, Exit};
use crate::cli::{complete, generate};

/// Print the completion script of a shell
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Examples:\n  pbx completion bash > ~/.local/share/bash-completion/completions/pbx\n  source <(pbx completion zsh)"
)]
pub(super) struct Args {
    /// The shell
    #[arg(value_parser = generate::SHELLS)]
    shell: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Done {
    context.output.raw(&complete::script(Tool::Pbx, &args.shell).unwrap_or_default())?;
    Ok(Exit::Ok)
}
