//! `SayAlpha(text)`: spells a text.

use super::{App, CheckError, Doing, Line};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::{keypad, say};

pub(super) struct SayAlpha;

impl App for SayAlpha {
    fn name(&self) -> &'static str {
        "SayAlpha"
    }

    fn syntax(&self) -> &'static str {
        "text"
    }

    fn synopsis(&self) -> &'static str {
        "Spells a text: letters, digits and marks."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() { Err(CheckError::Missing("the text")) } else { Ok(()) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let text = args.text(chan);
            Ok(keypad::say(chan, &args, &say::letters(&text)).await?)
        })
    }
}
