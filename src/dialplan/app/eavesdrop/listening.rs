//! One session at a supervisor's phone: keys command it until it ends or he leaves it.
//! Above: `eavesdrop` and `userspy`. Below: `call::supervision`.

use std::sync::Arc;

use super::settings::Keys;
use crate::call::supervision::{Ears, End, Mode, Party, Session, Supervised};
use crate::call::{Channel, Gone};
use crate::media::{Source, ToneStep};

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
pub(super) async fn listen(chan: &mut Channel, (mut session, ears): (Session, Ears), keys: Keys) -> Result<Over, Gone> {
    chan.hears_through(&mut session, ears);
    loop {
        match chan.supervise(&mut session, None).await? {
            Supervised::Key(_) if keys == Keys::Ignored => {}
            Supervised::Key('*') => return Ok(Over::Star),
            Supervised::Key(key) => {
                let Some((mode, to)) = meant(key) else { continue };
                if session.set_mode(mode, to).await.is_err() {
                    chan.play_over(denial());
                }
            }
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

/// What a supervisor hears when a key is refused: two low tones.
fn denial() -> Source {
    let low = ToneStep { hz: [250.0, 0.0], ms: 150, level_db: -16.0 };
    let pause = ToneStep { hz: [0.0, 0.0], ms: 80, level_db: -16.0 };
    Source::Tones { steps: Arc::new([low, pause, low]), repeat: false }
}
