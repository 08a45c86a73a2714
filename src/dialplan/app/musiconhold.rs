//! `MusicOnHold([class[,seconds]])`, `StartMusicOnHold([class])` and `StopMusicOnHold()`: music for the caller.

use std::time::Duration;

use super::{App, CheckError, Doing, Line, Next, at_most, check_seconds, seconds};
use crate::call::{Channel, Gone};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::sounds::SoundProblem;
use crate::media::Source;

pub(super) struct MusicOnHold;
pub(super) struct StartMusicOnHold;
pub(super) struct StopMusicOnHold;

/// Without a duration the caller decides how long he listens.
const ENDLESS: Duration = Duration::from_secs(24 * 3_600);

impl App for MusicOnHold {
    fn name(&self) -> &'static str {
        "MusicOnHold"
    }

    fn syntax(&self) -> &'static str {
        "[class[,seconds]]"
    }

    fn synopsis(&self) -> &'static str {
        "Plays music: all sounds of the folder moh/CLASS below the sounds folder, or the built-in class default."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 2)?;
        check_seconds(args.arguments(2).get(1))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let [class, time] = args.values(chan);
            let time = seconds(&time)?.filter(|time| !time.is_zero());
            start(chan, &args, &class).await?;
            let waited = chan.wait(time.unwrap_or(ENDLESS)).await;
            chan.stop_playing();
            waited?;
            Ok(Next::Continue)
        })
    }
}

impl App for StartMusicOnHold {
    fn name(&self) -> &'static str {
        "StartMusicOnHold"
    }

    fn syntax(&self) -> &'static str {
        "[class]"
    }

    fn synopsis(&self) -> &'static str {
        "Plays music while the script goes on, until StopMusicOnHold or the next sound."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let class = args.text(chan);
            start(chan, &args, &class).await?;
            Ok(Next::Continue)
        })
    }
}

impl App for StopMusicOnHold {
    fn name(&self) -> &'static str {
        "StopMusicOnHold"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Ends the music of StartMusicOnHold."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        chan.stop_playing();
        Ok(Next::Continue).into()
    }
}

/// Begins the music of a class; without any it is quiet, as in Asterisk.
pub(super) async fn start(chan: &mut Channel, args: &Args<'_>, class: &str) -> Result<(), Gone> {
    if !chan.is_answered() {
        chan.progress().await?;
    }
    match music(chan, args, class.trim()).await {
        Ok(music) => chan.start_playing(music),
        Err(problem) => tracing::warn!(uuid = chan.uuid(), %problem, "music on hold"),
    }
    Ok(())
}

/// The music of a class; where none is named, of the channel's.
pub(super) async fn music(chan: &Channel, args: &Args<'_>, class: &str) -> Result<Source, SoundProblem> {
    let class = if class.is_empty() { &chan.about().music_class } else { class };
    args.env().sounds().music(class).await
}
