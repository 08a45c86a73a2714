//! `Echo()`: the caller hears himself until he presses `#`.

use super::{App, CheckError, Doing, Line, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Echo;

impl App for Echo {
    fn name(&self) -> &'static str {
        "Echo"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Sends back what the caller says, until # is pressed."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            chan.echo().await?;
            Ok(Next::Continue)
        })
    }
}
