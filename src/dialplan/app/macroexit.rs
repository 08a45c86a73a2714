//! `MacroExit()`: ends the innermost macro.

use super::{App, CheckError, Doing, Next, at_most};
use crate::call::{Channel, FrameKind};
use crate::dialplan::args::Args;
use crate::dialplan::exec::after_macro;
use crate::dialplan::piece::Piece;

pub(super) struct MacroExit;

impl App for MacroExit {
    fn name(&self) -> &'static str {
        "MacroExit"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Goes on behind the Macro that called; outside a macro the script ends."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let inside = chan.frames().last().is_some_and(|frame| frame.kind == FrameKind::Macro);
        let back = if inside { after_macro(args.plan(), chan) } else { None };
        Ok(back.map_or(Next::End, Next::At)).into()
    }
}
