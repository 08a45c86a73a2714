//! `Hangup([cause])`: ends the call.

use super::{App, CheckError, Doing, Next, at_most};
use crate::call::{Cause, Channel};
use crate::dialplan::args::Args;
use crate::dialplan::exec::cause_of_last_dial;
use crate::dialplan::piece::Piece;

pub(super) struct Hangup;

impl App for Hangup {
    fn name(&self) -> &'static str {
        "Hangup"
    }

    fn syntax(&self) -> &'static str {
        "[cause]"
    }

    fn synopsis(&self) -> &'static str {
        "Ends the call with a Q.850 cause, by number or name; without one, with that of the last Dial, else normally."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)?;
        args.literal().filter(|text| !text.trim().is_empty()).map_or(Ok(()), |text| cause(&text).map(|_| ()))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let text = args.text(chan);
        let chosen = if text.trim().is_empty() { Ok(cause_of_last_dial(chan)) } else { cause(&text) };
        // a wrong cause must not keep the call alive
        chan.hangup(chosen.as_ref().copied().unwrap_or(Cause::NORMAL));
        chosen.map(|_| Next::End).map_err(Into::into).into()
    }
}

fn cause(text: &str) -> Result<Cause, CheckError> {
    Cause::from_word(text).ok_or_else(|| CheckError::Malformed { what: "hang-up cause", found: text.trim().to_owned() })
}
