//! `GotoIfTime(times?[target][:target])`: goes on elsewhere at certain times.

use super::goto::{check_target, jump_to};
use super::gotoif::split;
use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::times::TimeRange;

pub(super) struct GotoIfTime;

impl App for GotoIfTime {
    fn name(&self) -> &'static str {
        "GotoIfTime"
    }

    fn syntax(&self) -> &'static str {
        "times,weekdays,days,months[,timezone]?[target_if_now][:target_if_not]"
    }

    fn synopsis(&self) -> &'static str {
        "Goes on at one of two targets, as Goto takes them, by the clock: 9:00-17:00,mon-fri,*,*."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_times(args)?;
        let (_, targets) = split(args)?;
        let mut written = targets.iter().filter(|target| !target.is_empty()).peekable();
        if written.peek().is_none() {
            return Err(CheckError::Missing("a target after `?`"));
        }
        written.try_for_each(check_target)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let next = split(args.piece()).and_then(|(times, [yes, no])| {
            let target = if is_now(&args.value(chan, &times))? { yes } else { no };
            Ok(if target.is_empty() { Next::Continue } else { Next::Jump(jump_to(chan, &args, &target)) })
        });
        next.map_err(Into::into).into()
    }
}

/// Refuses times that are written wrong.
pub(super) fn check_times(args: &Piece<'_>) -> Result<(), CheckError> {
    match args.split_once('?').and_then(|(times, _)| times.literal()) {
        Some(times) => is_now(&times).map(|_| ()),
        None => Ok(()),
    }
}

/// Whether the times hold now.
pub(super) fn is_now(times: &str) -> Result<bool, CheckError> {
    let wrong = |error| CheckError::Malformed { what: "time range", found: format!("{times}`: {error}") };
    Ok(TimeRange::parse(times).map_err(wrong)?.contains_moment(jiff::Timestamp::now()))
}
