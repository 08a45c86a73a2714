//! `SayNumber(number[,gender])`: says a whole number in words.

use super::{App, CheckError, Doing, Line, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::{keypad, say};

pub(super) struct SayNumber;

impl App for SayNumber {
    fn name(&self) -> &'static str {
        "SayNumber"
    }

    fn syntax(&self) -> &'static str {
        "number[,gender]"
    }

    fn synopsis(&self) -> &'static str {
        "Says a whole number in words, up to 999999999; the gender (f, m, c or n) makes no difference in English."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 2)?;
        let pieces = args.arguments(2);
        if pieces.first().is_none_or(Piece::is_empty) {
            return Err(CheckError::Missing("the number"));
        }
        keypad::check_count(pieces.first(), "whole number")?;
        match pieces.get(1).and_then(Piece::literal) {
            Some(gender) if !matches!(gender.trim(), "" | "f" | "m" | "c" | "n" | "F" | "M" | "C" | "N") => {
                Err(CheckError::Unknown { what: "gender", found: gender, known: "f, m, c, n".to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let [text, _gender] = args.values(chan);
            let Some(words) = text.trim().parse().ok().and_then(say::number) else {
                tracing::warn!(uuid = chan.uuid(), text, "SayNumber: no number that can be said");
                return Ok(Next::Continue);
            };
            Ok(keypad::say(chan, &args, &words).await?)
        })
    }
}
