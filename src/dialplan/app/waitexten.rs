//! `WaitExten([seconds][,options])`: waits for the caller to dial an extension.

use super::{App, CheckError, Doing, Line, Next, Opt, at_most, check_seconds, seconds};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::keypad;
use crate::dialplan::options::{self, Chosen};
use crate::dialplan::piece::Piece;

use super::musiconhold;
use super::playtones::{Tone, tone};

pub(super) struct WaitExten;

const OPTIONS: &[Opt] = &[
    Opt { name: "d", help: "plays the dial tone until the first key" },
    Opt { name: "m", help: "m(class): plays music on hold until the first key" },
];

impl App for WaitExten {
    fn name(&self) -> &'static str {
        "WaitExten"
    }

    fn syntax(&self) -> &'static str {
        "[seconds][,options]"
    }

    fn synopsis(&self) -> &'static str {
        "Waits for an extension to be dialled and goes on there; without a key in time, at the next priority, else at t."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 2)?;
        let pieces = args.arguments(2);
        check_seconds(pieces.first())?;
        pieces.get(1).map_or(Ok(()), |piece| options::choose(piece, OPTIONS, &['m']).map(|_| ()))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let [time, _] = args.values(chan);
            let patience = seconds(&time)?.filter(|time| !time.is_zero()).unwrap_or(chan.response_timeout());
            let pieces = args.piece().arguments(2);
            let chosen = pieces.get(1).map(|piece| options::choose(piece, OPTIONS, &['m'])).transpose()?;
            let meanwhile = chosen.unwrap_or_default().into_iter().next();
            match &meanwhile {
                Some(Chosen { argument: Some(class), .. }) => {
                    let class = args.value(chan, class);
                    musiconhold::start(chan, &args, &class).await?;
                }
                Some(_) => chan.start_playing(tone(Tone::Dial)),
                None => {}
            }
            let first = chan.digit(patience).await;
            if meanwhile.is_some() {
                chan.stop_playing();
            }
            let context = chan.position().context.clone();
            if let Some(key) = first? {
                let dialled = keypad::dial(chan, args.plan(), &context, key).await?;
                return Ok(keypad::go_to(&context, dialled));
            }
            let here = chan.position();
            let extension = args.plan().find(&here.context, &here.extension);
            let goes_on = extension.is_some_and(|extension| extension.step(here.priority + 1).is_some());
            Ok(if goes_on { Next::Continue } else { Next::Timeout })
        })
    }
}
