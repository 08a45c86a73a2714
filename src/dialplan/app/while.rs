//! `While(condition)` … `EndWhile()`: runs the steps between them as long as the condition is true.
//!
//! Which lines belong together is found in the extension itself, so that a loop keeps no state that a jump could spoil.

use super::{App, CheckError, Doing, Next, Outcome, at_most};
use crate::call::{Channel, Position};
use crate::dialplan::args::Args;
use crate::dialplan::context::{Dialplan, Extension};
use crate::dialplan::evaluate::is_true;
use crate::dialplan::piece::Piece;

pub(super) struct While;
pub(super) struct EndWhile;
pub(super) struct ContinueWhile;
pub(super) struct ExitWhile;

impl App for While {
    fn name(&self) -> &'static str {
        "While"
    }

    fn syntax(&self) -> &'static str {
        "condition"
    }

    fn synopsis(&self) -> &'static str {
        "Runs the steps up to its EndWhile as long as the condition is true."
    }

    fn check(&self, _args: &Piece<'_>) -> Result<(), CheckError> {
        Ok(())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let holds = is_true(&args.text(chan));
        if holds { Ok(Next::Continue) } else { behind_end(args.plan(), chan.position()) }.into()
    }
}

impl App for EndWhile {
    fn name(&self) -> &'static str {
        "EndWhile"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Goes back to its While."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        to_begin(args.plan(), chan.position()).into()
    }
}

impl App for ContinueWhile {
    fn name(&self) -> &'static str {
        "ContinueWhile"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Goes back to the While around it, whose condition is asked again."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        to_begin(args.plan(), chan.position()).into()
    }
}

impl App for ExitWhile {
    fn name(&self) -> &'static str {
        "ExitWhile"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Goes on behind the EndWhile of the loop around it."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        behind_end(args.plan(), chan.position()).into()
    }
}

/// +1 for a `While`, -1 for an `EndWhile`.
fn depth_of(extension: &Extension, priority: u32) -> i32 {
    match extension.step(priority).map(|step| step.app.name()) {
        Some("While") => 1,
        Some("EndWhile") => -1,
        _ => 0,
    }
}

/// Behind the `EndWhile` of the loop in which `here` stands.
fn behind_end(plan: &Dialplan, here: &Position) -> Outcome {
    let extension = plan.find(&here.context, &here.extension);
    let end = extension.and_then(|extension| {
        let mut depth = 1;
        extension.priorities().filter(|priority| *priority > here.priority).find(|priority| {
            depth += depth_of(extension, *priority);
            depth == 0
        })
    });
    match end {
        Some(end) => Ok(Next::At(Position { priority: end.saturating_add(1), ..here.clone() })),
        None => Err(CheckError::Missing("its EndWhile").into()),
    }
}

/// At the `While` of the loop in which `here` stands.
fn to_begin(plan: &Dialplan, here: &Position) -> Outcome {
    let extension = plan.find(&here.context, &here.extension);
    let begin = extension.and_then(|extension| {
        let mut depth = -1;
        extension.priorities().rev().filter(|priority| *priority < here.priority).find(|priority| {
            depth += depth_of(extension, *priority);
            depth == 0
        })
    });
    match begin {
        Some(priority) => Ok(Next::At(Position { priority, ..here.clone() })),
        None => Err(CheckError::Missing("its While").into()),
    }
}
