//! `StackPop()`: forgets where the innermost subroutine was called from.

use super::{App, CheckError, Doing, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct StackPop;

impl App for StackPop {
    fn name(&self) -> &'static str {
        "StackPop"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Forgets the innermost subroutine without going back to where it was called."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        chan.pop_frame();
        Ok(Next::Continue).into()
    }
}
