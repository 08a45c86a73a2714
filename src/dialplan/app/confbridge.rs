//! `ConfBridge(room[,bridge_profile[,user_profile[,menu]]])`: puts the caller into a conference room.

use super::{App, CheckError, Doing, Line, Next, at_most};
use crate::call::Channel;
use crate::call::room::{Left, RoomSounds};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::sounds::Sounds;
use crate::media::{Source, ToneStep};

pub(super) struct ConfBridge;

/// The one profile or menu that each further argument can name: those of a server without any of its own.
const DEFAULTS: [(&str, &str); 3] =
    [("bridge profile", "default_bridge"), ("user profile", "default_user"), ("menu", "default_menu")];

/// Two short tones, up for who comes and down for who goes, in Hz.
const LOW_HZ: f32 = 520.0;
const HIGH_HZ: f32 = 780.0;
/// Length and level of each: quiet enough to talk over.
const TONE_MS: u32 = 90;
const TONE_DB: f32 = -20.0;

impl App for ConfBridge {
    fn name(&self) -> &'static str {
        "ConfBridge"
    }

    fn syntax(&self) -> &'static str {
        "room[,bridge_profile[,user_profile[,menu]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Answers and stays in a conference room; CONFBRIDGE_RESULT is then HANGUP, KICKED or FAILED."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1 + DEFAULTS.len())?;
        let args = args.arguments(1 + DEFAULTS.len());
        if args.first().is_none_or(Piece::is_empty) {
            return Err(CheckError::Missing("the name of a room"));
        }
        let written = args.iter().skip(1).map(|piece| piece.literal().unwrap_or_default());
        DEFAULTS.iter().zip(written).try_for_each(is_default)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let [room, profiles @ ..] = args.values::<4>(chan);
            let room = room.trim();
            chan.set_var("CONFBRIDGE_RESULT", "FAILED");
            if room.is_empty() {
                return Err(CheckError::Missing("the name of a room").into());
            }
            DEFAULTS.iter().zip(profiles).try_for_each(is_default)?;
            let folder = args.env().sounds();
            let sounds = sounds(folder).await;
            chan.set_var("CONFBRIDGE_RESULT", "HANGUP");
            match chan.confer(room, sounds).await? {
                Left::Kicked => chan.set_var("CONFBRIDGE_RESULT", "KICKED"),
            }
            if let Ok(sound) = folder.load("conf-kicked").await {
                chan.play(sound).await?;
            }
            Ok(Next::Continue)
        })
    }
}

/// Refuses a profile or menu that there is not.
fn is_default((&(what, default), name): (&(&'static str, &str), String)) -> Result<(), CheckError> {
    match name.trim() {
        name if name.is_empty() || name == default => Ok(()),
        name => Err(CheckError::Unknown { what, found: name.to_owned(), known: default.to_owned() }),
    }
}

/// What is played in the room: the sounds of these names where there are any, else tones.
async fn sounds(folder: &Sounds) -> RoomSounds {
    let tones = |hz: [f32; 2]| {
        let steps = hz.map(|hz| ToneStep { hz: [hz, 0.0], ms: TONE_MS, level_db: TONE_DB });
        Source::Tones { steps: steps.into(), repeat: false }
    };
    RoomSounds {
        alone: folder.load("conf-onlyperson").await.ok(),
        entered: folder.load("confbridge-join").await.unwrap_or_else(|_| tones([LOW_HZ, HIGH_HZ])),
        left: folder.load("confbridge-leave").await.unwrap_or_else(|_| tones([HIGH_HZ, LOW_HZ])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    fn check(args: &str) -> Result<(), CheckError> {
        ConfBridge.check(&Template::compile(args).unwrap().piece())
    }

    #[test]
    fn only_the_profiles_and_the_menu_that_there_are_can_be_named() {
        for good in ["12345", "12345,default_bridge,default_user,default_menu", "12345,,,", "${ROOM},${P}"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let unknown = |what, found: &str, known: &str| {
            Err(CheckError::Unknown { what, found: found.to_owned(), known: known.to_owned() })
        };
        assert_eq!(check("1,loud"), unknown("bridge profile", "loud", "default_bridge"));
        assert_eq!(check("1,,admin"), unknown("user profile", "admin", "default_user"));
        assert_eq!(check("1,,,sample_admin_menu"), unknown("menu", "sample_admin_menu", "default_menu"));
        assert_eq!(check(""), Err(CheckError::Missing("the name of a room")));
        assert!(matches!(check("1,,,,x"), Err(CheckError::TooMany { .. })));
    }
}
