//! `ExecIfTime(times?application(arguments)[:application(arguments)])`: runs an application at certain times.

use super::exec::{records_of_call, risks_of_call, sounds_of_call};
use super::execif::{check_calls, of_calls, run_chosen, split};
use super::gotoiftime::{check_times, is_now};
use super::{App, CheckError, Doing};
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
        check_calls(args)
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        of_calls(args, sounds_of_call)
    }

    fn records<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        of_calls(args, records_of_call)
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        of_calls(args, risks_of_call)
    }

    fn read_first<'p>(&self, args: &Piece<'p>) -> Piece<'p> {
        split(args).map(|(times, _)| times).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let chosen = split(args.piece()).and_then(|(times, [yes, no])| {
            let now = is_now(&args.value(chan, &times))?;
            Ok(if now { yes } else { no })
        });
        run_chosen(chan, args, chosen)
    }
}
