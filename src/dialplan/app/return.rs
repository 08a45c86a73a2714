//! `Return([value])`: ends the innermost subroutine.

use super::{App, CheckError, Doing, Next};
use crate::call::{Channel, FrameKind};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Return;

impl App for Return {
    fn name(&self) -> &'static str {
        "Return"
    }

    fn syntax(&self) -> &'static str {
        "[value]"
    }

    fn synopsis(&self) -> &'static str {
        "Goes on behind the Gosub that called; the value is in GOSUB_RETVAL. Without a Gosub the script ends."
    }

    fn check(&self, _args: &Piece<'_>) -> Result<(), CheckError> {
        Ok(())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        // evaluated before its variables go
        let value = args.text(chan);
        while let Some(frame) = chan.pop_frame() {
            if frame.kind == FrameKind::Gosub {
                chan.set_var("GOSUB_RETVAL", value);
                let mut back = frame.back;
                back.priority = back.priority.saturating_add(1);
                return Ok(Next::At(back)).into();
            }
        }
        tracing::warn!(uuid = chan.uuid(), "Return without Gosub: the script ends");
        Ok(Next::End).into()
    }
}
