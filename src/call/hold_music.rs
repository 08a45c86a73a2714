//! What a party hears while this server holds it: the built-in music, decoded once.
//! Above: `holding`. Below: `audio`.

use std::sync::OnceLock;

use crate::{
    audio::{file, prompts, resample},
    media::Source,
};

/// The built-in music, repeated without end; silence where it cannot be decoded.
pub(super) fn hold_music() -> Source {
    static MUSIC: OnceLock<Source> = OnceLock::new();
    MUSIC.get_or_init(|| decoded().unwrap_or(Source::Silence)).clone()
}

fn decoded() -> Option<Source> {
    let sound = file::decode(prompts::find("moh/default")?).ok()?;
    let samples = resample::to_8khz(&sound.samples, sound.rate_hz).ok()?;
    Some(Source::Samples { rate_hz: 8_000, samples: samples.into(), repeat: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_music_can_be_played() {
        assert!(matches!(hold_music(), Source::Samples { samples, repeat: true, .. } if samples.len() > 8_000));
    }
}
