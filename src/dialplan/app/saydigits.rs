//! `SayDigits(digits)`: says digits one by one.

use super::{App, CheckError, Doing, Line};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::{keypad, say};

pub(super) struct SayDigits;

impl App for SayDigits {
    fn name(&self) -> &'static str {
        "SayDigits"
    }

    fn syntax(&self) -> &'static str {
        "digits"
    }

    fn synopsis(&self) -> &'static str {
        "Says digits one by one."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() { Err(CheckError::Missing("the digits")) } else { Ok(()) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let text = args.text(chan);
            Ok(keypad::say(chan, &args, &say::digits(&text)).await?)
        })
    }
}
