//! `Wait(seconds)`: waits.

use super::{App, CheckError, Doing, Line, Next, at_most, check_seconds, seconds};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Wait;

impl App for Wait {
    fn name(&self) -> &'static str {
        "Wait"
    }

    fn syntax(&self) -> &'static str {
        "seconds"
    }

    fn synopsis(&self) -> &'static str {
        "Waits for a number of seconds, fractions allowed."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)?;
        if args.is_empty() {
            return Err(CheckError::Missing("the number of seconds"));
        }
        check_seconds(Some(args))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            if let Some(time) = seconds(&args.text(chan))? {
                chan.wait(time).await?;
            }
            Ok(Next::Continue)
        })
    }
}
