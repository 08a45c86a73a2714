//! `userspy(user[@domain])`: a supervisor's phone stays with a user: it hears each of his calls, and music in between (S004, S005).
//! Below: `call::supervision::walk`.

use super::listening::{Over, listen};
use super::rounds::{Waiting, idle};
use super::settings::Settings;
use super::{Heard, tell};
use crate::call::Channel;
use crate::call::supervision::walk::{Choice, Walk, Whose};
use crate::call::supervision::{End, Ended, SpyError, Wish, attach, may_ever, none_found, refuse};
use crate::dialplan::app::{App, CheckError, Doing, Line, Next, at_most, musiconhold};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::media::Source;

pub(in crate::dialplan::app) struct UserSpy;

impl App for UserSpy {
    fn name(&self) -> &'static str {
        "userspy"
    }

    fn syntax(&self) -> &'static str {
        "user[@domain]"
    }

    fn synopsis(&self) -> &'static str {
        "Hears each call of a user with another party, those that run and those to come, with music on hold in between, until \
         the supervisor hangs up; keys and variables as for eavesdrop, * leaves a call for the user's next one, and begins \
         with the first again while there is none."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)?;
        if args.is_empty() { Err(CheckError::Missing("a user")) } else { Ok(()) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let text = args.text(chan);
            // There is one domain: the server's own.
            let user = text.split('@').next().unwrap_or_default().trim();
            chan.answer().await?;
            let _supervising = chan.begins_supervising();
            let heard = stay_with(chan, &args, user).await;
            tell(chan, &args, heard).await?;
            Ok(Next::Continue)
        })
    }
}

async fn stay_with(chan: &mut Channel, args: &Args<'_>, user: &str) -> Heard {
    let wish = Wish::listen(chan.spy_rights(), chan.supervises_by("userspy"), user);
    let exchange = chan.exchange().clone();
    let settings = match Settings::of(chan) {
        Ok(settings) => settings,
        Err(error) => return Ok(refuse(&exchange, &wish, error).await?),
    };
    let wish = settings.clone().applied(wish);
    may_ever(&exchange, &wish, Some(user)).await?;
    if !exchange.settings.load().users.contains_key(user) {
        return Ok(none_found(&exchange, &wish).await?);
    }
    let music = musiconhold::music(chan, args, "").await.unwrap_or(Source::Silence);
    let choice = Choice { whose: Whose::User(user.to_owned()), bridged_only: true, order: settings.order };
    let mut walk = Walk::new(&exchange, wish.clone(), choice);
    loop {
        let next = match walk.fresh() {
            Some(next) => next,
            None => {
                let waiting = Waiting { wish: &wish, user: Some(user), sound: Some(&music), keys: settings.keys };
                idle(chan, &mut walk, waiting).await?
            }
        };
        match attach(&exchange, walk.wish(&next)).await {
            Ok(session) => match listen(chan, session, (settings.keys, args.env().sounds())).await? {
                Over::Star => {}
                Over::Ended(End { why: Ended::Refused(_), .. }) => {
                    may_ever(&exchange, &wish, Some(user)).await?;
                }
                // Another call of his may have been left for this one.
                Over::Ended(_) => walk.begins_round(),
            },
            Err(error @ SpyError::Log(_)) => return Err(error.into()),
            Err(_) => {}
        }
    }
}
