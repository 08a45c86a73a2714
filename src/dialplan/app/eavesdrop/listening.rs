//! One session at a supervisor's phone: keys command it until it ends or he leaves it.
//! Above: `eavesdrop` and `userspy`. Below: `call::supervision`.

use super::settings::Keys;
use crate::call::supervision::{Ears, End, Mode, Party, Session, SpyError, Supervised};
use crate::call::{Channel, Gone};
use crate::dialplan::sounds::Sounds;
use crate::dialplan::supervise;

/// Why nobody is heard any more through a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The supervisor pressed `*`.
    Star,
    /// The session is over.
    Ended(End),
}

/// Hears through a session until it is over; 0 1 2 3 choose who hears the supervisor, other keys change nothing.
///
/// # Errors
/// The phone has hung up.
pub(super) async fn listen(
    chan: &mut Channel,
    (mut session, ears): (Session, Ears),
    (keys, sounds): (Keys, &Sounds),
) -> Result<Over, Gone> {
    chan.hears_through(&mut session, ears);
    loop {
        match chan.supervise(&mut session, None).await? {
            Supervised::Key(_) if keys == Keys::Ignored => {}
            Supervised::Key('*') => return Ok(Over::Star),
            Supervised::Key(key) => {
                let Some((mode, to)) = meant(key) else { continue };
                // What has ended is told as news.
                if let Err(error) = session.set_mode(mode, to).await
                    && error != SpyError::Ended
                {
                    supervise::say_over(chan, sounds, &error).await;
                }
            }
            Supervised::Unheard(error) => supervise::say_over(chan, sounds, &error).await,
            Supervised::News(news) => {
                if let Some(end) = news.ended {
                    return Ok(Over::Ended(end));
                }
            }
            Supervised::Time => {}
        }
    }
}

/// The keys of document \[000\]: seen from the UUID (S031–S034).
fn meant(key: char) -> Option<(Mode, Option<Party>)> {
    match key {
        '0' => Some((Mode::Listen, None)),
        '1' => Some((Mode::Whisper, Some(Party::Peer))),
        '2' => Some((Mode::Whisper, Some(Party::Target))),
        '3' => Some((Mode::Barge, None)),
        _ => None,
    }
}
