//! The sounds by which `eavesdrop(all)` tells a supervisor how far it is; nobody else ever hears them (S015–S020).
//! Above: `eavesdrop`. Below: the sounds folder.

use crate::call::{Channel, Gone};
use crate::dialplan::sounds::Sounds;
use crate::media::Source;

/// Between the end of the idle sound and its next beginning: two seconds at 8 kHz.
const IDLE_PAUSE_SAMPLES: usize = 16_000;
/// Endings that names of sounds may carry as FreeSWITCH wants them.
const ENDINGS: [&str; 4] = [".wav", ".flac", ".mp3", ".ogg"];
/// Where FreeSWITCH's manual has its sounds.
const FREESWITCH_FOLDER: &str = "/sounds/";

/// The three sounds; those that are not set or cannot be played are none.
pub(super) struct Indicate {
    /// Before each new call.
    pub(super) new: Option<Source>,
    /// When a call cannot be heard.
    pub(super) failed: Option<Source>,
    /// While there is none, again and again.
    pub(super) idle: Option<Source>,
}

impl Indicate {
    /// Those that the channel's variables name.
    pub(super) async fn of(chan: &Channel, sounds: &Sounds) -> Self {
        Self {
            new: named(chan, sounds, "eavesdrop_indicate_new").await,
            failed: named(chan, sounds, "eavesdrop_indicate_failed").await,
            idle: named(chan, sounds, "eavesdrop_indicate_idle").await.map(over_and_over),
        }
    }
}

/// Plays a sound, if it is one, before the phone hears a call; a key ends it and is returned.
///
/// # Errors
/// The phone has hung up.
pub(super) async fn play(chan: &mut Channel, sound: Option<&Source>) -> Result<Option<char>, Gone> {
    match sound {
        Some(sound) => chan.play_until(sound.clone(), |_| true).await,
        None => Ok(None),
    }
}

async fn named(chan: &Channel, sounds: &Sounds, variable: &str) -> Option<Source> {
    let written = chan.var(variable).map(str::trim).filter(|name| !name.is_empty())?;
    let name = plain(written);
    match sounds.load_in(chan.language(), name).await {
        Ok(sound) => Some(sound),
        Err(problem) => {
            tracing::warn!(uuid = chan.uuid(), variable, %problem, "eavesdrop goes on without this sound");
            None
        }
    }
}

/// A name as the sounds folder has it: `/sounds/failed.wav` is `failed`.
fn plain(written: &str) -> &str {
    let name = written.strip_prefix(FREESWITCH_FOLDER).unwrap_or(written);
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

fn over_and_over(sound: Source) -> Source {
    match sound {
        Source::Samples { rate_hz, samples, .. } => {
            let pause = std::iter::repeat_n(0, IDLE_PAUSE_SAMPLES);
            Source::Samples { rate_hz, samples: samples.iter().copied().chain(pause).collect(), repeat: true }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s015_names_may_be_written_as_in_the_document() {
        for (written, name) in [("/sounds/failed.wav", "failed"), ("idle", "idle"), ("a/b.c.ogg", "a/b.c")] {
            assert_eq!(plain(written), name);
        }
    }

    #[test]
    fn s017_the_idle_sound_comes_again_after_a_pause() {
        let sound = Source::Samples { rate_hz: 8_000, samples: [1, 2, 3].into(), repeat: false };
        let Source::Samples { samples, repeat: true, .. } = over_and_over(sound) else { panic!("it repeats") };
        assert_eq!((samples.len(), &samples[..4]), (3 + IDLE_PAUSE_SAMPLES, &[1, 2, 3, 0][..]));
    }
}
