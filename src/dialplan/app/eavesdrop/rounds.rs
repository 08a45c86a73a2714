//! `eavesdrop(all)`: from call to call by `*` and at each end, and waiting, without polling, while there is none.
//! Above: `eavesdrop`. Below: `call::supervision::walk`.

use super::indicate::{self, Indicate};
use super::listening::{Over, listen};
use super::settings::{Keys, Settings};
use super::{Heard, Stopped};
use crate::call::Channel;
use crate::call::supervision::walk::{Candidate, Choice, Walk, Whose};
use crate::call::supervision::{End, Ended, Idle, SpyError, Wish, attach, may_ever};
use crate::dialplan::sounds::Sounds;
use crate::media::Source;

/// Hears every call that the supervisor may hear, one after the other, until he hangs up.
pub(super) async fn all(chan: &mut Channel, (wish, settings): (Wish, &Settings), folder: &Sounds) -> Heard {
    let sounds = &Indicate::of(chan, folder).await;
    let exchange = chan.exchange().clone();
    may_ever(&exchange, &wish, None).await?;
    let choice = Choice { whose: Whose::Everybody, bridged_only: false, order: settings.order };
    let mut walk = Walk::new(&exchange, wish.clone(), choice);
    // Whether somebody was heard in this round: a round of failures alone is not repeated at once.
    let mut has_heard = false;
    loop {
        let waiting = Waiting { wish: &wish, user: None, sound: sounds.idle.as_ref(), keys: settings.keys };
        let Some(next) = next(chan, (&mut walk, &mut has_heard), sounds, waiting).await? else { continue };
        match attach(&exchange, walk.wish(&next)).await {
            Ok(session) => {
                has_heard = true;
                if let Over::Ended(End { why: Ended::Refused(_), .. }) =
                    listen(chan, session, (settings.keys, folder)).await?
                {
                    may_ever(&exchange, &wish, None).await?;
                }
            }
            Err(error @ SpyError::Log(_)) => return Err(error.into()),
            Err(_) => {
                indicate::play(chan, sounds.failed.as_ref()).await?;
            }
        }
    }
}

/// The call to be heard next, once it was announced; `None` when it is passed over by `*`.
async fn next(
    chan: &mut Channel,
    (walk, has_heard): (&mut Walk, &mut bool),
    sounds: &Indicate,
    waiting: Waiting<'_>,
) -> Result<Option<Candidate>, Stopped> {
    let keys = waiting.keys;
    let mut next = walk.fresh();
    if next.is_none() && std::mem::take(has_heard) {
        walk.begins_round();
        next = walk.fresh();
    }
    let next = match next {
        Some(next) => next,
        None => idle(chan, walk, waiting).await?,
    };
    let key = indicate::play(chan, sounds.new.as_ref()).await?;
    if key == Some('*') && keys == Keys::Command {
        *has_heard = true;
        return Ok(None);
    }
    if let Some(key) = key {
        chan.unread_digit(key);
    }
    Ok(Some(next))
}

/// How a supervisor waits.
pub(super) struct Waiting<'a> {
    /// What he wishes for: he does not go on waiting for what he may not have any more.
    pub(super) wish: &'a Wish,
    /// Whose calls he waits for; `None`: anybody's.
    pub(super) user: Option<&'a str>,
    /// What he hears; `None`: silence.
    pub(super) sound: Option<&'a Source>,
    /// Whether `*` begins another round.
    pub(super) keys: Keys,
}

/// Waits for somebody to hear.
pub(super) async fn idle(
    chan: &mut Channel,
    walk: &mut Walk,
    Waiting { wish, user, sound, keys }: Waiting<'_>,
) -> Result<Candidate, Stopped> {
    let exchange = chan.exchange().clone();
    chan.start_playing(sound.cloned().unwrap_or(Source::Silence));
    let found = loop {
        if let Some(found) = walk.fresh() {
            break Ok(found);
        }
        match chan.supervise_nobody(walk.changed()).await? {
            Idle::Done(()) => {
                if let Err(refused) = may_ever(&exchange, wish, user).await {
                    break Err(refused.into());
                }
            }
            Idle::Key('*') if keys == Keys::Command => walk.begins_round(),
            Idle::Key(_) => {}
        }
    };
    chan.stop_playing();
    found
}
