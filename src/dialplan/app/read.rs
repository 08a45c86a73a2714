//! `Read(variable[,sound[&sound...][,most[,options[,attempts[,timeout]]]]])`: digits into a variable.

use std::time::Duration;

use super::{App, CheckError, Doing, Line, Next, Opt, Outcome, at_most, check_seconds, seconds};
use crate::call::{Channel, Gone};
use crate::dialplan::args::Args;
use crate::dialplan::keypad::{self, Ended, Unanswered, Wanted};
use crate::dialplan::options;
use crate::dialplan::piece::Piece;
use crate::media::Source;

use super::playtones;

pub(super) struct Read;

/// Digits read at most.
const MOST: usize = 255;
/// How long to wait for a first key while a further prompt is still to be played.
const BETWEEN_PROMPTS: Duration = Duration::from_millis(50);

const OPTIONS: &[Opt] = &[
    Opt { name: "e", help: "a terminator pressed first is itself what was read" },
    Opt { name: "i", help: "the sound is a tone: busy, congestion, dial, ring or a list as for Playtones" },
    Opt { name: "n", help: "reads without answering" },
    Opt { name: "s", help: "reads nothing from a caller who is not answered" },
    Opt { name: "t", help: "t(keys): the keys that end the digits, # when not given; t() is none" },
];

struct Choice {
    unanswered: Unanswered,
    terminators: String,
    keeps_terminator: bool,
    tone: bool,
}

impl App for Read {
    fn name(&self) -> &'static str {
        "Read"
    }

    fn syntax(&self) -> &'static str {
        "variable[,sound[&sound...][,most[,options[,attempts[,timeout]]]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Reads digits into a variable until # or so many of them; READSTATUS is OK, TIMEOUT, SKIPPED, ERROR or HANGUP."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 6)?;
        let pieces = args.arguments(6);
        if pieces.first().is_none_or(Piece::is_empty) {
            return Err(CheckError::Missing("the name of a variable"));
        }
        keypad::check_count(pieces.get(2), "number of digits")?;
        keypad::check_count(pieces.get(4), "number of attempts")?;
        check_seconds(pieces.get(5))?;
        let tone = match pieces.get(3) {
            Some(piece) => options::choose(piece, OPTIONS, &['t'])?.iter().any(|option| option.letter == 'i'),
            None => false,
        };
        match pieces.get(1).and_then(Piece::literal) {
            Some(text) if tone && !text.is_empty() => playtones::source(&text).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        let pieces = args.arguments(6);
        let tone = pieces.get(3).and_then(Piece::literal).is_some_and(|options| options.contains('i'));
        let names = pieces.get(1).filter(|names| !tone && !names.is_empty());
        names.map(|names| names.split('&')).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            chan.set_var("READSTATUS", "ERROR");
            let outcome = read(chan, &args).await;
            if chan.is_gone() {
                chan.set_var("READSTATUS", "HANGUP");
            }
            outcome
        })
    }
}

async fn read(chan: &mut Channel, args: &Args<'_>) -> Outcome {
    let pieces = args.piece().arguments(6);
    let choice = choose(chan, args, pieces.get(3))?;
    let [variable, tone, most, _, attempts, timeout] = args.values(chan);
    let variable = variable.trim();
    if !choice.unanswered.meet(chan).await? {
        chan.set_var(variable, "");
        chan.set_var("READSTATUS", "SKIPPED");
        return Ok(Next::Continue);
    }
    let timeout = seconds(&timeout)?.filter(|time| !time.is_zero());
    let wanted = Wanted {
        most: keypad::up_to(&most, MOST),
        terminators: &choice.terminators,
        first: timeout.unwrap_or(chan.response_timeout()),
        next: timeout.unwrap_or(chan.digit_timeout()),
    };
    let prompt = match choice.tone {
        true if tone.is_empty() => Prompt::Sounds(Vec::new()),
        true => Prompt::Tone(playtones::source(&tone)?),
        false => Prompt::Sounds(keypad::names(args, chan, pieces.get(1))),
    };
    for _ in 0..attempts.trim().parse().unwrap_or(1).clamp(1, 100) {
        let mut digits = String::new();
        let ended = prompt.ask(chan, args, (&mut digits, &wanted)).await;
        if let (Ok(Ended::Terminated(key)), true, true) = (ended, choice.keeps_terminator, digits.is_empty()) {
            digits.push(key);
        }
        let something = !digits.is_empty();
        chan.set_var(variable, digits);
        chan.set_var("READSTATUS", if ended? == Ended::TimedOut { "TIMEOUT" } else { "OK" });
        if something {
            break;
        }
    }
    Ok(Next::Continue)
}

fn choose(chan: &mut Channel, args: &Args<'_>, piece: Option<&Piece<'_>>) -> Result<Choice, CheckError> {
    let mut choice =
        Choice { unanswered: Unanswered::Answer, terminators: "#".into(), keeps_terminator: false, tone: false };
    let Some(piece) = piece else { return Ok(choice) };
    for option in options::choose(piece, OPTIONS, &['t'])? {
        match option.letter {
            's' => choice.unanswered = Unanswered::Skip,
            'n' if choice.unanswered != Unanswered::Skip => choice.unanswered = Unanswered::EarlyMedia,
            'e' => choice.keeps_terminator = true,
            'i' => choice.tone = true,
            't' => {
                let keys = option.argument.map(|keys| args.value(chan, &keys));
                choice.terminators = keys.unwrap_or_default();
            }
            _ => {}
        }
    }
    Ok(choice)
}

/// What is heard before and while digits are awaited.
enum Prompt {
    Sounds(Vec<String>),
    /// Until the first key.
    Tone(Source),
}

impl Prompt {
    /// Asks once. The first key ends what plays, and belongs to the digits.
    async fn ask(
        &self,
        chan: &mut Channel,
        args: &Args<'_>,
        (digits, wanted): (&mut String, &Wanted<'_>),
    ) -> Result<Ended, Gone> {
        match self {
            Self::Tone(source) => {
                chan.start_playing(source.clone());
                let first = chan.digit(wanted.first).await;
                chan.stop_playing();
                let Some(first) = first? else { return Ok(Ended::TimedOut) };
                chan.unread_digit(first);
            }
            Self::Sounds(names) => {
                for (at, name) in names.iter().enumerate() {
                    let played = keypad::play(chan, args, std::slice::from_ref(name), |_| true).await?;
                    let key = match played.key {
                        None if at + 1 < names.len() => chan.digit(BETWEEN_PROMPTS).await?,
                        key => key,
                    };
                    if let Some(key) = key {
                        chan.unread_digit(key);
                        break;
                    }
                }
            }
        }
        keypad::collect(chan, digits, wanted).await
    }
}
