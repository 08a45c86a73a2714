//! Matroska (RFC 9559) as recordings use it that keep G.722 as it came: a head of fixed length, then clusters of 40 ms, each with a block
//! of every track, so that the place of each octet is known and two numbers of the head are all that ever changes.
//! Above: `recorder`, `source`, `outbox::verify`. Pure.

use std::ops::Range;
use std::sync::LazyLock;

use super::codec::g722;

/// Octets of a track in a cluster, but for the last: 40 ms.
pub const CLUSTER_OCTETS: u64 = 320;
/// Tracks at most: both sides, and what supervisors say.
pub const MOST_TRACKS: u16 = 3;
/// Bytes that any such file begins with.
pub const MAGIC: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];

/// Octets of a ms.
const OCTETS_PER_MS: u64 = 8;
/// Bytes before the first block of a cluster: its name and size, its time.
const CLUSTER_HEAD: u64 = 12;
/// Bytes before the octets of a block: its name and size, its track, its time in the cluster, its flags.
const BLOCK_HEAD: u64 = 7;
const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];
/// `WAVE_FORMAT_ADPCM_G722`, as players know it in Matroska and WAV.
const TAG: u16 = 0x028f;
/// What the tracks are called.
const NAMES: [&str; MOST_TRACKS as usize] = ["left: the caller", "right: the callee", "supervisors"];

/// How many tracks a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracks(u16);

/// A head without its numbers, and where they belong.
struct Template {
    bytes: Vec<u8>,
    size: Range<usize>,
    duration: Range<usize>,
}

/// What a head says of the file behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// How many tracks there are.
    pub tracks: Tracks,
    /// Bytes of the whole file.
    pub bytes: u64,
    /// How long it plays.
    pub ms: f64,
}

/// A whole cluster: the octets of each track, as many of one as of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster<'a> {
    /// When it begins, in ms.
    pub ms: u32,
    /// The octets of each track.
    pub tracks: Vec<&'a [u8]>,
    /// Its length, in bytes.
    pub bytes: u64,
}

impl Tracks {
    /// So many; 1 to [`MOST_TRACKS`] of them.
    pub fn of(count: u16) -> Self {
        Self(count.clamp(1, MOST_TRACKS))
    }

    /// How many.
    pub fn count(self) -> u16 {
        self.0
    }

    /// Bytes before the first cluster.
    pub fn head_bytes(self) -> u64 {
        self.template().bytes.len() as u64
    }

    /// Bytes of a cluster of so many octets a track.
    pub fn cluster_bytes(self, octets: u64) -> u64 {
        CLUSTER_HEAD + u64::from(self.0) * (BLOCK_HEAD + octets)
    }

    /// Bytes of a file of so many octets a track.
    pub fn file_bytes(self, octets: u64) -> u64 {
        let (whole, rest) = (octets / CLUSTER_OCTETS, octets % CLUSTER_OCTETS);
        let last = if rest > 0 { self.cluster_bytes(rest) } else { 0 };
        self.head_bytes() + whole * self.cluster_bytes(CLUSTER_OCTETS) + last
    }

    /// Octets of each track in a file of so many bytes, where its last cluster is whole.
    pub fn octets_in(self, file_bytes: u64) -> u64 {
        let behind = file_bytes.saturating_sub(self.head_bytes());
        let (whole, rest) = (behind / self.cluster_bytes(CLUSTER_OCTETS), behind % self.cluster_bytes(CLUSTER_OCTETS));
        let last = (rest.saturating_sub(CLUSTER_HEAD) / u64::from(self.0)).saturating_sub(BLOCK_HEAD);
        whole * CLUSTER_OCTETS + last
    }

    /// The head of a file of so many octets a track.
    pub fn head(self, octets: u64) -> Vec<u8> {
        let Template { bytes, size, duration } = self.template();
        let mut bytes = bytes.clone();
        let behind = self.file_bytes(octets) - size.end as u64;
        bytes[size.clone()].copy_from_slice(&behind.to_be_bytes()[1..]);
        let ms = octets as f64 / OCTETS_PER_MS as f64;
        bytes[duration.clone()].copy_from_slice(&ms.to_be_bytes());
        bytes
    }

    /// Adds the clusters of `frames` to `bytes`, octets of all tracks in turn, the first of which is the track's `from`th: a multiple of
    /// [`CLUSTER_OCTETS`].
    pub fn write_clusters(self, from: u64, frames: &[u8], bytes: &mut Vec<u8>) {
        let tracks = usize::from(self.0);
        for (nth, frames) in (from / CLUSTER_OCTETS..).zip(frames.chunks(CLUSTER_OCTETS as usize * tracks)) {
            let octets = frames.len() / tracks; // 320 at most
            let ms = u32::try_from(nth * CLUSTER_OCTETS / OCTETS_PER_MS).unwrap_or(u32::MAX);
            let behind = self.cluster_bytes(octets as u64) - 6;
            bytes.extend(CLUSTER);
            bytes.extend(size_of_two(behind as u16)); // 987 at most
            bytes.extend([0xe7, 0x84]);
            bytes.extend(ms.to_be_bytes());
            for track in 0..tracks {
                bytes.push(0xa3);
                bytes.extend(size_of_two(octets as u16 + 4)); // 324 at most
                // Its number, its time after the cluster's, and that it can be decoded by itself (RFC 9559 §10.2).
                bytes.extend([0x81 + track as u8, 0, 0, 0x80]); // 2 at most
                bytes.extend(frames.iter().skip(track).step_by(tracks).take(octets));
            }
        }
    }

    /// A cluster of silence, as long as all but the last.
    pub fn silent_cluster(self, nth: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let frames = vec![g722::SILENCE; CLUSTER_OCTETS as usize * usize::from(self.0)];
        self.write_clusters(nth * CLUSTER_OCTETS, &frames, &mut bytes);
        bytes
    }

    /// The cluster that bytes begin with; `None` where there is none that is whole.
    pub fn cluster(self, bytes: &[u8]) -> Option<Cluster<'_>> {
        if bytes.get(..4)? != CLUSTER || bytes.get(6..8)? != [0xe7, 0x84] {
            return None;
        }
        let length = 6 + u64::from(number_of_two(bytes.get(4..6)?)?);
        let ms = u32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
        let octets = (length.checked_sub(CLUSTER_HEAD)? / u64::from(self.0)).checked_sub(BLOCK_HEAD)?;
        if !(1..=CLUSTER_OCTETS).contains(&octets) || self.cluster_bytes(octets) != length {
            return None;
        }
        let blocks = bytes.get(CLUSTER_HEAD as usize..usize::try_from(length).ok()?)?;
        let mut tracks = Vec::new();
        for (number, block) in (0x81_u8..).zip(blocks.chunks_exact((BLOCK_HEAD + octets) as usize)) {
            let size = u64::from(number_of_two(block.get(1..3)?)?);
            if block.first() != Some(&0xa3) || size != octets + 4 || block.get(3..7)? != [number, 0, 0, 0x80] {
                return None;
            }
            tracks.push(block.get(BLOCK_HEAD as usize..)?);
        }
        Some(Cluster { ms, tracks, bytes: length })
    }

    /// The same, where it is the `nth` of its file, and as long as all but the last, or is the last.
    pub fn nth_cluster(self, nth: u64, bytes: &[u8]) -> Option<Cluster<'_>> {
        let found = self.cluster(bytes)?;
        let is_its = u64::from(found.ms) == nth * (CLUSTER_OCTETS / OCTETS_PER_MS);
        let is_last = found.bytes == bytes.len() as u64;
        (is_its && (is_last || found.bytes == self.cluster_bytes(CLUSTER_OCTETS))).then_some(found)
    }

    fn template(self) -> &'static Template {
        static TEMPLATES: LazyLock<[Template; MOST_TRACKS as usize]> = LazyLock::new(|| [1, 2, 3].map(template));
        &TEMPLATES[usize::from(self.0 - 1)]
    }
}

impl Head {
    /// Reads the head of a file that a recorder wrote; `None` for any other.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let tracks = (1..=MOST_TRACKS).map(Tracks).find(|tracks| tracks.template().fits(bytes))?;
        let Template { size, duration, .. } = tracks.template();
        let behind = bytes.get(size.clone())?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let ms = f64::from_be_bytes(bytes.get(duration.clone())?.try_into().ok()?);
        Some(Self { tracks, bytes: behind + size.end as u64, ms })
    }

    /// Bytes that are needed to read any.
    pub fn longest() -> usize {
        Tracks(MOST_TRACKS).template().bytes.len()
    }
}

impl Template {
    /// Whether a file begins so, whatever its numbers are.
    fn fits(&self, bytes: &[u8]) -> bool {
        let parts = [0..self.size.start, self.size.end..self.duration.start, self.duration.end..self.bytes.len()];
        parts.into_iter().all(|part| bytes.get(part.clone()) == self.bytes.get(part))
    }
}

/// The head of a file of so many tracks, with zeros for its numbers.
fn template(tracks: u16) -> Template {
    let ebml = [
        element(&[0x42, 0x86], &[1]),        // EBMLVersion
        element(&[0x42, 0xf7], &[1]),        // EBMLReadVersion
        element(&[0x42, 0xf2], &[4]),        // EBMLMaxIDLength
        element(&[0x42, 0xf3], &[8]),        // EBMLMaxSizeLength
        element(&[0x42, 0x82], b"matroska"), // DocType
        element(&[0x42, 0x87], &[4]),        // DocTypeVersion
        element(&[0x42, 0x85], &[2]),        // DocTypeReadVersion
    ];
    let mut bytes = element(&MAGIC, &ebml.concat());
    bytes.extend([0x18, 0x53, 0x80, 0x67]); // Segment
    // A size of eight bytes says so in its first (RFC 8794 §4).
    let size = bytes.len() + 1..bytes.len() + 8;
    bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    let info = [
        element(&[0x44, 0x89], &0_f64.to_be_bytes()),               // Duration
        element(&[0x2a, 0xd7, 0xb1], &1_000_000_u32.to_be_bytes()), // TimestampScale: ms
        element(&[0x4d, 0x80], b"wirechief"),                       // MuxingApp
        element(&[0x57, 0x41], b"wirechief"),                       // WritingApp
    ];
    let info = element(&[0x15, 0x49, 0xa9, 0x66], &info.concat());
    // Behind the name and the size of `Info`, and those of `Duration`.
    let duration = bytes.len() + 5 + 3;
    bytes.extend(info);
    let entries: Vec<u8> =
        NAMES.iter().take(tracks.into()).zip(1..).flat_map(|(name, number)| entry(number, name)).collect();
    bytes.extend(element(&[0x16, 0x54, 0xae, 0x6b], &entries)); // Tracks
    Template { bytes, size, duration: duration..duration + 8 }
}

/// One track of a head.
fn entry(number: u8, name: &str) -> Vec<u8> {
    let rate_hz = g722::RATE_HZ;
    let mut format = Vec::new(); // WAVEFORMATEX
    format.extend(TAG.to_le_bytes());
    format.extend(1_u16.to_le_bytes()); // channels
    format.extend(rate_hz.to_le_bytes());
    format.extend((rate_hz / 2).to_le_bytes()); // bytes a second
    format.extend(1_u16.to_le_bytes()); // block
    format.extend(4_u16.to_le_bytes()); // bits of a sample
    format.extend(0_u16.to_le_bytes()); // nothing behind it
    let audio = [element(&[0xb5], &f64::from(rate_hz).to_be_bytes()), element(&[0x9f], &[1])];
    let fields = [
        element(&[0xd7], &[number]),             // TrackNumber
        element(&[0x73, 0xc5], &[number]),       // TrackUID
        element(&[0x83], &[2]),                  // TrackType: audio
        element(&[0x9c], &[0]),                  // FlagLacing
        element(&[0x53, 0x6e], name.as_bytes()), // Name
        element(&[0x86], b"A_MS/ACM"),           // CodecID
        element(&[0x63, 0xa2], &format),         // CodecPrivate
        element(&[0xe1], &audio.concat()),       // Audio
    ];
    element(&[0xae], &fields.concat())
}

/// An element: its name, its size in the fewest bytes, what is in it (RFC 8794 §4–§6).
fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_vec();
    match u8::try_from(body.len()) {
        Ok(length) if length < 0x7f => bytes.push(0x80 | length),
        _ => bytes.extend(size_of_two(body.len() as u16)), // heads have some hundred bytes
    }
    bytes.extend(body);
    bytes
}

/// A size below 16,383 in two bytes.
fn size_of_two(size: u16) -> [u8; 2] {
    (size | 0x4000).to_be_bytes()
}

fn number_of_two(bytes: &[u8]) -> Option<u16> {
    let number = u16::from_be_bytes(bytes.try_into().ok()?);
    (number >> 14 == 1).then_some(number & 0x3fff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(tracks: Tracks, frames: &[u8]) -> Vec<u8> {
        let mut bytes = tracks.head(frames.len() as u64 / u64::from(tracks.count()));
        tracks.write_clusters(0, frames, &mut bytes);
        bytes
    }

    #[test]
    fn a_head_says_how_long_the_file_is_and_is_as_long_whatever_it_says() {
        for tracks in [1, 2, 3].map(Tracks::of) {
            for octets in [0, 1, 319, 320, 321, 640, 28_800_000, 500_000_000] {
                let bytes = tracks.head(octets);
                assert_eq!(bytes.len() as u64, tracks.head_bytes());
                let head = Head::parse(&bytes).expect("a head");
                assert_eq!((head.tracks, head.bytes), (tracks, tracks.file_bytes(octets)));
                assert_eq!((head.ms * 8.0) as u64, octets);
            }
            assert!(tracks.head_bytes() as usize <= Head::longest());
        }
    }

    #[test]
    fn a_head_that_was_changed_is_none_of_ours() {
        let whole = Tracks::of(2).head(8_000);
        for at in 0..whole.len() {
            assert_eq!(Head::parse(&whole[..at]), None, "{at}");
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let read = Head::parse(&changed);
            assert!(read.is_none() || read != Head::parse(&whole), "{at}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_octet_by_octet_on_its_track(
            count in 1u16..=3, frames in prop::collection::vec(any::<u8>(), 0..3_000),
        ) {
            let tracks = Tracks::of(count);
            let frames = &frames[..frames.len() - frames.len() % usize::from(count)];
            let bytes = file(tracks, frames);
            let octets = frames.len() as u64 / u64::from(count);
            prop_assert_eq!(bytes.len() as u64, tracks.file_bytes(octets));
            prop_assert_eq!(tracks.octets_in(bytes.len() as u64), octets);
            let (mut rest, mut found) = (&bytes[tracks.head_bytes() as usize..], vec![Vec::<u8>::new(); count.into()]);
            for nth in 0.. {
                if rest.is_empty() {
                    break;
                }
                let cluster = tracks.nth_cluster(nth, &rest[..rest.len().min(tracks.cluster_bytes(320) as usize)]);
                let cluster = cluster.expect("a cluster");
                found.iter_mut().zip(&cluster.tracks).for_each(|(track, octets)| track.extend(*octets));
                rest = &rest[cluster.bytes as usize..];
            }
            for (at, track) in found.iter().enumerate() {
                prop_assert!(track.iter().eq(frames.iter().skip(at).step_by(usize::from(count))));
            }
        }

        #[test]
        fn any_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..800), real in any::<bool>()) {
            if real {
                let mut all = Tracks::of(2).silent_cluster(0);
                if let Some(at) = bytes.first() {
                    all[usize::from(*at)] ^= bytes.last().copied().unwrap_or(1);
                }
                bytes = all;
            }
            for tracks in [1, 2, 3].map(Tracks::of) {
                let _ = tracks.cluster(&bytes);
            }
            let _ = Head::parse(&bytes);
        }
    }
}
