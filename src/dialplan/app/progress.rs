//! `Progress()`: opens the way for early media.

use super::{App, CheckError, Doing, Line, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Progress;

impl App for Progress {
    fn name(&self) -> &'static str {
        "Progress"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Lets a caller who is not answered hear what is played (183)."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            if !chan.is_answered() {
                chan.progress().await?;
            }
            Ok(Next::Continue)
        })
    }
}
