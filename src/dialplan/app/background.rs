//! `BackGround(sound[&sound...][,options[,language[,context]]])`: plays while the caller dials an extension.

use super::{App, CheckError, Doing, Line, Next, Opt, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::keypad::{self, Unanswered};
use crate::dialplan::options;
use crate::dialplan::piece::Piece;
use crate::dialplan::search::Query;

pub(super) struct BackGround;

const OPTIONS: &[Opt] = &[
    Opt { name: "m", help: "only a key that is an extension of the context by itself ends the sounds" },
    Opt { name: "n", help: "plays without answering, as early media" },
    Opt { name: "p", help: "no key ends the sounds" },
    Opt { name: "s", help: "plays nothing to a caller who is not answered" },
];

/// Which keys end the sounds.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    AnyKey,
    WholeExtension,
    NoKey,
}

impl App for BackGround {
    fn name(&self) -> &'static str {
        "BackGround"
    }

    fn syntax(&self) -> &'static str {
        "sound[&sound...][,options[,language[,context]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Plays sounds until a key is pressed, and goes on at the extension that is dialled with it; sets BACKGROUNDSTATUS."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 4)?;
        let pieces = args.arguments(4);
        if pieces.first().is_none_or(Piece::is_empty) {
            return Err(CheckError::Missing("the name of a sound"));
        }
        choose(pieces.get(1)).map(|_| ())
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        args.arguments(4).first().map(|names| names.split('&')).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let pieces = args.piece().arguments(4);
            let (unanswered, ends) = choose(pieces.get(1))?;
            let names = keypad::names(&args, chan, pieces.first());
            let [_, _, language, context] = args.values(chan);
            let context = if context.is_empty() { keypad::context(chan) } else { context };
            chan.set_var("BACKGROUNDSTATUS", "SUCCESS");
            if !unanswered.meet(chan).await? {
                return Ok(Next::Continue);
            }
            let plan = args.plan();
            let caller = chan.caller().number.clone();
            let stops = |key: char| match ends {
                Ends::AnyKey => true,
                Ends::WholeExtension => {
                    plan.begins(&Query::new(&context, key.encode_utf8(&mut [0; 4])).caller(&caller))
                }
                Ends::NoKey => false,
            };
            let before = chan.language().to_owned();
            if !language.is_empty() {
                chan.set_language(language);
            }
            let played = keypad::play(chan, &args, &names, stops).await;
            chan.set_language(before);
            let played = played?;
            if played.missing > 0 {
                chan.set_var("BACKGROUNDSTATUS", "FAILED");
            }
            let Some(key) = played.key else { return Ok(Next::Continue) };
            let dialled = keypad::dial(chan, plan, &context, key).await?;
            Ok(keypad::go_to(&context, dialled))
        })
    }
}

fn choose(piece: Option<&Piece<'_>>) -> Result<(Unanswered, Ends), CheckError> {
    let (mut unanswered, mut ends) = (Unanswered::Answer, Ends::AnyKey);
    let Some(piece) = piece else { return Ok((unanswered, ends)) };
    match piece.literal().as_deref().map(str::trim) {
        Some("skip") => return Ok((Unanswered::Skip, ends)),
        Some("noanswer") => return Ok((Unanswered::EarlyMedia, ends)),
        _ => {}
    }
    for option in options::choose(piece, OPTIONS, &[])? {
        match option.letter {
            's' => unanswered = Unanswered::Skip,
            'n' if unanswered != Unanswered::Skip => unanswered = Unanswered::EarlyMedia,
            'm' if ends == Ends::AnyKey => ends = Ends::WholeExtension,
            'p' => ends = Ends::NoKey,
            _ => {}
        }
    }
    Ok((unanswered, ends))
}
