//! Sound files (WAV, FLAC, AIFF, CAF, MP3, Ogg Vorbis) decoded whole to mono samples. Pure: the bytes are given.
//! Above: Playback, the demo's talkers, the spy's file device.

use std::io::Cursor;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::FormatOptions;
use symphonia::core::formats::TrackType;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use thiserror::Error;

/// Longest sound taken: half an hour at 48 kHz, so that a wrong file cannot eat the memory.
const MAX_SAMPLES: usize = 48_000 * 60 * 30;

/// A decoded sound: one side, 16 bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second.
    pub rate_hz: u32,
    /// The samples; of a file with several sides, their mean.
    pub samples: Vec<i16>,
}

/// Why bytes are no sound that can be played.
#[derive(Debug, Error)]
pub enum SoundError {
    /// None of the formats read, or damaged before the first sample.
    #[error("not a sound file that can be read: {0}")]
    Unreadable(#[source] SymphoniaError),
    /// A container without sound in it.
    #[error("the file holds no sound")]
    NoSound,
    /// More than half an hour at 48 kHz.
    #[error("the sound is longer than {MAX_SAMPLES} samples")]
    TooLong,
}

/// Decodes a whole sound file. One cut short gives the samples it holds.
///
/// # Errors
///
/// [`SoundError`] when there is no sound in the bytes.
pub fn decode(bytes: &[u8]) -> Result<Sound, SoundError> {
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes.to_vec())), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default())
        .map_err(SoundError::Unreadable)?;
    let track = format.default_track(TrackType::Audio).ok_or(SoundError::NoSound)?;
    let track_id = track.id;
    let params = track.codec_params.as_ref().and_then(|params| params.audio()).ok_or(SoundError::NoSound)?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default())
        .map_err(SoundError::Unreadable)?;
    let mut sound = Sound { rate_hz: 0, samples: Vec::new() };
    let mut interleaved: Vec<i16> = Vec::new();
    // A read error after the first samples is a file cut short: what was read is kept.
    while let Ok(Some(packet)) = format.next_packet() {
        if packet.track_id != track_id {
            continue;
        }
        let Ok(decoded) = decoder.decode(&packet) else { continue };
        sound.rate_hz = decoded.spec().rate();
        let sides = decoded.spec().channels().count().max(1);
        decoded.copy_to_vec_interleaved(&mut interleaved);
        sound.samples.extend(interleaved.chunks_exact(sides).map(mean));
        if sound.samples.len() > MAX_SAMPLES {
            return Err(SoundError::TooLong);
        }
    }
    if sound.samples.is_empty() || sound.rate_hz == 0 { Err(SoundError::NoSound) } else { Ok(sound) }
}

fn mean(frame: &[i16]) -> i16 {
    let sum: i64 = frame.iter().map(|&sample| i64::from(sample)).sum();
    i16::try_from(sum / i64::try_from(frame.len().max(1)).unwrap_or(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::prompts;
    use proptest::prelude::*;

    #[test]
    fn every_built_in_sound_decodes() {
        for name in prompts::names() {
            let sound = decode(prompts::find(name).expect(name)).expect(name);
            assert_eq!(sound.rate_hz, 16_000, "{name}");
            assert!(sound.samples.len() > 1_600, "{name}: {} samples", sound.samples.len());
        }
        let silence = decode(prompts::find("silence/1").expect("silence")).expect("silence");
        assert_eq!(silence.samples, vec![0; 16_000]);
    }

    #[test]
    fn a_stereo_wav_becomes_the_mean_of_its_sides() {
        let mut bytes = Cursor::new(Vec::new());
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a writer");
        for sample in [1_000i16, 3_000, -32_768, -32_768, 32_767, -32_767] {
            writer.write_sample(sample).expect("written");
        }
        writer.finalize().expect("closed");
        let sound = decode(bytes.get_ref()).expect("a sound");
        assert_eq!(sound, Sound { rate_hz: 8_000, samples: vec![2_000, -32_768, 0] });
    }

    #[test]
    fn a_file_cut_short_gives_what_it_holds() {
        let whole = prompts::find("demo-welcome").expect("a prompt");
        let cut = decode(&whole[..whole.len() / 2]).expect("half a sound");
        let all = decode(whole).expect("a sound");
        assert!(!cut.samples.is_empty() && cut.samples.len() < all.samples.len());
        assert!(all.samples.starts_with(&cut.samples));
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        assert!(matches!(decode(b""), Err(SoundError::Unreadable(_))));
        assert!(matches!(decode(b"[general]\nexten => 100,1,Answer()\n"), Err(SoundError::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(at in 0usize..8_000, value in any::<u8>()) {
            let mut bytes = prompts::find("digits/8").expect("digit").to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = decode(&bytes);
        }
    }
}
