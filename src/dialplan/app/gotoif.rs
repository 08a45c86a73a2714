//! `GotoIf(condition?[target]:[target])`: goes on elsewhere if the condition is true, or if it is not.

use super::goto::{check_target, jump_to};
use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::evaluate::is_true;
use crate::dialplan::piece::Piece;

pub(super) struct GotoIf;

impl App for GotoIf {
    fn name(&self) -> &'static str {
        "GotoIf"
    }

    fn syntax(&self) -> &'static str {
        "condition?[target_if_true][:target_if_false]"
    }

    fn synopsis(&self) -> &'static str {
        "Goes on at one of two targets, as Goto takes them; where none is given, at the next priority."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let (_, [yes, no]) = split(args)?;
        let written = [yes, no].into_iter().filter(|target| !target.is_empty());
        let mut count = 0;
        written.inspect(|_| count += 1).try_for_each(|target| check_target(&target))?;
        if count == 0 { Err(CheckError::Missing("a target after `?`")) } else { Ok(()) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let next = split(args.piece()).map(|(condition, [yes, no])| {
            let target = if is_true(&args.value(chan, &condition)) { yes } else { no };
            if target.is_empty() { Next::Continue } else { Next::Jump(jump_to(chan, &args, &target)) }
        });
        next.map_err(Into::into).into()
    }
}

/// The condition and its two targets.
pub(super) fn split<'a>(args: &Piece<'a>) -> Result<(Piece<'a>, [Piece<'a>; 2]), CheckError> {
    let (condition, targets) = args.split_once('?').ok_or(CheckError::Missing("`?`"))?;
    let (yes, no) = targets.split_once(':').unwrap_or_else(|| (targets, Piece::default()));
    Ok((condition, [yes.trim(), no.trim()]))
}
