//! What a supervisor is told by ear: why he is refused, in the language of his channel; and that a key was refused.
//! Above: `eavesdrop`, `userspy`, `ChanSpy` and the star codes. Below: the prompts `spy/…`, whose texts are in `sounds/prompts.txt`.

use std::sync::Arc;

use super::sounds::Sounds;
use crate::call::supervision::SpyError;
use crate::call::{Channel, Gone};
use crate::media::{Source, ToneStep};

/// Says why, to a phone that hears nobody now.
///
/// # Errors
/// The phone has hung up.
pub(super) async fn say(chan: &mut Channel, sounds: &Sounds, error: &SpyError) -> Result<(), Gone> {
    let spoken = words(chan, sounds, error).await;
    chan.play(spoken).await
}

/// Says why, over the call that goes on to be heard.
pub(super) async fn say_over(chan: &Channel, sounds: &Sounds, error: &SpyError) {
    chan.play_over(words(chan, sounds, error).await);
}

/// The prompt; a fast busy tone where it cannot be played.
async fn words(chan: &Channel, sounds: &Sounds, error: &SpyError) -> Source {
    match sounds.load_in(chan.language(), &error.spoken()).await {
        Ok(prompt) => prompt,
        Err(problem) => {
            tracing::warn!(uuid = chan.uuid(), %problem, "a refusal is told by a tone");
            let [on, off] = [[480.0, 620.0], [0.0, 0.0]].map(|hz| ToneStep { hz, ms: 250, level_db: -16.0 });
            Source::Tones { steps: Arc::new([on, off, on, off, on, off]), repeat: false }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::audio::prompts;
    use crate::call::supervision::{Mode, Refusal, SpyError};

    /// One of each; a new variant is to be added here and to `sounds/prompts.txt`.
    fn all() -> Vec<SpyError> {
        let text = || "x".to_owned();
        vec![
            SpyError::NoSuchCall(text()),
            SpyError::NobodyThere,
            SpyError::Ended,
            SpyError::OwnLeg(text()),
            SpyError::Supervisor(text()),
            SpyError::NoMedia(text()),
            SpyError::NotConnected(text()),
            SpyError::InRoom { uuid: text(), room: text() },
            SpyError::Codec { uuid: text(), codec: text() },
            SpyError::TakenOver(text()),
            SpyError::Ambiguous(2),
            SpyError::Setting(text()),
            SpyError::Log(text()),
            Refusal::Unknown.into(),
            Refusal::Level { wanted: Mode::Listen, granted: None }.into(),
            Refusal::Customer { granted: Mode::Whisper }.into(),
            Refusal::Exempt(text()).into(),
            Refusal::Group.into(),
        ]
    }

    #[test]
    fn s093_every_refusal_has_a_prompt_and_its_text_is_in_the_table_of_texts() {
        let texts = include_str!("../../sounds/prompts.txt");
        for error in all() {
            let name = error.spoken();
            assert!(prompts::find(&name).is_some(), "{name}");
            assert!(texts.lines().any(|line| line.starts_with(&format!("{name}|"))), "{name}");
        }
    }
}
