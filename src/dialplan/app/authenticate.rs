//! `Authenticate(password[,options[,most[,sound]]])`: lets nobody on without the password.

use super::{App, CheckError, Doing, Line, Next, at_most};
use crate::call::{Cause, Channel};
use crate::dialplan::args::Args;
use crate::dialplan::keypad::{self, Wanted};
use crate::dialplan::options;
use crate::dialplan::piece::Piece;

pub(super) struct Authenticate;

/// Digits read at most.
const MOST: usize = 254;
/// How often a caller may try.
const ATTEMPTS: usize = 3;

impl App for Authenticate {
    fn name(&self) -> &'static str {
        "Authenticate"
    }

    fn syntax(&self) -> &'static str {
        "password[,,most[,sound]]"
    }

    fn synopsis(&self) -> &'static str {
        "Goes on when the caller enters the password and #; after three wrong ones, or when it is empty, the call ends."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 4)?;
        let pieces = args.arguments(4);
        if pieces.first().is_none_or(Piece::is_empty) {
            return Err(CheckError::Missing("the password"));
        }
        if let Some(text) = pieces.first().and_then(Piece::literal).filter(|text| text.starts_with('/')) {
            return Err(CheckError::Malformed {
                what: "password; files and database keys of them are not read",
                found: text,
            });
        }
        pieces.get(1).map_or(Ok(()), |piece| options::choose(piece, &[], &[]).map(|_| ()))?;
        keypad::check_count(pieces.get(2), "number of digits")
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        args.arguments(4).get(3).filter(|name| !name.is_empty()).map(|names| names.split('&')).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let pieces = args.piece().arguments(4);
            let [password, _, most, _] = args.values(chan);
            let mut prompt = keypad::names(&args, chan, pieces.get(3));
            let mut is_own = prompt.is_empty();
            if is_own {
                prompt.push("agent-pass".to_owned());
            }
            if !chan.is_answered() {
                chan.answer().await?;
            }
            for _ in 0..ATTEMPTS {
                let played = match is_own {
                    true => keypad::prompt(chan, &args, &prompt, |_| true).await?,
                    false => keypad::play(chan, &args, &prompt, |_| true).await?,
                };
                if let Some(key) = played.key {
                    chan.unread_digit(key);
                }
                let wanted = Wanted {
                    most: keypad::up_to(&most, MOST),
                    terminators: "#",
                    first: chan.response_timeout(),
                    next: chan.digit_timeout(),
                };
                let mut entered = String::new();
                keypad::collect(chan, &mut entered, &wanted).await?;
                if keypad::is_secret(&entered, &password) {
                    keypad::play_all(chan, &args, &["auth-thankyou"]).await?;
                    return Ok(Next::Continue);
                }
                (prompt, is_own) = (vec!["auth-incorrect".to_owned()], true);
            }
            tracing::warn!(uuid = chan.uuid(), "Authenticate: no right password was entered");
            keypad::play_all(chan, &args, &["vm-goodbye"]).await?;
            chan.hangup(Cause::NORMAL);
            Ok(Next::End)
        })
    }
}
