//! Repair of a recording in G.722 that a crash or a power failure left: half a cluster at its end is cut off, a damaged one before others
//! becomes silence, and the head says how long the file is. Above: `repair`. Below: `disk`, `audio::matroska`. Idempotent.

use std::io;

use super::disk::Medium;
use super::repair::Repaired;
use crate::audio::codec::g722;
use crate::audio::matroska::{CLUSTER_OCTETS, Head, Tracks};

/// Clusters read at once.
const WINDOW: u64 = 256;

/// What there is behind the head.
struct Seen {
    /// Clusters up to the last whole one, octets of each track in them, and where they end.
    octets: u64,
    end: u64,
    /// Those before it that are damaged.
    damaged: Vec<u64>,
}

/// Mends a file of so many bytes that begins so; `None` where it has no head of ours.
pub(super) fn mend(medium: &mut dyn Medium, (length, start): (u64, &[u8])) -> io::Result<Option<Repaired>> {
    let Some(Head { tracks, .. }) = Head::parse(start) else { return Ok(None) };
    let Seen { octets, end, damaged } = walk(medium, tracks, length)?;
    let mut changed = false;
    for nth in damaged {
        medium.write_at(&tracks.silent_cluster(nth), tracks.file_bytes(nth * CLUSTER_OCTETS))?;
        changed = true;
    }
    if end < length {
        medium.set_length(end)?;
        changed = true;
    }
    let head = tracks.head(octets);
    if !start.starts_with(&head) {
        medium.write_at(&head, 0)?;
        changed = true;
    }
    let (rate_hz, channels, frames) = (g722::RATE_HZ, tracks.count(), octets * 2);
    Ok(Some(Repaired { format: "g722", rate_hz, channels, frames, bytes: end, changed }))
}

/// Looks at every cluster.
fn walk(medium: &dyn Medium, tracks: Tracks, length: u64) -> io::Result<Seen> {
    let mut seen = Seen { octets: 0, end: tracks.head_bytes(), damaged: Vec::new() };
    let mut damaged = Vec::new();
    let cluster_bytes = tracks.cluster_bytes(CLUSTER_OCTETS);
    let mut nth = 0;
    while tracks.file_bytes(nth * CLUSTER_OCTETS) < length {
        let at = tracks.file_bytes(nth * CLUSTER_OCTETS);
        let window = medium.read_at(at, usize::try_from(WINDOW * cluster_bytes).unwrap_or(usize::MAX))?;
        if window.is_empty() {
            break;
        }
        for bytes in window.chunks(usize::try_from(cluster_bytes).unwrap_or(usize::MAX)) {
            match tracks.nth_cluster(nth, bytes) {
                Some(cluster) => {
                    let octets = cluster.tracks.first().map_or(0, |track| track.len() as u64);
                    seen.octets = nth * CLUSTER_OCTETS + octets;
                    seen.end = tracks.file_bytes(seen.octets);
                    seen.damaged.append(&mut damaged);
                }
                None => damaged.push(nth),
            }
            nth += 1;
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::super::repair::{RepairError, repair};
    use super::*;
    use proptest::prelude::*;

    fn file(tracks: Tracks, octets: u64) -> Vec<u8> {
        let mut bytes = tracks.head(octets);
        let frames: Vec<u8> = (0..octets * u64::from(tracks.count())).map(|at| at as u8).collect();
        tracks.write_clusters(0, &frames, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn any_cut_leaves_every_whole_cluster_whatever_the_head_said(
            count in 1u16..=3, octets in 0u64..3_000, told in 0u64..4_000, cut in 0u64..2_500,
        ) {
            let tracks = Tracks::of(count);
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("cut.mka");
            let whole = file(tracks, octets);
            let length = (whole.len() as u64).saturating_sub(cut).max(tracks.head_bytes());
            let mut bytes = whole[..length as usize].to_vec();
            bytes[..tracks.head_bytes() as usize].copy_from_slice(&tracks.head(told));
            std::fs::write(&path, bytes).expect("written");
            let repaired = repair(&path).expect("repaired");
            let left = if length == whole.len() as u64 { octets } else {
                let clusters = (length - tracks.head_bytes()) / tracks.cluster_bytes(CLUSTER_OCTETS);
                clusters * CLUSTER_OCTETS
            };
            prop_assert_eq!((repaired.frames, repaired.channels, repaired.rate_hz), (left * 2, count, 16_000));
            let mut expected = tracks.head(left);
            expected.extend(&whole[expected.len()..tracks.file_bytes(left) as usize]);
            prop_assert_eq!(std::fs::read(&path).expect("read"), expected);
            prop_assert_eq!(repair(&path).expect("again"), Repaired { changed: false, ..repaired });
        }
    }

    #[test]
    fn a_damaged_cluster_becomes_silence_and_nothing_behind_it_moves() {
        let tracks = Tracks::of(2);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("damaged.mka");
        let whole = file(tracks, 1_000);
        let mut bytes = whole.clone();
        let second = tracks.file_bytes(320) as usize;
        bytes[second..second + 9].fill(0);
        std::fs::write(&path, &bytes).expect("written");
        let repaired = repair(&path).expect("repaired");
        assert_eq!((repaired.frames, repaired.changed), (2_000, true));
        let mut expected = whole;
        let silence = tracks.silent_cluster(1);
        expected[second..second + silence.len()].copy_from_slice(&silence);
        assert_eq!(std::fs::read(&path).expect("read"), expected);
    }

    #[test]
    fn matroska_of_other_programs_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("other.mka");
        let other = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01 and so on";
        std::fs::write(&path, other).expect("written");
        assert!(matches!(repair(&path), Err(RepairError::NotOurs { .. })));
        assert_eq!(std::fs::read(&path).expect("read"), other);
    }
}
