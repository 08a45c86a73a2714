//! `NoOp(text)`: shows its text in the log, does nothing else.

use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct NoOp;

impl App for NoOp {
    fn name(&self) -> &'static str {
        "NoOp"
    }

    fn syntax(&self) -> &'static str {
        "[text]"
    }

    fn synopsis(&self) -> &'static str {
        "Does nothing; its text is evaluated and shown in the log at level debug."
    }

    fn check(&self, _args: &Piece<'_>) -> Result<(), CheckError> {
        Ok(())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let text = args.shown(chan, args.piece());
        tracing::debug!(uuid = chan.uuid(), text, "NoOp");
        Ok(Next::Continue).into()
    }
}
