//! `WaitForNoise(milliseconds[,times[,timeout]])`: waits until the caller is heard for so many milliseconds.

use super::waitforsilence::{check, listen};
use super::{App, CheckError, Doing, Line};
use crate::call::{Channel, Heard};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct WaitForNoise;

impl App for WaitForNoise {
    fn name(&self) -> &'static str {
        "WaitForNoise"
    }

    fn syntax(&self) -> &'static str {
        "[milliseconds[,times[,timeout]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Waits until the caller is heard for so long, so many times; WAITSTATUS is NOISE, TIMEOUT (in seconds) or HANGUP."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(listen(chan, args, (Heard::Noise, "NOISE")))
    }
}
