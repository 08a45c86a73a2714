//! `ExecIf(condition?application(arguments)[:application(arguments)])`: runs one of two applications.

use super::exec::{check_call, run, run_later};
use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::evaluate::is_true;
use crate::dialplan::piece::Piece;

pub(super) struct ExecIf;

impl App for ExecIf {
    fn name(&self) -> &'static str {
        "ExecIf"
    }

    fn syntax(&self) -> &'static str {
        "condition?application(arguments)[:application(arguments)]"
    }

    fn synopsis(&self) -> &'static str {
        "Runs an application if the condition is true, or another one if it is not."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let (_, [yes, no]) = split(args)?;
        check_call(&yes)?;
        if no.is_empty() { Ok(()) } else { check_call(&no) }
    }

    fn read_first<'p>(&self, args: &Piece<'p>) -> Piece<'p> {
        split(args).map(|(condition, _)| condition).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let chosen = split(args.piece()).map(
            |(condition, [yes, no])| {
                if is_true(&args.value(chan, &condition)) { yes } else { no }
            },
        );
        match chosen {
            Ok(chosen) if chosen.is_empty() => Ok(Next::Continue).into(),
            Ok(chosen) if chosen.waits() => run_later(chan, args, chosen),
            Ok(chosen) => run(chan, &args, chosen),
            Err(error) => Err(error.into()).into(),
        }
    }
}

/// The condition and the two applications; a `:` inside brackets belongs to the arguments.
pub(super) fn split<'a>(args: &Piece<'a>) -> Result<(Piece<'a>, [Piece<'a>; 2]), CheckError> {
    let (condition, applications) = args.split_once('?').ok_or(CheckError::Missing("`?`"))?;
    let (yes, no) = applications.split_outside(':').unwrap_or_else(|| (applications, Piece::default()));
    Ok((condition, [yes.trim(), no.trim()]))
}
