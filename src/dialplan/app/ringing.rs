//! `Ringing()`: tells the caller that it rings.

use super::{App, CheckError, Doing, Line, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Ringing;

impl App for Ringing {
    fn name(&self) -> &'static str {
        "Ringing"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Tells the caller that it rings."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            chan.ring().await?;
            Ok(Next::Continue)
        })
    }
}
