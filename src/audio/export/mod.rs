//! A recording written in another form: WAV, FLAC, Ogg Opus, MP3. Pure: bytes go to a writer.
//! Above: `rec export`. Below: `source`, one file per form.

mod flac;
mod mp3;
mod opus;
mod wav;

use std::io::{self, Write};

use thiserror::Error;

use super::resample::ResampleError;
use super::source::{Source, SourceError};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 16-bit PCM.
    Wav,
    /// The same samples in about half the room.
    Flac,
    /// For listening, in a tenth of the room.
    Opus,
    /// For whatever plays sound, in a third of the room.
    Mp3,
}

/// What a file says of itself, where its form has a place for it; what is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Who talked with whom.
    pub title: String,
    /// When it began, in RFC 3339 to the second, of UTC and without a letter for it: as ID3 has it.
    pub date: String,
    /// The recording's id.
    pub id: String,
}

/// What is to be written over the beginning when all is written, where that is possible: lengths and sums that were not
/// known before. Without it the file is valid too, but says less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Afterwards {
    /// From the beginning of the file, in bytes.
    pub at: u64,
    /// What belongs there.
    pub bytes: Vec<u8>,
}

/// Why there is no export.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The recording.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Where it is written to.
    #[error("{0}")]
    Write(#[source] io::Error),
    /// The encoder cannot take this sound.
    #[error("{form} cannot hold {channels} sides at {rate_hz} Hz: {why}")]
    Encoder {
        /// Which encoder.
        form: &'static str,
        /// Sides.
        channels: u16,
        /// Samples a second.
        rate_hz: u32,
        /// What it says.
        why: String,
    },
    /// Its rate cannot be changed.
    #[error(transparent)]
    Rate(#[from] ResampleError),
}

/// Writes a sound whole.
///
/// # Errors
/// It cannot be read, encoded or written.
pub fn write(source: &mut dyn Source, form: Form, to: &mut dyn Write) -> Result<Afterwards, ExportError> {
    write_tagged(source, (form, &Tags::default()), to)
}

/// The same, with what the file says of itself.
///
/// # Errors
/// It cannot be read, encoded or written.
pub fn write_tagged(
    source: &mut dyn Source,
    (form, tags): (Form, &Tags),
    to: &mut dyn Write,
) -> Result<Afterwards, ExportError> {
    match form {
        Form::Wav => wav::write(source, to),
        Form::Flac => flac::write(source, to),
        Form::Opus => opus::write(source, tags, to),
        Form::Mp3 => mp3::write(source, tags, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::{Oscillator, amplitude};

    /// A tone of 440 Hz left and one of 1 kHz right, in blocks of a second; it does not know its length.
    struct Tones {
        seconds: u32,
        rate_hz: u32,
    }

    impl Source for Tones {
        fn rate_hz(&self) -> u32 {
            self.rate_hz
        }

        fn channels(&self) -> u16 {
            2
        }

        fn frames(&self) -> Option<u64> {
            None
        }

        fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
            block.clear();
            if self.seconds > 0 {
                self.seconds -= 1;
                let sides = [440.0, 1_000.0].map(|hz| tone(hz, self.rate_hz));
                block.extend(sides[0].iter().zip(&sides[1]).flat_map(|(left, right)| [*left, *right]));
            }
            Ok(())
        }
    }

    /// One second; an oscillator counts in samples of 8 kHz.
    fn tone(hz: f32, rate_hz: u32) -> Vec<i16> {
        let mut samples = vec![0; rate_hz as usize];
        Oscillator::new([hz * 8_000.0 / rate_hz as f32, 0.0], -12.0).fill(&mut samples);
        samples
    }

    fn written(form: Form, rate_hz: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Afterwards { at, bytes: late } = write(&mut Tones { seconds: 2, rate_hz }, form, &mut bytes).unwrap();
        let at = usize::try_from(at).unwrap();
        bytes[at..at + late.len()].copy_from_slice(&late);
        bytes
    }

    #[test]
    fn flac_and_wav_hold_the_very_samples() {
        let mut tones = Tones { seconds: 2, rate_hz: 8_000 };
        let (mut expected, mut block) = (Vec::<i16>::new(), Vec::new());
        while tones.next(&mut block).is_ok() && !block.is_empty() {
            expected.extend(&block);
        }
        for form in [Form::Wav, Form::Flac] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&written(form, 8_000)).unwrap();
            io::Seek::rewind(&mut file).unwrap();
            let mut source = crate::audio::source::open(file, "").unwrap();
            assert_eq!((source.rate_hz(), source.channels()), (8_000, 2), "{form:?}");
            let mut samples: Vec<i16> = Vec::new();
            while source.next(&mut block).is_ok() && !block.is_empty() {
                samples.extend(&block);
            }
            assert_eq!(samples, expected, "{form:?}");
        }
    }

    #[test]
    fn opus_sounds_like_what_was_recorded_on_each_side() {
        for rate_hz in [8_000, 16_000, 44_100] {
            let bytes = written(Form::Opus, rate_hz);
            let mut packets = ogg::PacketReader::new(io::Cursor::new(bytes));
            let mut decoder = opus_rs::OpusDecoder::new(48_000, 2).unwrap();
            let (mut sides, mut last) = ([Vec::new(), Vec::new()], 0);
            for at in 0.. {
                let Some(packet) = packets.read_packet().unwrap() else { break };
                last = packet.absgp_page();
                if at < 2 {
                    continue;
                }
                let mut out = vec![0f32; 960 * 2];
                decoder.decode(&packet.data, 960, &mut out).unwrap();
                for (at, sample) in out.iter().enumerate() {
                    sides[at % 2].push((sample * 32_767.0) as i16);
                }
            }
            assert!((2 * 48_000..2 * 48_000 + 1_000).contains(&last), "{rate_hz}: {last}");
            for (side, own, other) in [(0, 440.0, 1_000.0), (1, 1_000.0, 440.0)] {
                // the measure counts in samples of 8 kHz too
                let heard: Vec<i16> = sides[side][48_000..80_000].to_vec();
                let loud = |hz: f32| amplitude(&heard, hz * 8_000.0 / 48_000.0);
                assert!(loud(own) > 6.0 * loud(other), "{rate_hz}, side {side}: {} {}", loud(own), loud(other));
            }
        }
    }
}
