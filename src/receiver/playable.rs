//! A recording in G.722 for browsers, which have no decoder of it: as WAV, decoded on its way out, from any place on.
//! Above: `download`. Below: `audio::source`.

use std::fs::File;
use std::io;

use crate::audio::source::{Matroska, Source};
use crate::audio::wave::pcm_head;

/// Sides that are played; what supervisors said is on a third.
const MOST_SIDES: u16 = 2;
const SAMPLE_BYTES: u64 = 2;

/// A file as WAV.
pub(super) struct Playable {
    source: Matroska,
    head: [u8; 44],
    sides: u16,
    frames: u64,
    samples: Vec<i16>,
}

impl std::fmt::Debug for Playable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Playable").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Playable {
    /// The file; `None` where it is no recording in G.722.
    pub(super) fn open(file: File) -> io::Result<Option<Self>> {
        let Some(source) = Matroska::open(file)? else { return Ok(None) };
        let (sides, frames) = (source.channels().min(MOST_SIDES), source.frames().unwrap_or(0));
        let head = pcm_head(source.rate_hz(), sides, Some(frames));
        Ok(Some(Self { source, head, sides, frames, samples: Vec::new() }))
    }

    /// Bytes of the WAV file.
    pub(super) fn size(&self) -> u64 {
        self.head.len() as u64 + self.frames * self.frame_bytes()
    }

    /// Some of its bytes from a place on: a second at most; none at the end.
    pub(super) fn read(&mut self, at: u64) -> io::Result<Vec<u8>> {
        let Some(into) = at.checked_sub(self.head.len() as u64) else {
            return Ok(self.head.iter().skip(usize::try_from(at).unwrap_or(usize::MAX)).copied().collect());
        };
        let second = u64::from(self.source.rate_hz()) * self.frame_bytes();
        let mut samples = std::mem::take(&mut self.samples);
        self.source.second(into / second, &mut samples)?;
        let frames = samples.chunks_exact(self.source.channels().into());
        let sides = usize::from(self.sides);
        let bytes = frames.flat_map(|frame| frame.iter().take(sides)).flat_map(|sample| sample.to_le_bytes());
        let bytes = bytes.skip(usize::try_from(into % second).unwrap_or(usize::MAX)).collect();
        self.samples = samples;
        Ok(bytes)
    }

    fn frame_bytes(&self) -> u64 {
        u64::from(self.sides) * SAMPLE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::audio::codec::g722;
    use crate::audio::matroska::Tracks;

    fn playable(tracks: u16, octets: usize) -> Playable {
        let wide = include_bytes!("../../tests/data/sounds/high.g722");
        let frames: Vec<u8> = wide.iter().cycle().take(octets).flat_map(|octet| vec![*octet; tracks.into()]).collect();
        let mut bytes = Tracks::of(tracks).head(octets as u64);
        Tracks::of(tracks).write_clusters(0, &frames, &mut bytes);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        Playable::open(file).unwrap().unwrap()
    }

    #[test]
    fn it_is_a_wav_file_of_the_size_it_says_and_the_same_from_any_place() {
        for (tracks, sides) in [(1, 1), (2, 2), (3, 2)] {
            let mut file = playable(tracks, 17_001);
            let mut whole = Vec::new();
            loop {
                let bytes = file.read(whole.len() as u64).unwrap();
                if bytes.is_empty() {
                    break;
                }
                whole.extend(bytes);
            }
            assert_eq!(whole.len() as u64, file.size());
            let reader = hound::WavReader::new(&whole[..]).unwrap();
            assert_eq!((reader.spec().channels, reader.spec().sample_rate, reader.duration()), (sides, 16_000, 34_002));
            for at in [0, 1, 43, 44, 45, 40_000, 64_043, 64_044, 64_045, 68_047] {
                let bytes = file.read(at as u64).unwrap();
                assert!(!bytes.is_empty() && whole[at..].starts_with(&bytes), "{tracks} tracks, from {at}");
            }
        }
    }

    #[test]
    fn other_files_are_none() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[g722::SILENCE; 400]).unwrap();
        assert!(Playable::open(file).unwrap().is_none());
    }
}
