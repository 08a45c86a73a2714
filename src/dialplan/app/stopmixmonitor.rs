//! `StopMixMonitor([id])`: ends the channel's recordings of `MixMonitor`, and goes on when they are complete.

use super::mixmonitor::NAME;
use super::{App, CheckError, Doing, Next, Outcome, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::recorded;

pub(super) struct StopMixMonitor;

impl App for StopMixMonitor {
    fn name(&self) -> &'static str {
        "StopMixMonitor"
    }

    fn syntax(&self) -> &'static str {
        "[id]"
    }

    fn synopsis(&self) -> &'static str {
        "Ends the recordings that MixMonitor began on this channel, or the one with the id of its option i. The next priority \
         finds them complete and in the outbox."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(stop(chan, args, &[NAME]))
    }
}

/// Ends the channel's recordings by these applications; of all the one with the id that is given.
pub(super) async fn stop(chan: &mut Channel, args: Args<'_>, applications: &[&str]) -> Outcome {
    let id = args.text(chan);
    let mut beeps = false;
    for recording in recorded::of(chan, applications) {
        let own = recording.id().to_string();
        if !id.trim().is_empty() && !recording.is_of(id.trim()) {
            continue;
        }
        // What went wrong is in the log, and its file is kept.
        let _ = recording.stop().await;
        let before = chan.about().beep_after.len();
        chan.about_mut().beep_after.retain(|after| *after != own);
        beeps |= chan.about().beep_after.len() < before;
    }
    if beeps {
        recorded::beep(chan, &args).await?;
    }
    Ok(Next::Continue)
}
