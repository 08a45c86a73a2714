//! `Playback(name[&name...][,options])`: plays sounds one after the other.

use super::{App, CheckError, Doing, Line, Next, Opt, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::keypad::{self, Unanswered};
use crate::dialplan::piece::Piece;

pub(super) struct Playback;

const OPTIONS: &[Opt] = &[
    Opt { name: "noanswer", help: "plays without answering, as early media" },
    Opt { name: "skip", help: "plays nothing to a caller who is not answered" },
];

impl App for Playback {
    fn name(&self) -> &'static str {
        "Playback"
    }

    fn syntax(&self) -> &'static str {
        "name[&name...][,options]"
    }

    fn synopsis(&self) -> &'static str {
        "Answers and plays sounds; a missing one is passed over, and PLAYBACKSTATUS is then FAILED, else SUCCESS."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 2)?;
        let args = args.arguments(2);
        if args.first().is_none_or(Piece::is_empty) {
            return Err(CheckError::Missing("the name of a sound"));
        }
        options(args.get(1)).map(|_| ())
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        args.arguments(2).first().map(|names| names.split('&')).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let pieces = args.piece().arguments(2);
            let unanswered = options(pieces.get(1))?;
            if !unanswered.meet(chan).await? {
                chan.set_var("PLAYBACKSTATUS", "SUCCESS");
                return Ok(Next::Continue);
            }
            let names = keypad::names(&args, chan, pieces.first());
            let played = keypad::play(chan, &args, &names, |_| false).await?;
            let status = if played.missing == 0 { "SUCCESS" } else { "FAILED" };
            chan.set_var("PLAYBACKSTATUS", status);
            Ok(Next::Continue)
        })
    }
}

fn options(piece: Option<&Piece<'_>>) -> Result<Unanswered, CheckError> {
    let words = piece.map_or(Some(String::new()), Piece::literal).ok_or(CheckError::ComputedOptions)?;
    let mut unanswered = Unanswered::Answer;
    for word in words.split(['&', ',']).map(str::trim).filter(|word| !word.is_empty()) {
        unanswered = match word {
            "noanswer" => Unanswered::EarlyMedia,
            "skip" => Unanswered::Skip,
            _ => {
                let known = OPTIONS.iter().map(|option| option.name).collect::<Vec<_>>().join(", ");
                return Err(CheckError::UnknownOption { option: word.to_owned(), known });
            }
        };
    }
    Ok(unanswered)
}
