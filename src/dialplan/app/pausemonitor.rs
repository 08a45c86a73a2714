//! `PauseMonitor()` and `UnpauseMonitor()`: for as long as nothing of the channel's call is to be recorded, as a card's number.

use super::{App, CheckError, Doing, Next, at_most, mixmonitor, monitor};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::recorded;

pub(super) struct PauseMonitor;
pub(super) struct UnpauseMonitor;

/// Whose recordings they are for.
const BEGUN_BY: &[&str] = &[mixmonitor::NAME, monitor::NAME];

impl App for PauseMonitor {
    fn name(&self) -> &'static str {
        "PauseMonitor"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Records nothing until UnpauseMonitor, in all recordings that Monitor and MixMonitor began on this channel. The time \
         is cut out, and their manifests say where; rec mask records silence instead."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        recorded::of(chan, BEGUN_BY).iter().for_each(|recording| recording.pause());
        Ok(Next::Continue).into()
    }
}

impl App for UnpauseMonitor {
    fn name(&self) -> &'static str {
        "UnpauseMonitor"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Ends the pause of PauseMonitor."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        recorded::of(chan, BEGUN_BY).iter().for_each(|recording| recording.resume());
        Ok(Next::Continue).into()
    }
}
