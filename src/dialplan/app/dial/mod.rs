//! `Dial(target[&target...][,timeout[^silence][,options]])`: calls others and connects the caller with the first who answers.
//!
//! `wanted` reads what is asked for, `run` goes over the called parties and their ringing, `answer` from there to the end, with
//! `talk` as long as both parties do; `results` are the variables.

mod answer;
mod options;
mod results;
mod run;
mod talk;
mod transfer;
mod wanted;

use super::{App, CheckError, Doing, Line, Opt, at_most, check_seconds};
use crate::call::{Channel, DialStatus};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use wanted::Wanted;

pub(super) struct Dial;

impl App for Dial {
    fn name(&self) -> &'static str {
        "Dial"
    }

    fn syntax(&self) -> &'static str {
        "target[&target...][,timeout[^silence][,options]]"
    }

    fn synopsis(&self) -> &'static str {
        "Calls all targets at once for at most the timeout in seconds, less when none has said anything within the silence; sets \
         DIALSTATUS, HANGUPCAUSE, DIALEDTIME, ANSWEREDTIME, RINGTIME, PROGRESSTIME (each also with _MS), DIALEDPEERNAME and \
         DIALEDPEERNUMBER."
    }

    fn options(&self) -> &'static [Opt] {
        options::OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 3)?;
        let args = args.arguments(3);
        let targets = args.first().filter(|targets| !targets.is_empty()).ok_or(CheckError::Missing("the target"))?;
        targets.split('&').iter().try_for_each(check_target)?;
        for time in args.get(1).map(|timeout| timeout.split('^')).unwrap_or_default() {
            check_seconds(Some(&time))?;
        }
        match args.get(2).map(options::chosen) {
            // They come from a variable: looked at when they are known.
            None | Some(Err(CheckError::ComputedOptions)) => Ok(()),
            Some(chosen) => chosen?.iter().try_for_each(options::check),
        }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            results::clear(chan);
            match Wanted::read(chan, &args) {
                Ok(wanted) => run::dial(chan, &args, wanted).await,
                Err(error) => {
                    chan.set_var("DIALSTATUS", DialStatus::InvalidArgs.word());
                    Err(error.into())
                }
            }
        })
    }
}

/// A target written out whole must have a technology.
pub(super) fn check_target(target: &Piece<'_>) -> Result<(), CheckError> {
    match target.literal() {
        Some(text) if text.trim().split_once('/').is_none_or(|(tech, rest)| tech.is_empty() || rest.is_empty()) => {
            Err(CheckError::Malformed { what: "target (write SIP/1001 or SIP/number@host)", found: text })
        }
        _ => Ok(()),
    }
}
