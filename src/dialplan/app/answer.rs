//! `Answer([delay])`: answers the caller.

use std::time::Duration;

use super::{App, CheckError, Doing, Line, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Answer;

impl App for Answer {
    fn name(&self) -> &'static str {
        "Answer"
    }

    fn syntax(&self) -> &'static str {
        "[delay]"
    }

    fn synopsis(&self) -> &'static str {
        "Answers the caller, then waits for the delay in milliseconds."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)?;
        args.literal().map_or(Ok(()), |text| milliseconds(&text).map(|_| ()))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let delay = milliseconds(&args.text(chan));
            chan.answer().await?;
            chan.wait(delay?).await?;
            Ok(Next::Continue)
        })
    }
}

fn milliseconds(text: &str) -> Result<Duration, CheckError> {
    match text.trim() {
        "" => Ok(Duration::ZERO),
        text => text
            .parse()
            .map(|ms: u32| Duration::from_millis(ms.into()))
            .map_err(|_| CheckError::Malformed { what: "time in milliseconds", found: text.to_owned() }),
    }
}
