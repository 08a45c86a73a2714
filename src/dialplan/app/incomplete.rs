//! `Incomplete()`: the number dialled so far is too short.

use super::{App, CheckError, Doing, Next, at_most};
use crate::call::{Cause, Channel};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Incomplete;

impl App for Incomplete {
    fn name(&self) -> &'static str {
        "Incomplete"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Ends the call as an incomplete number (484)."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        chan.hangup(Cause::INVALID_NUMBER);
        Ok(Next::End).into()
    }
}
