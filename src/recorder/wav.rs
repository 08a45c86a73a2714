//! The file as recordings of samples use it: a header of fixed length, then nothing but samples, so that two sizes are all that ever
//! changes. That is WAV; G.722 has Matroska's clusters in their place, which are as easily found.
//! Above: `file`, `repair`. Below: `audio::matroska`. Pure.

use std::borrow::Cow;

use super::order::Form;
use crate::audio::codec::{Codec, g722};
use crate::audio::matroska::Tracks;

/// `WAVE_FORMAT_PCM`, `WAVE_FORMAT_ALAW` and `WAVE_FORMAT_MULAW` of the RIFF registry.
const PCM: u16 = 1;
const ALAW: u16 = 6;
const MULAW: u16 = 7;
/// Bytes of header: RIFF, `fmt ` of 16 bytes, `data`; with a law, `fmt ` has 18 bytes, and `fact` says how many frames there are.
const PLAIN_HEADER: u64 = 44;
const LAW_HEADER: u64 = 58;

/// What every frame of a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) form: Form,
    pub(super) channels: u16,
    pub(super) rate_hz: u32,
}

impl Shape {
    /// Bytes of one sample.
    pub(super) fn sample_bytes(&self) -> u16 {
        match self.form {
            Form::Pcm16 => 2,
            Form::AsCame(_) | Form::G722 => 1,
        }
    }

    /// Bytes of one sample of each track.
    pub(super) fn frame_bytes(&self) -> u64 {
        u64::from(self.sample_bytes()) * u64::from(self.channels)
    }

    /// Bytes before the first frame.
    pub(super) fn header_bytes(&self) -> u64 {
        match self.form {
            Form::Pcm16 => PLAIN_HEADER,
            Form::AsCame(_) => LAW_HEADER,
            Form::G722 => self.tracks().head_bytes(),
        }
    }

    /// Samples of a track that a frame stands for, and how many there are in a second.
    pub(super) fn samples(&self) -> (u64, u32) {
        match self.form {
            Form::Pcm16 | Form::AsCame(_) => (1, self.rate_hz),
            Form::G722 => (2, g722::RATE_HZ),
        }
    }

    /// So many frames at most that a file can have.
    pub(super) fn whole(&self, frames: u64) -> u64 {
        let unit = self.form.unit().unsigned_abs();
        (frames - frames % unit).max(unit)
    }

    /// Frames that have room in a file of so many bytes.
    pub(super) fn frames_in(&self, bytes: u64) -> u64 {
        match self.form {
            Form::Pcm16 | Form::AsCame(_) => bytes.saturating_sub(self.header_bytes()) / self.frame_bytes(),
            Form::G722 => self.tracks().octets_in(bytes),
        }
    }

    /// What frames are in the file, of which the first is its `from`th.
    pub(super) fn lay<'a>(&self, from: u64, frames: &'a [u8]) -> Cow<'a, [u8]> {
        match self.form {
            Form::Pcm16 | Form::AsCame(_) => frames.into(),
            Form::G722 => {
                let mut bytes = Vec::new();
                self.tracks().write_clusters(from, frames, &mut bytes);
                bytes.into()
            }
        }
    }

    fn tracks(&self) -> Tracks {
        Tracks::of(self.channels)
    }

    /// Size of a file of so many frames.
    pub(super) fn file_bytes(&self, frames: u64) -> u64 {
        match self.form {
            Form::Pcm16 | Form::AsCame(_) => self.header_bytes() + frames * self.frame_bytes(),
            Form::G722 => self.tracks().file_bytes(frames),
        }
    }

    /// The header of a file of so many frames.
    pub(super) fn header(&self, frames: u64) -> Vec<u8> {
        match self.form {
            Form::Pcm16 => self.wav_header(frames, PCM),
            Form::AsCame(Codec::Pcma) => self.wav_header(frames, ALAW),
            Form::AsCame(Codec::Pcmu) => self.wav_header(frames, MULAW),
            Form::G722 => self.tracks().head(frames),
        }
    }

    fn wav_header(&self, frames: u64, tag: u16) -> Vec<u8> {
        let data = u32::try_from(frames * self.frame_bytes()).unwrap_or(u32::MAX);
        let header_bytes = self.header_bytes() as u32; // 58 at most
        let block = self.sample_bytes() * self.channels;
        let mut bytes = Vec::with_capacity(LAW_HEADER as usize);
        bytes.extend(b"RIFF");
        bytes.extend((data.saturating_add(header_bytes - 8)).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(if self.form == Form::Pcm16 { 16u32 } else { 18 }.to_le_bytes());
        bytes.extend(tag.to_le_bytes());
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend(self.rate_hz.to_le_bytes());
        bytes.extend((self.rate_hz * u32::from(block)).to_le_bytes());
        bytes.extend(block.to_le_bytes());
        bytes.extend((self.sample_bytes() * 8).to_le_bytes());
        if self.form != Form::Pcm16 {
            bytes.extend(0u16.to_le_bytes()); // no extension of the format
            bytes.extend(b"fact");
            bytes.extend(4u32.to_le_bytes());
            bytes.extend(u32::try_from(frames).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend(b"data");
        bytes.extend(data.to_le_bytes());
        bytes
    }
}

/// What the beginning of a WAV file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// What its frames look like: format, tracks, rate, bytes a frame.
    pub(super) tag: u16,
    pub(super) channels: u16,
    pub(super) rate_hz: u32,
    pub(super) frame_bytes: u16,
    /// Where the count of a `fact` chunk lies, if there is one.
    pub(super) fact_at: Option<u64>,
    /// Where the samples begin, and how many bytes of them the header claims.
    pub(super) data_at: u64,
    pub(super) data_bytes: u32,
}

impl Beginning {
    /// Reads the chunks up to `data`. `None` when the bytes are no WAV file, or end before its samples.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
            return None;
        }
        let (mut at, mut format, mut fact_at) = (12usize, None, None);
        loop {
            let name = bytes.get(at..at + 4)?;
            let length = u32_at(bytes, at + 4)?;
            let body = at + 8;
            match name {
                b"data" => {
                    let (tag, channels, rate_hz, frame_bytes) = format?;
                    let (data_at, data_bytes) = (body as u64, length);
                    return Some(Self { tag, channels, rate_hz, frame_bytes, fact_at, data_at, data_bytes });
                }
                b"fmt " if length >= 16 => {
                    format = Some((
                        u16_at(bytes, body)?,
                        u16_at(bytes, body + 2)?,
                        u32_at(bytes, body + 4)?,
                        u16_at(bytes, body + 12).filter(|bytes| *bytes > 0)?,
                    ));
                }
                b"fact" => fact_at = Some(body as u64),
                _ => {}
            }
            // Chunks of odd length are followed by a byte of padding.
            at = body.checked_add(usize::try_from(length).ok()?)?.checked_next_multiple_of(2)?;
        }
    }

    /// What its samples are, as in manifests.
    pub(super) fn format(&self) -> &'static str {
        match (self.tag, self.frame_bytes / self.channels.max(1)) {
            (PCM, 2) => "pcm16",
            (ALAW, _) => "alaw",
            (MULAW, _) => "ulaw",
            _ => "wav",
        }
    }

    /// Whether files of this shape begin so.
    pub(super) fn is(&self, shape: &Shape) -> bool {
        // Its sizes are another's.
        let wanted = Self::parse(&shape.header(0));
        wanted.is_some_and(|wanted| {
            let of = |one: &Self| (one.tag, one.channels, one.rate_hz, one.data_at);
            of(self) == of(&wanted)
        })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_is_in_the_file_and_is_as_long_as_said() {
        for form in [Form::Pcm16, Form::AsCame(Codec::Pcma), Form::AsCame(Codec::Pcmu)] {
            let shape = Shape { form, channels: 2, rate_hz: 8_000 };
            let header = shape.header(1_000);
            assert_eq!(header.len() as u64, shape.header_bytes());
            let beginning = Beginning::parse(&header).expect("a header");
            assert!(beginning.is(&shape));
            assert_eq!(u64::from(beginning.data_bytes), 1_000 * shape.frame_bytes());
            assert_eq!(u64::from(beginning.frame_bytes), shape.frame_bytes());
        }
    }

    #[test]
    fn hound_reads_what_we_write() {
        let shape = Shape { form: Form::Pcm16, channels: 2, rate_hz: 8_000 };
        let mut bytes = shape.header(2);
        bytes.extend([1, 0, 2, 0, 3, 0, 0xfc, 0xff]);
        let mut reader = hound::WavReader::new(&bytes[..]).expect("a WAV file");
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8_000));
        let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
        assert_eq!(samples, [1, 2, 3, -4]);
    }
}
