//! Repair of recordings that a crash or a power failure left: sizes in the header that are wrong, half a frame at the end.
//! Above: `call::recording` at start, `rec`. Below: `wav`, `kept` for Ogg Opus, `clusters` for G.722, `disk`. Idempotent.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::clusters;
use super::disk::{Disk, Medium, System};
use super::kept;
use super::wav::Beginning;
use crate::audio::matroska;

/// Bytes at the beginning of a file in which its samples begin.
const BEGINNING: usize = 65_536;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What its sound is, as in manifests.
    pub format: &'static str,
    /// Samples a second.
    pub rate_hz: u32,
    /// Tracks.
    pub channels: u16,
    /// Samples of each track.
    pub frames: u64,
    /// Its size now.
    pub bytes: u64,
    /// Whether anything had to be changed.
    pub changed: bool,
}

/// Why a file cannot be repaired.
#[derive(Debug, Error)]
pub enum RepairError {
    /// It cannot be read or written.
    #[error("cannot repair {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no WAV file, or ends before its first sample.
    #[error("cannot repair {}: it is not a WAV file with samples", path.display())]
    NotWav {
        /// The file.
        path: PathBuf,
    },
    /// It is Matroska, and none of ours.
    #[error("cannot repair {}: it is Matroska without the head of a recording in G.722", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// It is in Ogg, and not Opus.
    #[error("cannot repair {}: it is Ogg without a head of Opus", path.display())]
    NotOpus {
        /// The file.
        path: PathBuf,
    },
}

/// Makes the sizes in a WAV file's header those of its samples, which reach to the end of the file when the header says more, or
/// nothing: other servers write their sizes only at the end. Half a frame at the end is cut off. What follows the samples in a file
/// whose sizes fit is left alone.
///
/// # Errors
///
/// [`RepairError`] when the file is no WAV file, or cannot be read or written.
pub fn repair(path: &Path) -> Result<Repaired, RepairError> {
    repair_on(&System, path)
}

/// The same on any disk.
pub(super) fn repair_on(disk: &dyn Disk, path: &Path) -> Result<Repaired, RepairError> {
    let failed = |source| RepairError::File { path: path.to_owned(), source };
    let mut medium = disk.open(path).map_err(failed)?;
    let length = medium.length().map_err(failed)?;
    let start = medium.read_start(BEGINNING).map_err(failed)?;
    if start.starts_with(b"OggS") {
        let mended = kept::mend(medium.as_mut(), length).map_err(failed)?;
        return mended.ok_or_else(|| RepairError::NotOpus { path: path.to_owned() });
    }
    if start.starts_with(&matroska::MAGIC) {
        let mended = clusters::mend(medium.as_mut(), (length, &start)).map_err(failed)?;
        return mended.ok_or_else(|| RepairError::NotOurs { path: path.to_owned() });
    }
    let beginning = Beginning::parse(&start).ok_or_else(|| RepairError::NotWav { path: path.to_owned() })?;
    mend(medium.as_mut(), &beginning, (length, &start)).map_err(failed)
}

fn mend(medium: &mut dyn Medium, beginning: &Beginning, (length, start): (u64, &[u8])) -> io::Result<Repaired> {
    let Beginning { data_at, frame_bytes, .. } = *beginning;
    let frame_bytes = u64::from(frame_bytes);
    let present = length.saturating_sub(data_at);
    let claimed = u64::from(beginning.data_bytes);
    let riff = u64::from(start.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes));
    // What is said to be in the file and more than that: chunks after the samples, which are whole when the file's size says so.
    let is_whole = claimed > 0 && claimed <= present && riff + 8 == length && claimed.is_multiple_of(frame_bytes);
    let wanted = if is_whole { claimed } else { present.min(u64::from(u32::MAX) - data_at) };
    let frames = wanted / frame_bytes;
    let data = frames * frame_bytes;
    let mut repaired = Repaired {
        format: beginning.format(),
        rate_hz: beginning.rate_hz,
        channels: beginning.channels,
        frames,
        bytes: length,
        changed: false,
    };
    if is_whole {
        return Ok(repaired);
    }
    repaired.bytes = data_at + data;
    let le = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let mut sizes = vec![(4, le(repaired.bytes - 8)), (data_at - 4, le(data))];
    sizes.extend(beginning.fact_at.map(|at| (at, le(frames))));
    for (at, bytes) in sizes {
        let is_so = usize::try_from(at).ok().and_then(|at| start.get(at..at + 4)) == Some(&bytes[..]);
        if !is_so {
            medium.write_at(&bytes, at)?;
            repaired.changed = true;
        }
    }
    if length != repaired.bytes {
        medium.set_length(repaired.bytes)?;
        repaired.changed = true;
    }
    Ok(repaired)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::codec::Codec;
    use crate::recorder::order::Form;
    use crate::recorder::wav::Shape;
    use proptest::prelude::*;

    fn shapes() -> impl Strategy<Value = Shape> {
        let forms = prop_oneof![Just(Form::Pcm16), Just(Form::AsCame(Codec::Pcma)), Just(Form::AsCame(Codec::Pcmu))];
        (forms, 1u16..=3).prop_map(|(form, channels)| Shape { form, channels, rate_hz: 8_000 })
    }

    proptest! {
        #[test]
        fn any_cut_behind_the_header_leaves_every_whole_frame(
            shape in shapes(), frames in 0u64..400, claimed in prop_oneof![Just(0u64), 0u64..1_000, Just(u64::from(u32::MAX) / 8)],
            cut in 0u64..900,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("cut.wav");
            let mut bytes = shape.header(claimed);
            bytes.extend((0..frames * shape.frame_bytes()).map(|at| at as u8));
            let length = (bytes.len() as u64 - cut.min(frames * shape.frame_bytes())) as usize;
            std::fs::write(&path, &bytes[..length]).expect("written");
            let repaired = repair(&path).expect("repaired");
            let whole = (length as u64 - shape.header_bytes()) / shape.frame_bytes();
            let (fits, claimed) = (claimed > 0 && shape.file_bytes(claimed) == length as u64, claimed);
            prop_assert_eq!(repaired.frames, if fits { claimed } else { whole });
            let mut expected = shape.header(repaired.frames);
            expected.extend(&bytes[expected.len()..shape.file_bytes(repaired.frames) as usize]);
            prop_assert_eq!(std::fs::read(&path).expect("read"), expected);
            let again = repair(&path).expect("repaired again");
            prop_assert_eq!(again, Repaired { changed: false, ..repaired });
        }

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), riff in any::<bool>()) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("any.wav");
            let mut all = if riff { b"RIFF....WAVEfmt \x10\0\0\0".to_vec() } else { Vec::new() };
            all.extend(bytes);
            std::fs::write(&path, all).expect("written");
            let _ = repair(&path);
        }
    }

    #[test]
    fn a_list_after_the_samples_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.wav");
        let shape = Shape { form: Form::Pcm16, channels: 1, rate_hz: 8_000 };
        let mut bytes = shape.header(2);
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(b"LIST\x04\0\0\0INFO");
        let riff = bytes.len() as u32 - 8;
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        std::fs::write(&path, &bytes).expect("written");
        let repaired = repair(&path).expect("repaired");
        assert_eq!((repaired.frames, repaired.changed), (2, false));
        assert_eq!(std::fs::read(&path).expect("read"), bytes);
    }

    #[test]
    fn what_is_no_wav_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text.wav");
        std::fs::write(&path, "hello").expect("written");
        assert!(matches!(repair(&path), Err(RepairError::NotWav { .. })));
        assert_eq!(std::fs::read(&path).expect("read"), b"hello");
        assert!(matches!(repair(&folder.path().join("none.wav")), Err(RepairError::File { .. })));
    }
}
