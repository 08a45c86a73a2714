//! `eavesdrop(uuid|all)`: a supervisor's phone hears a call and speaks to its parties, by keys, as in FreeSWITCH ("call barge").
//! Below: `call::supervision`, whose rights, groups and log hold here as everywhere.

mod indicate;
mod listening;
mod rounds;
mod settings;
mod userspy;

pub(super) use settings::check_name;
pub(super) use userspy::UserSpy;

use super::{App, CheckError, Doing, Line, Next, Opt};
use crate::call::supervision::{End, Ended, SpyError, Wish, attach, none_found, refuse};
use crate::call::{Channel, Gone};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::supervise;
use listening::{Over, listen};
use settings::{RESULT, Settings};

pub(super) struct Eavesdrop;

/// The word in place of a UUID that means every call.
const ALL: &str = "all";

impl App for Eavesdrop {
    fn name(&self) -> &'static str {
        "eavesdrop"
    }

    fn syntax(&self) -> &'static str {
        "uuid|all"
    }

    fn synopsis(&self) -> &'static str {
        "Call barge: hears the call of a leg, or call after call, with the rights that the phone's user has by the settings; \
         keys say who hears him: 2 the leg's party, 1 the other, 3 both, 0 nobody, * ends or takes the next call. \
         EAVESDROP_RESULT is then left, ended, or why it was refused. These variables are read first; one that is misspelt or \
         not understood refuses all."
    }

    fn options(&self) -> &'static [Opt] {
        settings::VARIABLES
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() { Err(CheckError::Missing("a UUID or all")) } else { Ok(()) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let target = args.text(chan).trim().to_owned();
            chan.answer().await?;
            let _supervising = chan.begins_supervising();
            let heard = eavesdrop(chan, &args, &target).await;
            tell(chan, &args, heard).await?;
            Ok(Next::Continue)
        })
    }
}

/// How an application ended that somebody heard calls by.
type Heard = Result<Over, Stopped>;

/// Why nobody is heard.
enum Stopped {
    /// The phone has hung up.
    Gone(Gone),
    /// It is refused, and on record.
    Refused(SpyError),
}

impl From<Gone> for Stopped {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

impl From<SpyError> for Stopped {
    fn from(error: SpyError) -> Self {
        Self::Refused(error)
    }
}

async fn eavesdrop(chan: &mut Channel, args: &Args<'_>, target: &str) -> Heard {
    let wish = Wish::listen(chan.spy_rights(), chan.supervises_by("eavesdrop"), target);
    let exchange = chan.exchange().clone();
    let settings = match Settings::of(chan) {
        Ok(settings) => settings,
        Err(error) => return Ok(refuse(&exchange, &wish, error).await?),
    };
    let wish = settings.clone().applied(wish);
    if target.eq_ignore_ascii_case(ALL) {
        return rounds::all(chan, (wish, &settings), args.env().sounds()).await;
    }
    if target.is_empty() {
        return Ok(none_found(&exchange, &wish).await?);
    }
    let session = attach(&exchange, wish).await?;
    Ok(listen(chan, session, (settings.keys, args.env().sounds())).await?)
}

/// Says how it ended: in `EAVESDROP_RESULT`, and to the supervisor where it was refused.
async fn tell(chan: &mut Channel, args: &Args<'_>, heard: Heard) -> Result<(), Gone> {
    let refused = match heard {
        Ok(Over::Star | Over::Ended(End { why: Ended::Left, .. })) => return done(chan, "left"),
        Ok(Over::Ended(End { why: Ended::Call, .. })) => return done(chan, "ended"),
        Ok(Over::Ended(End { why: Ended::Refused(error), .. })) | Err(Stopped::Refused(error)) => error,
        Err(Stopped::Gone(gone)) => {
            chan.set_var(RESULT, "left");
            return Err(gone);
        }
    };
    chan.set_var(RESULT, refused.code());
    supervise::say(chan, args.env().sounds(), &refused).await
}

fn done(chan: &mut Channel, result: &str) -> Result<(), Gone> {
    chan.set_var(RESULT, result);
    Ok(())
}
