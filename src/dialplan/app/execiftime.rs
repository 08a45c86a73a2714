//! `ExecIfTime(times?application(arguments)[:application(arguments)])`: runs an application at certain times.

use super::exec::{check_call, records_of_call, risks_of_call, run, run_later, sounds_of_call};
use super::execif::split;
use super::gotoiftime::{check_times, is_now};
use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::risk::Risk;

pub(super) struct ExecIfTime;

impl App for ExecIfTime {
    fn name(&self) -> &'static str {
        "ExecIfTime"
    }

    fn syntax(&self) -> &'static str {
        "times,weekdays,days,months[,timezone]?application(arguments)[:application(arguments)]"
    }

    fn synopsis(&self) -> &'static str {
        "Runs one of two applications by the clock."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_times(args)?;
        let (_, [yes, no]) = split(args)?;
        check_call(&yes)?;
        if no.is_empty() { Ok(()) } else { check_call(&no) }
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        split(args).map(|(_, calls)| calls.iter().flat_map(sounds_of_call).collect()).unwrap_or_default()
    }

    fn records<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        split(args).map(|(_, calls)| calls.iter().flat_map(records_of_call).collect()).unwrap_or_default()
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        split(args).map(|(_, calls)| calls.iter().flat_map(risks_of_call).collect()).unwrap_or_default()
    }

    fn read_first<'p>(&self, args: &Piece<'p>) -> Piece<'p> {
        split(args).map(|(times, _)| times).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let chosen = split(args.piece()).and_then(|(times, [yes, no])| {
            let now = is_now(&args.value(chan, &times))?;
            Ok(if now { yes } else { no })
        });
        match chosen {
            Ok(chosen) if chosen.is_empty() => Ok(Next::Continue).into(),
            Ok(chosen) if chosen.waits() => run_later(chan, args, chosen),
            Ok(chosen) => run(chan, &args, chosen),
            Err(error) => Err(error.into()).into(),
        }
    }
}
