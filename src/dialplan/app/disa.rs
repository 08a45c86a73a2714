//! `DISA(pin[,context[,caller id[,mailbox[,options]]]])`: a dial tone of this system for a caller from outside who knows the PIN.

use std::time::{Duration, Instant};

use serde_json::json;

use super::playtones::{Tone, tone};
use super::{App, CheckError, Doing, Line, Next, Opt, Outcome, at_most};
use crate::call::{CallerId, Cause, Channel, Gone};
use crate::config::CallerIdText;
use crate::dialplan::args::Args;
use crate::dialplan::context::Dialplan;
use crate::dialplan::func::callerid::split_all;
use crate::dialplan::keypad::{self, Ended, Unanswered, Wanted};
use crate::dialplan::options;
use crate::dialplan::piece::Piece;
use crate::dialplan::pin_guard::{Entrant, Limit};

pub(super) struct Disa;

/// The word that asks for no PIN.
const NO_PASSWORD: &str = "no-password";
/// Digits of a PIN, and of a number, at most.
const MOST: usize = 80;
/// How long the congestion tone is heard when nothing came of it.
const REORDER: Duration = Duration::from_secs(3);

const OPTIONS: &[Opt] = &[
    Opt { name: "n", help: "does not answer; the dial tone is early media" },
    Opt { name: "p", help: "# ends the number" },
    Opt { name: "u", help: "unprotected: without it `no-password` is refused" },
];

struct Choice {
    unanswered: Unanswered,
    hash_ends: bool,
    unprotected: bool,
}

impl App for Disa {
    fn name(&self) -> &'static str {
        "DISA"
    }

    fn syntax(&self) -> &'static str {
        "pin[,context[,caller id[,mailbox[,options]]]]"
    }

    fn synopsis(&self) -> &'static str {
        "After the PIN and #, gives a dial tone and goes on at the number dialled; too many wrong PINs block the caller."
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
        let pin = pieces.first().filter(|pin| !pin.is_empty()).ok_or(CheckError::Missing("the PIN"))?;
        let choice = choose(pieces.get(4))?;
        match pin.literal().as_deref().map(str::trim) {
            Some(NO_PASSWORD) if !choice.unprotected => Err(CheckError::Malformed {
                what: "PIN: whoever calls could dial out at your cost (option u allows it)",
                found: NO_PASSWORD.to_owned(),
            }),
            Some(NO_PASSWORD) | None => Ok(()),
            Some(pin) if !pin.is_empty() && pin.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*') => Ok(()),
            Some(other) => Err(CheckError::Malformed {
                what: "PIN of digits; files of PINs are not read",
                found: other.to_owned(),
            }),
        }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let pieces = args.piece().arguments(5);
            let choice = choose(pieces.get(4))?;
            let [pin, context, caller_id, ..] = args.values::<5>(chan);
            let context = if context.is_empty() { "disa" } else { context.trim() };
            let entrant = Entrant { source: chan.source(), number: chan.caller().number.clone() };
            if args.env().pins().blocks(Instant::now(), &entrant) {
                tracing::warn!(uuid = chan.uuid(), source = entrant.source, "DISA: blocked after wrong PINs");
                chan.hangup(Cause::REJECTED);
                return Ok(Next::End);
            }
            choice.unanswered.meet(chan).await?;
            let free = choice.unprotected && pin.trim() == NO_PASSWORD;
            if !free && !admits(chan, &args, (&pin, &entrant)).await? {
                return reorder(chan).await;
            }
            let dialled = number(chan, args.plan(), (context, choice.hash_ends)).await?;
            let Some(dialled) = dialled else { return reorder(chan).await };
            let leads = |name: &str| keypad::is_extension(chan, args.plan(), (context, name));
            if !leads(&dialled) && !leads("i") {
                return reorder(chan).await;
            }
            if !caller_id.is_empty() {
                let CallerIdText { name, number } = split_all(&caller_id);
                chan.set_caller(CallerId { name, number });
            }
            Ok(keypad::go_to(context, dialled))
        })
    }
}

fn choose(piece: Option<&Piece<'_>>) -> Result<Choice, CheckError> {
    let mut choice = Choice { unanswered: Unanswered::Answer, hash_ends: false, unprotected: false };
    let Some(piece) = piece else { return Ok(choice) };
    for option in options::choose(piece, OPTIONS, &[])? {
        match option.letter {
            'n' => choice.unanswered = Unanswered::EarlyMedia,
            'p' => choice.hash_ends = true,
            _ => choice.unprotected = true,
        }
    }
    Ok(choice)
}

/// Asks for the PIN. A caller who is blocked by now is refused whatever he enters.
async fn admits(chan: &mut Channel, args: &Args<'_>, (pin, entrant): (&str, &Entrant)) -> Result<bool, Gone> {
    let mut entered = String::new();
    if dial_tone(chan).await? {
        let wanted =
            Wanted { most: MOST, terminators: "#", first: chan.response_timeout(), next: chan.digit_timeout() };
        if keypad::collect(chan, &mut entered, &wanted).await? != Ended::Terminated('#') {
            return Ok(false);
        }
    } else {
        return Ok(false);
    }
    let now = Instant::now();
    let mut pins = args.env().pins();
    if !pins.blocks(now, entrant) && keypad::is_secret(&entered, pin.trim()) {
        pins.right(entrant);
        return Ok(true);
    }
    let settings = chan.exchange().settings.load_full();
    let limit = Limit { wrong: settings.limits.bad_logins, block: settings.limits.ban_time };
    let blocked = pins.wrong(now, limit, entrant);
    drop(pins);
    tracing::warn!(target: "login", "DISA: wrong PIN: source={} number={:?}", entrant.source, entrant.number);
    if let Some(time) = blocked {
        tracing::warn!(target: "login", "DISA: blocked: source={} seconds={}", entrant.source, time.as_secs());
        let facts =
            json!({"uuid": chan.uuid(), "source": entrant.source, "number": entrant.number, "seconds": time.as_secs()});
        chan.exchange().journal.note("disa.blocked", facts);
    }
    Ok(false)
}

/// Plays the dial tone until the first key, which is left to be read; false when none came in time.
async fn dial_tone(chan: &mut Channel) -> Result<bool, Gone> {
    chan.start_playing(tone(Tone::Dial));
    let first = chan.digit(chan.response_timeout()).await;
    chan.stop_playing();
    let first = first?;
    if let Some(key) = first {
        chan.unread_digit(key);
    }
    Ok(first.is_some())
}

/// What the caller dials; `#` ends it unless an extension begins with that.
async fn number(
    chan: &mut Channel,
    plan: &Dialplan,
    (context, hash_ends): (&str, bool),
) -> Result<Option<String>, Gone> {
    if !dial_tone(chan).await? {
        return Ok(None);
    }
    let mut typed = String::new();
    while typed.len() < MOST && (typed.is_empty() || keypad::grows(chan, plan, (context, &typed))) {
        match chan.digit(chan.digit_timeout()).await? {
            None => break,
            Some('#') if hash_ends || !typed.is_empty() => break,
            Some('#')
                if !keypad::grows(chan, plan, (context, "#")) && !keypad::is_extension(chan, plan, (context, "#")) =>
            {
                break;
            }
            Some(key) => typed.push(key),
        }
    }
    Ok(Some(typed).filter(|typed| !typed.is_empty()))
}

/// The congestion tone, and the end.
async fn reorder(chan: &mut Channel) -> Outcome {
    chan.start_playing(tone(Tone::Congestion));
    chan.wait(REORDER).await?;
    chan.hangup(Cause::REJECTED);
    Ok(Next::End)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    fn check(args: &str) -> Result<(), CheckError> {
        Disa.check(&Template::compile(args).unwrap().piece())
    }

    #[test]
    fn s096_without_a_pin_it_is_refused_when_the_file_is_read_unless_that_is_written() {
        assert!(check("no-password,out").unwrap_err().to_string().contains("option u allows it"));
        assert!(check("no-password").is_err());
        assert_eq!(check("no-password,out,,,u"), Ok(()));
        assert_eq!(check("1234,out"), Ok(()));
        assert_eq!(check("${DB(disa/pin)},out,\"Office\" <100>,,np"), Ok(()));
        assert_eq!(check(""), Err(CheckError::Missing("the PIN")));
        assert_eq!(check(",out"), Err(CheckError::Missing("the PIN")));
        assert!(check("/etc/disa.conf,out").is_err() && check("12x4").is_err());
    }
}
