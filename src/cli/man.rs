//! `TOOL man`: prints a page of the manual. Above: every tool has it.

use clap::Args as ClapArgs;

use super::common::Context;
use super::entry::Tool;
use super::exit::{Done, Exit};
use super::{generate, manual};
use crate::control::protocol::{Fault, FaultCode};

/// Print a page of the manual, for `man -l -`
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The command; none: the program's own page; `dialplan`: the language of extensions.conf; `wirechief-remotes`: where
    /// recordings are delivered
    command: Vec<String>,
}

pub(super) fn run(args: &Args, tool: Tool, context: &Context) -> Done {
    let words = std::iter::once(tool.name()).chain(args.command.iter().map(String::as_str));
    let name = words.collect::<Vec<_>>().join("-");
    if args.command == ["dialplan"] {
        context.output.raw(&manual::page())?;
        return Ok(Exit::Ok);
    }
    if args.command == ["wirechief-remotes"] {
        context.output.raw(&manual::remotes::page())?;
        return Ok(Exit::Ok);
    }
    let page = generate::pages(tool).into_iter().find(|(of, _)| *of == name);
    let missing = || {
        Fault::new(FaultCode::NotFound, format!("{name}: no such page"))
            .hint("`man` without a word prints the program's own")
    };
    let (_, page) = page.ok_or_else(missing)?;
    context.output.raw(&page)?;
    Ok(Exit::Ok)
}
