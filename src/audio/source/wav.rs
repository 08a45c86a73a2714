//! WAV files in the codes that telephone exchanges write: 16-bit PCM, both laws, GSM as in `.WAV` (WAV49), G.722.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{Source, SourceError, library};
use crate::audio::codec::{Codec, g722, gsm};
use crate::audio::wave::Head;

/// Read at once, in bytes; about four seconds of two sides.
const CHUNK: usize = 130_000;
/// Two GSM frames in one block (RFC 3551 has no name for it; the tag is 0x31).
const GSM_BLOCK: usize = 65;
const GSM_BLOCK_SAMPLES: u64 = 320;
/// Bits of each number of a frame before its four parts, and of each number of such a part (EN 300 961 table 1.1).
const RATIO_BITS: [usize; 8] = [6, 6, 5, 5, 4, 4, 3, 3];
const PART_BITS: [usize; 17] = [7, 2, 2, 6, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3];

#[derive(Clone, Copy)]
enum Code {
    Pcm16,
    Law(Codec),
    Gsm,
    G722,
}

struct Wav {
    file: File,
    head: Head,
    code: Code,
    /// Bytes of sound still to be read.
    left: u64,
    bytes: Vec<u8>,
}

pub(super) fn open(mut file: File) -> Result<Box<dyn Source>, SourceError> {
    let head = Head::read(&mut file)?;
    let code = match (head.tag, head.bits) {
        (1, 16) if head.block == head.channels.saturating_mul(2) => Code::Pcm16,
        (6, _) if head.block == head.channels => Code::Law(Codec::Pcma),
        (7, _) if head.block == head.channels => Code::Law(Codec::Pcmu),
        (0x31, _) if usize::from(head.block) == GSM_BLOCK && head.channels == 1 => Code::Gsm,
        (0x65 | 0x28f, _) if head.channels == 1 => Code::G722,
        (1, 8 | 24 | 32) | (2 | 3 | 0x11, _) => {
            file.rewind()?;
            return library::open(file);
        }
        (tag, bits) => return Err(SourceError::Code { tag, bits }),
    };
    file.seek(SeekFrom::Start(head.data_at))?;
    let left = head.data_bytes();
    Ok(Box::new(Wav { file, head, code, left, bytes: Vec::new() }))
}

impl Source for Wav {
    fn rate_hz(&self) -> u32 {
        match self.code {
            Code::G722 => g722::RATE_HZ,
            _ => self.head.rate_hz,
        }
    }

    fn channels(&self) -> u16 {
        self.head.channels
    }

    fn frames(&self) -> Option<u64> {
        let bytes = self.head.data_bytes();
        Some(match self.code {
            Code::Pcm16 | Code::Law(_) => bytes / u64::from(self.head.block),
            Code::Gsm => bytes / GSM_BLOCK as u64 * GSM_BLOCK_SAMPLES,
            Code::G722 => bytes * 2,
        })
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        block.clear();
        let unit = match self.code {
            // Its decoder has a memory that would be lost in between.
            Code::Gsm | Code::G722 => usize::MAX,
            Code::Pcm16 | Code::Law(_) => CHUNK - CHUNK % usize::from(self.head.block.max(1)),
        };
        let wanted = self.left.min(unit as u64);
        self.bytes.clear();
        let read = Read::by_ref(&mut self.file).take(wanted).read_to_end(&mut self.bytes)?;
        // A file that has become shorter meanwhile ends there.
        self.left = if read as u64 == wanted { self.left - wanted } else { 0 };
        match self.code {
            Code::Pcm16 => {
                let pairs = self.bytes.chunks_exact(2);
                block.extend(pairs.filter_map(|pair| Some(i16::from_le_bytes(pair.try_into().ok()?))));
            }
            Code::Law(codec) => block.extend(codec.samples(&self.bytes)),
            Code::Gsm => *block = gsm::decode(&unpacked(&self.bytes)),
            Code::G722 => *block = g722::decode(&self.bytes),
        }
        Ok(())
    }
}

/// The frames of such a file as those of a `.gsm` file: lowest bit first there, highest bit first and a mark of four bits here.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(bytes.len() / GSM_BLOCK * 66);
    for block in bytes.chunks_exact(GSM_BLOCK) {
        let mut at = 0;
        let mut number = |bits: usize| {
            let value = (0..bits).fold(0u8, |value, bit| {
                let place = at + bit;
                let set = block.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1);
                value | u8::from(set) << bit
            });
            at += bits;
            value
        };
        for _ in 0..2 {
            let mut frame = Frame { octets: [0; 33], at: 0 };
            frame.put(0xd, 4);
            let parts = std::iter::repeat_n(PART_BITS, 4).flatten();
            for bits in RATIO_BITS.into_iter().chain(parts) {
                frame.put(number(bits), bits);
            }
            frames.extend(frame.octets);
        }
    }
    frames
}

struct Frame {
    octets: [u8; 33],
    at: usize,
}

impl Frame {
    fn put(&mut self, value: u8, bits: usize) {
        for bit in (0..bits).rev() {
            if let Some(octet) = self.octets.get_mut(self.at / 8) {
                *octet |= (value >> bit & 1) << (7 - self.at % 8);
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wave::pcm_head;
    use std::io::Write;

    fn opened(tag: u16, (channels, block): (u16, u16), data: &[u8]) -> Result<Box<dyn Source>, SourceError> {
        let mut head = pcm_head(8_000, channels, Some(0));
        head[20..22].copy_from_slice(&tag.to_le_bytes());
        head[32..34].copy_from_slice(&block.to_le_bytes());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&head).unwrap();
        file.write_all(data).unwrap();
        file.rewind().unwrap();
        open(file)
    }

    #[test]
    fn every_code_of_telephony_is_read() {
        let mut block = Vec::new();
        let mut ulaw = opened(7, (2, 2), &[0xff, 0x00, 0x80]).unwrap();
        ulaw.next(&mut block).unwrap();
        assert_eq!((block.as_slice(), ulaw.frames()), (&[0, -32_124][..], Some(1)), "half a frame is nothing");
        let mut gsm = opened(0x31, (1, 65), &[0; 130]).unwrap();
        gsm.next(&mut block).unwrap();
        assert_eq!((block.len(), gsm.frames()), (640, Some(640)));
        gsm.next(&mut block).unwrap();
        assert!(block.is_empty());
        let g722 = opened(0x28f, (1, 1), &[0; 80]).unwrap();
        assert_eq!((g722.rate_hz(), g722.frames()), (16_000, Some(160)));
        assert!(matches!(opened(0x55aa, (1, 1), &[0; 80]), Err(SourceError::Code { tag: 0x55aa, .. })));
    }

    #[test]
    fn packed_gsm_is_the_same_sound_as_plain_gsm() {
        // a frame with every number different, written in both ways by hand
        let numbers: Vec<(u8, usize)> = RATIO_BITS
            .into_iter()
            .chain(std::iter::repeat_n(PART_BITS, 4).flatten())
            .enumerate()
            .map(|(at, bits)| ((at * 37 + 11) as u8 & ((1u16 << bits) - 1) as u8, bits))
            .collect();
        let mut packed = [0u8; 65];
        let mut at = 0;
        for (value, bits) in numbers.iter().chain(&numbers) {
            for bit in 0..*bits {
                packed[at / 8] |= (value >> bit & 1) << (at % 8);
                at += 1;
            }
        }
        assert_eq!(at, 520, "two frames of 260 bits");
        let mut plain = String::from("1101");
        for (value, bits) in &numbers {
            plain.push_str(&format!("{value:0bits$b}", bits = *bits));
        }
        let octets: Vec<u8> = plain
            .as_bytes()
            .chunks(8)
            .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap())
            .collect();
        assert_eq!(octets.len(), 33);
        assert_eq!(unpacked(&packed), [octets.clone(), octets].concat());
    }
}
