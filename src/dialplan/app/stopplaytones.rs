//! `StopPlaytones()`: ends what Playtones began.

use super::{App, CheckError, Doing, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct StopPlaytones;

impl App for StopPlaytones {
    fn name(&self) -> &'static str {
        "StopPlaytones"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Ends the tone that Playtones began."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            chan.stop_playing();
            Ok(Next::Continue)
        })
    }
}
