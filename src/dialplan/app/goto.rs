//! `Goto([[context,]extension,]priority)`: goes on elsewhere.

use super::{App, CheckError, Doing, Jump, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Goto;

impl App for Goto {
    fn name(&self) -> &'static str {
        "Goto"
    }

    fn syntax(&self) -> &'static str {
        "[[context,]extension,]priority"
    }

    fn synopsis(&self) -> &'static str {
        "Goes on at a priority or label, there or in another extension or context."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_target(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Ok(Next::Jump(jump_to(chan, &args, args.piece()))).into()
    }
}

/// Refuses a target with too few or too many parts.
pub(super) fn check_target(target: &Piece<'_>) -> Result<(), CheckError> {
    super::at_most(target, 3)?;
    match target.arguments(3).last() {
        Some(priority) if !priority.is_empty() => Ok(()),
        _ => Err(CheckError::Missing("the priority")),
    }
}

/// The jump that a target means; a part left empty stays as it is. A target that a variable or `IF` holds is split too, when
/// it is text of the dialplan.
pub(super) fn jump_to(chan: &mut Channel, args: &Args<'_>, target: &Piece<'_>) -> Jump {
    if target.is_text() {
        return parts(chan, args, target);
    }
    let written = args.written(chan, target);
    parts(chan, args, &written.piece())
}

fn parts(chan: &mut Channel, args: &Args<'_>, target: &Piece<'_>) -> Jump {
    let parts = target.arguments(3);
    let mut values = parts.into_iter().map(|part| trimmed(args.value(chan, &part))).rev();
    let priority = values.next().unwrap_or_default();
    let mut part = || values.next().filter(|value| !value.is_empty());
    let (extension, context) = (part(), part());
    Jump { context, extension, priority }
}

fn trimmed(value: String) -> String {
    let trimmed = value.trim();
    if trimmed.len() == value.len() { value } else { trimmed.to_owned() }
}
