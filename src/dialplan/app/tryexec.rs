//! `TryExec(application(arguments))`: runs an application that there may not be, and says what came of it.

use super::exec::{check_call, is_there, name_of_call, risks_of_call, run, sounds_of_call};
use super::{App, AppError, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::risk::Risk;

pub(super) struct TryExec;

const STATUS: &str = "TRYSTATUS";

impl App for TryExec {
    fn name(&self) -> &'static str {
        "TryExec"
    }

    fn syntax(&self) -> &'static str {
        "application(arguments)"
    }

    fn synopsis(&self) -> &'static str {
        "Runs an application that this server may not have. TRYSTATUS is SUCCESS, NOAPP where there is none, or FAILED where its \
         arguments are wrong."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        match name_of_call(args).literal() {
            Some(name) if !name.is_empty() && !is_there(&name) => Ok(()),
            _ => check_call(args),
        }
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        sounds_of_call(args)
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        risks_of_call(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let call = args.piece().clone();
            let name = args.value(chan, &name_of_call(&call));
            if !is_there(name.trim()) {
                chan.set_var(STATUS, "NOAPP");
                return Ok(Next::Continue);
            }
            chan.set_var(STATUS, "SUCCESS");
            let outcome = match run(&mut *chan, &args, call) {
                Doing::Done(outcome) => outcome,
                Doing::Waits(work) => work.await,
            };
            match outcome {
                Err(AppError::Argument(error)) => {
                    tracing::warn!(uuid = chan.uuid(), %error, "TryExec");
                    chan.set_var(STATUS, "FAILED");
                    Ok(Next::Continue)
                }
                outcome => outcome,
            }
        })
    }
}
