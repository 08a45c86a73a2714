//! The head of a WAV file, read leniently: one whose writer died says too little, too much or nothing about its length.
//! Above: `source`, and whoever mends files of other programs.

use std::io::{self, Read, Seek, SeekFrom};

/// A head is not looked for beyond so many chunks.
const CHUNKS: usize = 64;
/// `fmt ` chunks longer than this, in bytes, are something else.
const LONGEST_FORMAT: u32 = 256;
/// WAVE_FORMAT_EXTENSIBLE: the real tag is the beginning of the GUID.
const EXTENSIBLE: u16 = 0xfffe;

/// What the head says, and where the sound begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which code: 1 PCM, 6 A-law, 7 µ-law, 0x31 GSM, …
    pub tag: u16,
    /// Sides.
    pub channels: u16,
    /// Samples a second.
    pub rate_hz: u32,
    /// Bytes that belong together.
    pub block: u16,
    /// Bits of a sample.
    pub bits: u16,
    /// Where the sound begins, in bytes.
    pub data_at: u64,
    /// How many bytes of sound the head speaks of.
    pub data_said: u32,
    /// Length of the file, in bytes.
    pub file_bytes: u64,
}

impl Head {
    /// Reads it.
    ///
    /// # Errors
    /// It is no WAV file (`InvalidData`), or reading fails.
    pub fn read(file: &mut (impl Read + Seek)) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let file_bytes = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut riff = [0; 12];
        file.read_exact(&mut riff).map_err(|_| wrong("it is too short for a WAV file"))?;
        if !riff.starts_with(b"RIFF") || !riff.ends_with(b"WAVE") {
            return Err(wrong("it is no WAV file"));
        }
        let mut format = None;
        for _ in 0..CHUNKS {
            let mut chunk = [0; 8];
            file.read_exact(&mut chunk).map_err(|_| wrong("it has a head, but no sound"))?;
            let [a, b, c, d, size @ ..] = chunk;
            let (name, size) = ([a, b, c, d], u32::from_le_bytes(size));
            if &name == b"data" {
                let data_at = file.stream_position()?;
                let format: Format = format.ok_or_else(|| wrong("its sound comes before its format"))?;
                let Format { tag, channels, rate_hz, block, bits } = format;
                return Ok(Self { tag, channels, rate_hz, block, bits, data_at, data_said: size, file_bytes });
            }
            let mut skip = i64::from(size) + i64::from(size & 1); // chunks are padded to even lengths
            if &name == b"fmt " && size <= LONGEST_FORMAT {
                let mut bytes = vec![0; size as usize];
                file.read_exact(&mut bytes)?;
                format = Some(Format::read(&bytes).ok_or_else(|| wrong("its format cannot be read"))?);
                skip = i64::from(size & 1);
            }
            file.seek(SeekFrom::Current(skip))?;
        }
        Err(wrong("its sound cannot be found"))
    }

    /// How many bytes of sound there are: where the head does not know it, all up to the end.
    pub fn data_bytes(&self) -> u64 {
        let there = self.file_bytes.saturating_sub(self.data_at);
        let said = u64::from(self.data_said);
        let bytes = if said == 0 || said > there { there } else { said };
        bytes - bytes % u64::from(self.block.max(1))
    }

    /// Whether the head says how long the sound is.
    pub fn is_whole(&self) -> bool {
        u64::from(self.data_said) == self.data_bytes()
    }

    /// What to write where, so that the head says it. The sound must be the last chunk, as it is where the writer died.
    pub fn mending(&self) -> [(u64, [u8; 4]); 2] {
        let data = self.data_bytes();
        let word = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        [(4, word(self.data_at + data - 8)), (self.data_at - 4, word(data))]
    }
}

#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    block: u16,
    bits: u16,
}

impl Format {
    fn read(bytes: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let rate_hz = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
        let tag = match short(0)? {
            EXTENSIBLE => short(24)?,
            tag => tag,
        };
        let format = Self { tag, channels: short(2)?, rate_hz, block: short(12)?, bits: short(14)? };
        (format.channels > 0 && format.rate_hz > 0 && format.block > 0).then_some(format)
    }
}

/// A head of 16-bit PCM for so many frames; more than fit into 32 bits, or an unknown number, are said to have no end.
pub fn pcm_head(rate_hz: u32, channels: u16, frames: Option<u64>) -> [u8; 44] {
    let block = channels * 2;
    let data = frames.and_then(|frames| u32::try_from(frames * u64::from(block)).ok());
    let data = data.filter(|data| *data < u32::MAX - 44).unwrap_or(u32::MAX - 36);
    let mut head = [0; 44];
    let fields: [(usize, &[u8]); 13] = [
        (0, b"RIFF"),
        (4, &(data + 36).to_le_bytes()),
        (8, b"WAVE"),
        (12, b"fmt "),
        (16, &16u32.to_le_bytes()),
        (20, &1u16.to_le_bytes()),
        (22, &channels.to_le_bytes()),
        (24, &rate_hz.to_le_bytes()),
        (28, &(rate_hz * u32::from(block)).to_le_bytes()),
        (32, &block.to_le_bytes()),
        (34, &16u16.to_le_bytes()),
        (36, b"data"),
        (40, &data.to_le_bytes()),
    ];
    for (at, bytes) in fields {
        head[at..at + bytes.len()].copy_from_slice(bytes);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn file(said: u32, there: usize) -> Vec<u8> {
        let mut bytes = pcm_head(8_000, 2, Some(0)).to_vec();
        bytes[40..44].copy_from_slice(&said.to_le_bytes());
        bytes.resize(44 + there, 0);
        bytes
    }

    #[test]
    fn a_head_whose_writer_died_is_mended_to_what_there_is() {
        for (said, there, bytes, whole) in [
            (400, 400, 400, true),
            (0, 402, 400, false),
            (u32::MAX, 400, 400, false),
            (400, 500, 400, true),
            (0, 0, 0, true),
        ] {
            let mut bytes_of_file = file(said, there);
            let head = Head::read(&mut Cursor::new(&bytes_of_file)).unwrap();
            assert_eq!((head.data_bytes(), head.is_whole()), (bytes, whole), "{said} of {there}");
            for (at, word) in head.mending() {
                let at = usize::try_from(at).unwrap();
                bytes_of_file[at..at + 4].copy_from_slice(&word);
            }
            let mended = Head::read(&mut Cursor::new(&bytes_of_file)).unwrap();
            assert_eq!((mended.data_bytes(), u64::from(mended.data_said)), (bytes, bytes));
        }
    }

    #[test]
    fn chunks_before_the_sound_are_passed_over() {
        let mut bytes = pcm_head(16_000, 1, Some(2)).to_vec();
        bytes.splice(36..36, *b"LIST\x03\0\0\0abc\0");
        bytes.extend([1, 0, 2, 0]);
        let head = Head::read(&mut Cursor::new(&bytes)).unwrap();
        assert_eq!((head.data_at, head.data_bytes(), head.rate_hz, head.tag), (56, 4, 16_000, 1));
    }

    #[test]
    fn what_is_no_wav_file_is_an_error() {
        for bytes in
            [&b""[..], b"RIFF", b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\0\0", &file(0, 0)[..40], b"#!AMR\nxxxxxxxxxxx"]
        {
            assert!(Head::read(&mut Cursor::new(bytes)).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), real in any::<bool>()) {
            if real {
                let mut all = file(7, 20);
                all.extend(&bytes);
                if let Some(byte) = bytes.first() {
                    let at = usize::from(*byte) % all.len();
                    all[at] ^= bytes.last().copied().unwrap_or(1);
                }
                bytes = all;
            }
            if let Ok(head) = Head::read(&mut Cursor::new(&bytes)) {
                prop_assert!(head.data_at + head.data_bytes() <= bytes.len() as u64);
                let _ = head.mending();
            }
        }
    }
}
