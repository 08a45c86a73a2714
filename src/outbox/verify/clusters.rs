//! A look at every cluster of a recording in G.722: whether it is whole to its last one, and how much sound it has.
//! Above: `header`. Below: `audio::matroska`; the bytes are anybody's.

use std::io::{self, BufReader, Read};

use super::header;
use crate::audio::matroska::{CLUSTER_OCTETS, Head};

/// Looks at a file of so many bytes from its beginning.
///
/// # Errors
/// The disk fails.
pub(super) fn look(file: impl Read, size: u64) -> io::Result<header::Head> {
    let damaged = |what: &str| Ok(header::Head::Damaged(what.to_owned()));
    let mut file = BufReader::with_capacity(1 << 17, file);
    let mut start = Vec::new();
    file.by_ref().take(Head::longest() as u64).read_to_end(&mut start)?;
    let Some(Head { tracks, bytes, ms }) = Head::parse(&start) else {
        return damaged("it is Matroska, and not of a recording in G.722");
    };
    if bytes != size {
        return damaged(&format!("its head says {bytes} bytes, and {size} are there"));
    }
    let octets = tracks.octets_in(size);
    let head = tracks.head(octets);
    if tracks.file_bytes(octets) != size || !start.starts_with(&head) {
        return damaged(&format!("its head says {ms} ms of sound, and there are {octets} octets of it"));
    }
    // What was read too far.
    let mut file = start.get(head.len()..).unwrap_or_default().chain(file);
    let mut cluster = Vec::new();
    for nth in 0..octets.div_ceil(CLUSTER_OCTETS) {
        let length = (octets - nth * CLUSTER_OCTETS).min(CLUSTER_OCTETS);
        cluster.clear();
        file.by_ref().take(tracks.cluster_bytes(length)).read_to_end(&mut cluster)?;
        if tracks.nth_cluster(nth, &cluster).is_none() {
            return damaged(&format!("it is damaged {} ms from its beginning", nth * CLUSTER_OCTETS / 8));
        }
    }
    Ok(header::Head::G722 { frames: octets * 2 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::matroska::Tracks;
    use crate::outbox::verify::header::Head as Found;

    fn file(octets: u64) -> Vec<u8> {
        let mut bytes = Tracks::of(2).head(octets);
        Tracks::of(2).write_clusters(0, &vec![7; 2 * octets as usize], &mut bytes);
        bytes
    }

    fn looked(bytes: &[u8]) -> Found {
        look(bytes, bytes.len() as u64).unwrap()
    }

    #[test]
    fn a_whole_file_tells_its_length() {
        for octets in [0, 1, 320, 333, 8_000] {
            assert_eq!(looked(&file(octets)), Found::G722 { frames: 2 * octets });
        }
    }

    #[test]
    fn r2_a_file_cut_anywhere_or_changed_beside_its_sound_is_damaged() {
        let whole = file(700);
        let sound: Vec<bool> = {
            let mut other = Tracks::of(2).head(700);
            Tracks::of(2).write_clusters(0, &[8; 1_400], &mut other);
            whole.iter().zip(&other).map(|(one, other)| one != other).collect()
        };
        for (at, is_sound) in sound.into_iter().enumerate() {
            assert!(matches!(looked(&whole[..at]), Found::Damaged(_)), "{at}");
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(is_sound || matches!(looked(&changed), Found::Damaged(_)), "{at}");
        }
    }
}
