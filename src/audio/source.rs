//! Sound read block by block, so that recordings of hours need little memory: WAV in the codes of telephony, Ogg Opus, our own Matroska,
//! prompts' headerless files, and whatever the decoding library knows. Above: `export`, imported recordings. Below: `codec`, `wave`, `raw`.

mod library;
mod matroska;
mod opus;
mod wav;

use std::fs::File;
use std::io::{self, Read};

use symphonia::core::errors::Error as SymphoniaError;
use thiserror::Error;

use super::matroska::MAGIC;
use super::raw;
pub use matroska::Matroska;

/// Headerless files larger than this, in bytes, are not read: they are decoded whole.
const LARGEST_RAW: u64 = 256 << 20;

/// Sound that is read from its beginning to its end.
pub trait Source {
    /// Samples a second of each side.
    fn rate_hz(&self) -> u32;

    /// Sides.
    fn channels(&self) -> u16;

    /// Samples of each side, where that is known before the end.
    fn frames(&self) -> Option<u64>;

    /// Puts the next samples, side by side, in the place of what `block` holds; none are left when it stays empty.
    ///
    /// # Errors
    /// Reading fails.
    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError>;
}

/// Why there is no sound to be had.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The disk fails, or the file is not what its name says.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A code that is not read here.
    #[error("a WAV file in a code that is not known here (0x{tag:x}, {bits} bits)")]
    Code {
        /// Which code.
        tag: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// None of the formats that are read, or damaged before the first sample.
    #[error("not a sound file that can be read: {0}")]
    Unreadable(#[source] SymphoniaError),
    /// A container without sound in it.
    #[error("there is no sound in it")]
    NoSound,
    /// A headerless file that would fill the memory.
    #[error("{0} bytes are too many for a file without a header")]
    TooLarge(u64),
    /// Parts that do not fit together.
    #[error("its parts have different rates or sides")]
    Mixed,
}

/// Opens a file by its content, where that says nothing by the ending of its name.
///
/// # Errors
/// It holds no sound that is read here.
pub fn open(mut file: File, ending: &str) -> Result<Box<dyn Source>, SourceError> {
    use std::io::Seek;
    let mut begin = Vec::new();
    Read::by_ref(&mut file).take(36).read_to_end(&mut begin)?;
    file.rewind()?;
    if begin.starts_with(b"RIFF") && begin.get(8..12) == Some(b"WAVE") {
        return wav::open(file);
    }
    if opus::is_opus(&begin) {
        return opus::open(file);
    }
    if begin.starts_with(&MAGIC) {
        if let Some(ours) = Matroska::open(file.try_clone()?)? {
            return Ok(Box::new(ours));
        }
        file.rewind()?;
    }
    let ending = ending.to_ascii_lowercase();
    if raw::endings().any(|known| known == ending) {
        let bytes = file.metadata()?.len();
        if bytes > LARGEST_RAW {
            return Err(SourceError::TooLarge(bytes));
        }
        let mut all = Vec::new();
        file.read_to_end(&mut all)?;
        let sound = raw::decode(&ending, &all).filter(|sound| !sound.samples.is_empty()).ok_or(SourceError::NoSound)?;
        return Ok(Box::new(Whole { rate_hz: sound.rate_hz, samples: Some(sound.samples) }));
    }
    library::open(file)
}

/// Whether a file holds Ogg Opus; it is at its beginning after.
///
/// # Errors
/// It cannot be read.
pub fn is_opus(file: &mut File) -> io::Result<bool> {
    use std::io::Seek;
    let mut begin = Vec::new();
    Read::by_ref(file).take(36).read_to_end(&mut begin)?;
    file.rewind()?;
    Ok(opus::is_opus(&begin))
}

/// A sound that is in memory.
struct Whole {
    rate_hz: u32,
    samples: Option<Vec<i16>>,
}

impl Source for Whole {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn channels(&self) -> u16 {
        1
    }

    fn frames(&self) -> Option<u64> {
        Some(self.samples.as_ref().map_or(0, Vec::len) as u64)
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        *block = self.samples.take().unwrap_or_default();
        Ok(())
    }
}

/// Several files, one after the other: the parts of one recording.
pub struct Parts {
    parts: Vec<Box<dyn Source>>,
    at: usize,
    rate_hz: u32,
    channels: u16,
}

impl Parts {
    /// From its parts, in order.
    ///
    /// # Errors
    /// There are none, or they do not fit together.
    pub fn new(parts: Vec<Box<dyn Source>>) -> Result<Self, SourceError> {
        let first = parts.first().ok_or(SourceError::NoSound)?;
        let (rate_hz, channels) = (first.rate_hz(), first.channels());
        if parts.iter().any(|part| (part.rate_hz(), part.channels()) != (rate_hz, channels)) {
            return Err(SourceError::Mixed);
        }
        Ok(Self { parts, at: 0, rate_hz, channels })
    }
}

impl Source for Parts {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn frames(&self) -> Option<u64> {
        self.parts.iter().map(|part| part.frames()).sum()
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        while let Some(part) = self.parts.get_mut(self.at) {
            part.next(block)?;
            if !block.is_empty() {
                return Ok(());
            }
            self.at += 1;
        }
        block.clear();
        Ok(())
    }
}

/// The two sides in one: added, and held within bounds. A third side, a supervisor's whispers, is left out.
pub struct Mixed<S>(pub S);

impl<S: Source> Source for Mixed<S> {
    fn rate_hz(&self) -> u32 {
        self.0.rate_hz()
    }

    fn channels(&self) -> u16 {
        1
    }

    fn frames(&self) -> Option<u64> {
        self.0.frames()
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        self.0.next(block)?;
        let sides = usize::from(self.0.channels().max(1));
        let frames = block.len() / sides;
        for at in 0..frames {
            let sum: i32 = block.iter().skip(at * sides).take(sides.min(2)).map(|&sample| i32::from(sample)).sum();
            if let (Some(to), Ok(sample)) = (block.get_mut(at), i16::try_from(sum.clamp(-32_768, 32_767))) {
                *to = sample;
            }
        }
        block.truncate(frames);
        Ok(())
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn rate_hz(&self) -> u32 {
        (**self).rate_hz()
    }

    fn channels(&self) -> u16 {
        (**self).channels()
    }

    fn frames(&self) -> Option<u64> {
        (**self).frames()
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        (**self).next(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wave::pcm_head;
    use std::io::{Seek, Write};

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn all(mut source: impl Source) -> Vec<i16> {
        let (mut samples, mut block) = (Vec::new(), Vec::new());
        loop {
            source.next(&mut block).unwrap();
            if block.is_empty() {
                return samples;
            }
            samples.extend(&block);
        }
    }

    fn stereo(samples: &[i16]) -> File {
        let mut bytes = pcm_head(8_000, 2, Some(samples.len() as u64 / 2)).to_vec();
        bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        file(&bytes)
    }

    #[test]
    fn parts_follow_each_other_and_sides_are_added() {
        let parts = || {
            let parts = [[1, 2, 3, 4], [30_000, 30_000, -30_000, -30_000]];
            let parts = parts.iter().map(|samples| open(stereo(samples), "wav").unwrap()).collect();
            Parts::new(parts).unwrap()
        };
        assert_eq!((parts().frames(), parts().channels()), (Some(4), 2));
        assert_eq!(all(parts()), [1, 2, 3, 4, 30_000, 30_000, -30_000, -30_000]);
        assert_eq!(all(Mixed(parts())), [3, 7, 32_767, -32_768]);
        let other = open(file(&pcm_head(16_000, 2, Some(0))), "wav").unwrap();
        assert!(matches!(Parts::new(vec![open(stereo(&[1, 2]), "wav").unwrap(), other]), Err(SourceError::Mixed)));
    }

    #[test]
    fn a_headerless_file_is_known_by_its_ending_and_another_by_its_content() {
        let source = open(file(&[0xd0; 66]), "GSM").unwrap();
        assert_eq!((source.rate_hz(), source.frames()), (8_000, Some(320)));
        let flac = crate::audio::prompts::find("digits/8").unwrap();
        let source = open(file(flac), "wav").unwrap();
        assert_eq!((source.rate_hz(), source.channels()), (16_000, 1));
        assert!(all(source).len() > 1_600);
        assert!(open(file(b"[general]\n"), "wav").is_err());
        assert!(matches!(open(file(b""), "gsm"), Err(SourceError::NoSound)));
    }
}
