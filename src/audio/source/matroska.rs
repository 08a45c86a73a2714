//! Matroska of our own recordings that keep G.722: a track for each side. Below: `audio::matroska`, `codec::g722`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{Source, SourceError};
use crate::audio::codec::g722::{self, Decoder};
use crate::audio::matroska::{CLUSTER_OCTETS, Head, Tracks};

/// Clusters in a block: a second.
const BLOCK: usize = 25;

/// A recording in G.722.
pub struct Matroska {
    file: BufReader<File>,
    tracks: Tracks,
    decoders: Vec<Decoder>,
    /// Octets of each track in the file, and clusters that were read.
    octets: u64,
    clusters: u64,
    bytes: Vec<u8>,
}

impl Matroska {
    /// The file as a sound; `None` where it is none of ours.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(mut file: File) -> io::Result<Option<Self>> {
        let mut start = Vec::new();
        file.rewind()?;
        Read::by_ref(&mut file).take(Head::longest() as u64).read_to_end(&mut start)?;
        let Some(Head { tracks, .. }) = Head::parse(&start) else { return Ok(None) };
        let octets = tracks.octets_in(file.metadata()?.len());
        file.seek(SeekFrom::Start(tracks.head_bytes()))?;
        let (file, decoders) = (BufReader::new(file), vec![Decoder::default(); tracks.count().into()]);
        Ok(Some(Self { file, tracks, decoders, octets, clusters: 0, bytes: Vec::new() }))
    }

    /// Puts the samples of a second, side by side, in the place of what `block` holds. Each is made by itself, after the one before it,
    /// which decoders need to find in: so any place gives the same samples whatever was read before, and those of the whole but for
    /// rounding.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn second(&mut self, nth: u64, block: &mut Vec<i16>) -> io::Result<()> {
        let first = nth.saturating_sub(1).saturating_mul(BLOCK as u64);
        self.clusters = first.min(self.octets.div_ceil(CLUSTER_OCTETS));
        self.file.seek(SeekFrom::Start(self.tracks.file_bytes(self.clusters * CLUSTER_OCTETS)))?;
        self.decoders.fill(Decoder::default());
        if nth > 0 {
            self.block(block)?;
        }
        self.block(block)
    }

    fn block(&mut self, block: &mut Vec<i16>) -> io::Result<()> {
        block.clear();
        for _ in 0..BLOCK {
            if !self.cluster(block)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds the samples of the next cluster; `false` at the end.
    fn cluster(&mut self, block: &mut Vec<i16>) -> io::Result<bool> {
        let octets = self.octets.saturating_sub(self.clusters * CLUSTER_OCTETS).min(CLUSTER_OCTETS);
        if octets == 0 {
            return Ok(false);
        }
        self.bytes.clear();
        Read::by_ref(&mut self.file).take(self.tracks.cluster_bytes(octets)).read_to_end(&mut self.bytes)?;
        let cluster = self.tracks.nth_cluster(self.clusters, &self.bytes);
        if cluster.is_none() && octets < CLUSTER_OCTETS {
            // Half of one is what a writer leaves that was killed.
            return Ok(false);
        }
        // One that is damaged is silence, so that nothing moves.
        let silence = [g722::SILENCE; CLUSTER_OCTETS as usize];
        let sides: Vec<&[u8]> =
            cluster.map_or_else(|| vec![&silence[..]; self.decoders.len()], |cluster| cluster.tracks);
        let mut decoded = Vec::new();
        for (decoder, octets) in self.decoders.iter_mut().zip(sides) {
            let mut samples = Vec::new();
            decoder.decode(octets, &mut samples);
            decoded.push(samples);
        }
        let frames = decoded.iter().map(Vec::len).min().unwrap_or(0);
        for at in 0..frames {
            block.extend(decoded.iter().filter_map(|side| side.get(at)));
        }
        self.clusters += 1;
        Ok(true)
    }
}

impl Source for Matroska {
    fn rate_hz(&self) -> u32 {
        g722::RATE_HZ
    }

    fn channels(&self) -> u16 {
        self.tracks.count()
    }

    fn frames(&self) -> Option<u64> {
        Some(self.octets * 2)
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        Ok(self.block(block)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::source;
    use std::io::Write;

    /// Octets of two tracks in turn, whose decoders end where they begin: in silence.
    fn frames() -> (Vec<u8>, [Vec<u8>; 2]) {
        let wide = include_bytes!("../../../tests/data/sounds/wide.g722").repeat(3);
        let left = [&wide[..4_000], &[g722::SILENCE; 1_000][..]].concat();
        let right = [&[g722::SILENCE; 1_001][..], &wide[..3_999]].concat();
        (left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]).collect(), [left, right])
    }

    fn opened(bytes: &[u8]) -> Option<(Option<u64>, [Vec<i16>; 2])> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let mut source = source::open(file, "").ok()?;
        assert_eq!((source.rate_hz(), source.channels()), (16_000, 2));
        let (mut sides, mut block) = ([Vec::new(), Vec::new()], Vec::new());
        while source.next(&mut block).is_ok() && !block.is_empty() {
            for pair in block.chunks_exact(2) {
                sides.iter_mut().zip(pair).for_each(|(side, sample)| side.push(*sample));
            }
        }
        Some((source.frames(), sides))
    }

    #[test]
    fn each_side_is_what_its_octets_mean() {
        let (frames, sides) = frames();
        let mut bytes = Tracks::of(2).head(5_000);
        Tracks::of(2).write_clusters(0, &frames, &mut bytes);
        let expected = sides.map(|octets| g722::decode(&octets));
        assert_eq!(opened(&bytes), Some((Some(10_000), expected)));
    }

    #[test]
    fn any_second_is_the_same_whatever_was_read_before_and_nearly_that_of_the_whole() {
        let wide = include_bytes!("../../../tests/data/sounds/high.g722").repeat(4);
        let frames: Vec<u8> = wide[..28_400].iter().flat_map(|octet| [*octet, g722::SILENCE]).collect();
        let mut bytes = Tracks::of(2).head(28_400);
        Tracks::of(2).write_clusters(0, &frames, &mut bytes);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let mut source = Matroska::open(file).unwrap().unwrap();
        let (whole, mut block) = (g722::decode(&wide[..28_400]), Vec::new());
        for nth in [3, 0, 2, 1, 3, 4, u64::MAX] {
            source.second(nth, &mut block).unwrap();
            let left: Vec<i16> = block.iter().step_by(2).copied().collect();
            let expected = whole.chunks(16_000).nth(usize::try_from(nth).unwrap_or(usize::MAX)).unwrap_or_default();
            assert_eq!(left.len(), expected.len(), "{nth}");
            assert!(left.iter().zip(expected).all(|(found, sample)| found.abs_diff(*sample) < 8), "{nth}");
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_read_as_far_as_it_goes_and_nothing_moves() {
        let (frames, sides) = frames();
        let mut bytes = Tracks::of(2).head(5_000);
        Tracks::of(2).write_clusters(0, &frames, &mut bytes);
        let (head, whole) = (Tracks::of(2).head_bytes() as usize, g722::decode(&sides[0]));
        for at in (0..bytes.len()).step_by(97) {
            let cut = opened(&bytes[..at]).map(|(_, sides)| sides[0].len());
            assert!(cut.is_some() == (at >= head) && cut.unwrap_or(0) <= 10_000, "{at}");
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            if let Some((_, found)) = opened(&changed) {
                let until = (at.saturating_sub(head) / Tracks::of(2).cluster_bytes(320) as usize) * 640;
                assert_eq!(found[0][..until], whole[..until], "{at}");
                assert!(found[0].len() == 10_000 || at > bytes.len() - 700, "{at}: {}", found[0].len());
            }
        }
    }
}
