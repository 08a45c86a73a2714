//! `WaitForSilence(milliseconds[,times[,timeout]])`: waits until the caller is silent for so many milliseconds.

use std::time::Duration;

use super::{App, CheckError, Doing, Line, Next, Outcome, at_most, check_seconds, seconds};
use crate::call::{Channel, Heard};
use crate::dialplan::args::Args;
use crate::dialplan::keypad;
use crate::dialplan::piece::Piece;

pub(super) struct WaitForSilence;

impl App for WaitForSilence {
    fn name(&self) -> &'static str {
        "WaitForSilence"
    }

    fn syntax(&self) -> &'static str {
        "[milliseconds[,times[,timeout]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Waits until the caller is silent for so long, so many times; WAITSTATUS is SILENCE, TIMEOUT (in seconds) or HANGUP."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(listen(chan, args, (Heard::Silence, "SILENCE")))
    }
}

/// What both applications that listen take: milliseconds, times, and a timeout in seconds.
pub(super) fn check(args: &Piece<'_>) -> Result<(), CheckError> {
    at_most(args, 3)?;
    let pieces = args.arguments(3);
    keypad::check_count(pieces.first(), "number of milliseconds")?;
    keypad::check_count(pieces.get(1), "number of times")?;
    check_seconds(pieces.get(2))
}

/// Answers and listens.
pub(super) async fn listen(chan: &mut Channel, args: Args<'_>, (wanted, word): (Heard, &'static str)) -> Outcome {
    let [time, times, timeout] = args.values(chan);
    let time = Duration::from_millis(time.trim().parse().unwrap_or(1_000));
    let times = times.trim().parse().unwrap_or(1);
    let limit = seconds(&timeout)?.filter(|limit| !limit.is_zero());
    if !chan.is_answered() {
        chan.answer().await?;
    }
    let heard = chan.listen_for(wanted, (time, times), limit).await;
    let status = match heard {
        Ok(true) => word,
        Ok(false) => "TIMEOUT",
        Err(_) => "HANGUP",
    };
    chan.set_var("WAITSTATUS", status);
    heard?;
    Ok(Next::Continue)
}
