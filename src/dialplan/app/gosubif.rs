//! `GosubIf(condition?[subroutine][:subroutine])`: runs one of two subroutines.

use super::gosub::{call, check_call};
use super::gotoif::split;
use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::evaluate::is_true;
use crate::dialplan::piece::Piece;

pub(super) struct GosubIf;

impl App for GosubIf {
    fn name(&self) -> &'static str {
        "GosubIf"
    }

    fn syntax(&self) -> &'static str {
        "condition?[subroutine_if_true][:subroutine_if_false]"
    }

    fn synopsis(&self) -> &'static str {
        "Runs one of two subroutines, as Gosub takes them; where none is given, it goes on."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let (_, branches) = split(args)?;
        let mut written = branches.iter().filter(|branch| !branch.is_empty()).peekable();
        if written.peek().is_none() {
            return Err(CheckError::Missing("a subroutine after `?`"));
        }
        written.try_for_each(check_call)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let chosen = split(args.piece()).map(
            |(condition, [yes, no])| {
                if is_true(&args.value(chan, &condition)) { yes } else { no }
            },
        );
        match chosen {
            Ok(chosen) if chosen.is_empty() => Ok(Next::Continue).into(),
            Ok(chosen) => call(chan, &args, &chosen).into(),
            Err(error) => Err(error.into()).into(),
        }
    }
}
