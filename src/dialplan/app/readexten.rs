//! `ReadExten(variable[,sound[,context[,options[,timeout]]]])`: an extension of a context into a variable.

use super::{App, CheckError, Doing, Line, Next, Opt, Outcome, at_most, check_seconds, seconds};
use crate::call::{Channel, Gone};
use crate::dialplan::args::Args;
use crate::dialplan::context::Dialplan;
use crate::dialplan::keypad::{self, Unanswered};
use crate::dialplan::options;
use crate::dialplan::piece::Piece;

use super::playtones;

pub(super) struct ReadExten;

/// Keys of an extension at most.
const MOST: usize = 80;

const OPTIONS: &[Opt] = &[
    Opt { name: "i", help: "the sound is a tone: busy, congestion, dial, ring or a list as for Playtones" },
    Opt { name: "n", help: "reads without answering" },
    Opt { name: "p", help: "# ends the extension" },
    Opt { name: "s", help: "reads nothing from a caller who is not answered" },
];

impl App for ReadExten {
    fn name(&self) -> &'static str {
        "ReadExten"
    }

    fn syntax(&self) -> &'static str {
        "variable[,sound[,context[,options[,timeout]]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Reads an extension that is there; READEXTENSTATUS is OK, TIMEOUT (variable t), INVALID (variable i) or SKIP."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 5)?;
        let pieces = args.arguments(5);
        if pieces.first().is_none_or(Piece::is_empty) {
            return Err(CheckError::Missing("the name of a variable"));
        }
        check_seconds(pieces.get(4))?;
        pieces.get(3).map_or(Ok(()), |piece| options::choose(piece, OPTIONS, &[]).map(|_| ()))
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        let pieces = args.arguments(5);
        let tone = pieces.get(3).and_then(Piece::literal).is_some_and(|options| options.contains('i'));
        pieces.get(1).filter(|name| !tone && !name.is_empty()).cloned().into_iter().collect()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let outcome = read(chan, &args).await;
            if chan.is_gone() {
                chan.set_var("READEXTENSTATUS", "HANGUP");
            }
            outcome
        })
    }
}

async fn read(chan: &mut Channel, args: &Args<'_>) -> Outcome {
    let pieces = args.piece().arguments(5);
    let chosen = pieces.get(3).map(|piece| options::choose(piece, OPTIONS, &[])).transpose()?.unwrap_or_default();
    let has = |letter| chosen.iter().any(|option| option.letter == letter);
    let unanswered = match (has('s'), has('n')) {
        (true, _) => Unanswered::Skip,
        (_, true) => Unanswered::EarlyMedia,
        _ => Unanswered::Answer,
    };
    let [variable, sound, context, _, timeout] = args.values(chan);
    let variable = variable.trim();
    let context = if context.is_empty() { keypad::context(chan) } else { context };
    let patience = seconds(&timeout)?.filter(|time| !time.is_zero()).unwrap_or(chan.response_timeout());
    if !unanswered.meet(chan).await? {
        return Ok(said(chan, variable, ("", "SKIP")));
    }
    let mut first = None;
    if has('i') && !sound.is_empty() {
        chan.start_playing(playtones::source(&sound)?);
    } else {
        let names = keypad::names(args, chan, pieces.get(1));
        first = keypad::play(chan, args, &names, |_| true).await?.key;
    }
    if first.is_none() {
        first = chan.digit(patience).await?;
    }
    chan.stop_playing();
    let Some(first) = first else { return Ok(said(chan, variable, ("t", "TIMEOUT"))) };
    let ends = if has('p') { Some('#') } else { None };
    let typed = extension(chan, args.plan(), (&context, first), ends).await?;
    if keypad::is_extension(chan, args.plan(), (&context, &typed)) {
        Ok(said(chan, variable, (&typed, "OK")))
    } else {
        chan.set_var("INVALID_EXTEN", typed);
        Ok(said(chan, variable, ("i", "INVALID")))
    }
}

/// Collects as long as a longer extension is possible; a last `#` that is part of none only ends it.
async fn extension(
    chan: &mut Channel,
    plan: &Dialplan,
    (context, first): (&str, char),
    ends: Option<char>,
) -> Result<String, Gone> {
    let (mut typed, mut key) = (String::new(), first);
    loop {
        if ends == Some(key) {
            return Ok(typed);
        }
        typed.push(key);
        if !keypad::grows(chan, plan, (context, &typed)) || typed.len() >= MOST {
            break;
        }
        match chan.digit(chan.digit_timeout()).await? {
            Some(next) => key = next,
            None => return Ok(typed),
        }
    }
    if key == '#' && !keypad::is_extension(chan, plan, (context, &typed)) {
        typed.pop();
    }
    Ok(typed)
}

fn said(chan: &mut Channel, variable: &str, (value, status): (&str, &str)) -> Next {
    chan.set_var(variable, value);
    chan.set_var("READEXTENSTATUS", status);
    Next::Continue
}
