//! A look at the head of an audio file: whether a player would know it, and how much sound it says to have.
//! Above: `verify`. Below: nothing but the bytes, which anybody may have written.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{clusters, ogg};
use crate::audio::matroska;

/// Chunks of a WAV file looked at before its data; more is not a file of ours.
const CHUNKS: usize = 64;
/// Format tags of a code whose bytes say how long it is: PCM, A-law, µ-law.
const COUNTABLE: [u16; 3] = [1, 6, 7];

/// What a file turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// WAV, with so many samples of one channel where they can be counted.
    Wav { frames: Option<u64>, rate_hz: u32, channels: u16 },
    /// Ogg Opus, whole to its last page, with so many samples of one channel.
    Opus { frames: u64 },
    /// G.722 in Matroska, whole to its last cluster, with so many samples of one channel.
    G722 { frames: u64 },
    /// Another form that is not looked into: FLAC, MP3, AIFF, CAF, sealed by age, other sound in Ogg.
    Other,
    /// Nothing a player would know.
    Damaged(String),
}

/// Looks at a file's head.
///
/// # Errors
/// The disk fails.
pub(super) fn look(file: &mut File) -> io::Result<Head> {
    let size = file.metadata()?.len();
    let mut start = Vec::new();
    file.by_ref().take(36).read_to_end(&mut start)?;
    if start.starts_with(b"OggS") && start.get(28..36).is_none_or(|head| head == b"OpusHead") {
        file.seek(SeekFrom::Start(0))?;
        return ogg::pages(&mut BufReader::new(file));
    }
    if start.starts_with(&matroska::MAGIC) {
        file.seek(SeekFrom::Start(0))?;
        return clusters::look(file, size);
    }
    let others: [&[u8]; 6] = [b"OggS", b"fLaC", b"age-encryption.org/v1", b"ID3", b"FORM", b"caff"];
    if others.iter().any(|other| start.starts_with(other)) {
        return Ok(Head::Other);
    }
    if start.is_empty() {
        return Ok(Head::Damaged("the file is empty".into()));
    }
    if !start.starts_with(b"RIFF") || start.get(8..12) != Some(b"WAVE") {
        return Ok(Head::Damaged("the file begins with no header that is known".into()));
    }
    file.seek(SeekFrom::Start(12))?;
    chunks(file, size)
}

/// Walks the chunks of a WAV file up to its data.
fn chunks(file: &mut File, size: u64) -> io::Result<Head> {
    let damaged = |what: String| Ok(Head::Damaged(what));
    let mut format = None;
    let mut at = 12_u64;
    for _ in 0..CHUNKS {
        let mut head = [0; 8];
        if at + 8 > size {
            break;
        }
        file.read_exact(&mut head)?;
        let [a, b, c, d, l0, l1, l2, l3] = head;
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        at += 8;
        match &[a, b, c, d] {
            b"fmt " => {
                let mut fields = Vec::new();
                file.by_ref().take(length.min(64)).read_to_end(&mut fields)?;
                let Some(read) = Format::of(&fields) else { return damaged("its format is cut short".into()) };
                format = Some(read);
            }
            b"data" => {
                let Some(format) = format else { return damaged("its sound comes before its format".into()) };
                return Ok(format.with(length, size - at));
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = at.saturating_add(length).saturating_add(length & 1);
        if at >= size {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
    }
    damaged("it has a header and no sound".into())
}

/// Of a WAV file.
#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    /// Bytes of all channels' samples of one moment.
    block: u16,
}

impl Format {
    fn of(fields: &[u8]) -> Option<Self> {
        let two = |at: usize| Some(u16::from_le_bytes(fields.get(at..at + 2)?.try_into().ok()?));
        let rate_hz = u32::from_le_bytes(fields.get(4..8)?.try_into().ok()?);
        Some(Self { tag: two(0)?, channels: two(2)?, rate_hz, block: two(12)? })
    }

    fn with(self, told: u64, there: u64) -> Head {
        if self.channels == 0 || self.rate_hz == 0 || self.block == 0 {
            return Head::Damaged("its format says no channels, no rate or no size".into());
        }
        if told > there {
            return Head::Damaged(format!("its header says {told} bytes of sound, and {there} are there"));
        }
        if told == 0 && there > 0 {
            return Head::Damaged(format!("its header says no sound, and {there} bytes are there"));
        }
        let frames = COUNTABLE.contains(&self.tag).then(|| told / u64::from(self.block));
        Head::Wav { frames, rate_hz: self.rate_hz, channels: self.channels }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn wav(told: u32, there: usize) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data".to_vec();
        bytes.extend(told.to_le_bytes());
        bytes.resize(bytes.len() + there, 0);
        bytes
    }

    fn looked(bytes: &[u8]) -> Head {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        look(&mut file).unwrap()
    }

    #[test]
    fn a_whole_file_tells_its_length() {
        let whole = Head::Wav { frames: Some(100), rate_hz: 8000, channels: 2 };
        assert_eq!(looked(&wav(400, 400)), whole);
        let mut padded = wav(400, 400);
        // An odd chunk before its sound, with its pad byte.
        padded.splice(36..36, *b"LIST\x03\0\0\0abc\0");
        assert_eq!(looked(&padded), whole);
    }

    #[test]
    fn r2_a_header_that_a_killed_writer_left_is_damaged() {
        assert!(matches!(looked(&wav(0, 400)), Head::Damaged(what) if what.contains("says no sound")));
        assert!(matches!(looked(&wav(400, 399)), Head::Damaged(what) if what.contains("399 are there")));
        assert!(matches!(looked(&wav(400, 400)[..40]), Head::Damaged(_)));
        assert!(matches!(looked(b""), Head::Damaged(what) if what.contains("empty")));
        assert!(matches!(looked(b"<html>"), Head::Damaged(_)));
    }

    #[test]
    fn every_file_cut_or_changed_anywhere_has_a_verdict() {
        let whole = wav(40, 40);
        for at in 0..whole.len() {
            looked(&whole[..at]);
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                looked(&changed);
            }
        }
    }
}
