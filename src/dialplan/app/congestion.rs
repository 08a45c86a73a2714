//! `Congestion([timeout])`: tells the caller that the way is blocked, and ends the call.

use super::playtones::{Tone, refuse};
use super::{App, CheckError, Doing, Line, at_most, check_seconds};
use crate::call::{Cause, Channel};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Congestion;

impl App for Congestion {
    fn name(&self) -> &'static str {
        "Congestion"
    }

    fn syntax(&self) -> &'static str {
        "[timeout]"
    }

    fn synopsis(&self) -> &'static str {
        "Ends the call as congestion; a caller already answered hears the tone first, for the timeout in seconds."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)?;
        check_seconds(Some(args))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(refuse(chan, args, (Cause::CONGESTION, Tone::Congestion)))
    }
}
