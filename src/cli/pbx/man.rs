//! `pbx man`: prints a page of the manual.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::entry::Tool;
use crate::cli::exit::{Done, Exit};
use crate::cli::generate;
use crate::control::protocol::{Fault, FaultCode};

/// Print a page of the manual, for `man -l -`
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:\n  pbx man | man -l -\n  pbx man calls show | man -l -")]
pub(super) struct Args {
    /// The command; none: the program's own page
    command: Vec<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Done {
    let mut name = Tool::Pbx.name().to_owned();
    for word in &args.command {
        name = format!("{name}-{word}");
    }
    let page = generate::pages(Tool::Pbx).into_iter().find(|(of, _)| *of == name);
    let (_, page) = page.ok_or_else(|| Fault::new(FaultCode::NotFound, format!("{name}: no such page")))?;
    context.output.raw(&page)?;
    Ok(Exit::Ok)
}
