//! The supervisor's own recording: WAV, left the party that called, right the party that answered, as it came from the call.
//! Above: `spool` runs it on a thread of its own. The header is right after every second.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

use super::sound::{Heard, RATE_HZ};
use super::spool::Sink;

/// A WAV file counts its bytes in 32 bits; 37 hours at our rate.
const MOST_SAMPLES: u32 = (u32::MAX - 4_096) / 4;
/// Frames in a second.
const SECOND: u32 = 50;

/// A recording under way.
pub struct Recording {
    /// None after [`Sink::finish`].
    writer: Option<WavWriter<BufWriter<File>>>,
    until_header: u32,
}

/// What happens to a file that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, unless it is empty.
    Keep,
    /// It is written over.
    Replace,
}

impl Recording {
    /// Begins the file; from here on it is a valid WAV.
    ///
    /// # Errors
    ///
    /// What the file system says; `AlreadyExists` for a file with something in it that is to be kept.
    pub fn create(path: &Path, existing: Existing) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        if existing == Existing::Keep && file.metadata()?.len() > 0 {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        let spec = WavSpec { channels: 2, sample_rate: RATE_HZ, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut writer = WavWriter::new(BufWriter::new(file), spec).map_err(plain)?;
        writer.flush().map_err(plain)?;
        Ok(Self { writer: Some(writer), until_header: SECOND })
    }
}

impl Sink for Recording {
    fn write(&mut self, heard: &Heard) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if writer.len() > MOST_SAMPLES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        for (&a, &b) in heard.a.iter().zip(&heard.b) {
            writer.write_sample(a).map_err(plain)?;
            writer.write_sample(b).map_err(plain)?;
        }
        self.until_header -= 1;
        if self.until_header == 0 {
            self.until_header = SECOND;
            writer.flush().map_err(plain)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.writer.take().map_or(Ok(()), |writer| writer.finalize().map_err(plain))
    }
}

fn plain(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spy::sound::Volume;

    fn frame() -> Heard {
        let mut samples = [100; 480];
        samples[160..320].fill(-100);
        Heard::new(&samples, Volume::new(4))
    }

    #[test]
    fn the_file_is_valid_from_the_start_and_grows_each_second() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.wav");
        let mut recording = Recording::create(&path, Existing::Keep).expect("a file");
        let seconds = || hound::WavReader::open(&path).expect("a WAV").duration() / RATE_HZ;
        assert_eq!(seconds(), 0);
        for second in 1..=2 {
            (0..SECOND).for_each(|_| recording.write(&frame()).expect("written"));
            assert_eq!(seconds(), second, "as it would be found after a kill");
        }
        recording.finish().expect("closed");
        let samples: Vec<i16> =
            hound::WavReader::open(&path).expect("a WAV").into_samples().map(|s| s.expect("a sample")).collect();
        assert_eq!(samples.len(), 2 * 16_000);
        assert!(samples.as_chunks::<2>().0.iter().all(|&pair| pair == [100, -100]), "volume does not change it");
    }

    #[test]
    fn a_file_with_something_in_it_is_kept_unless_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.wav");
        std::fs::write(&path, "an older recording").expect("written");
        let refused = Recording::create(&path, Existing::Keep).err().expect("refused");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).expect("kept"), "an older recording");
        Recording::create(&path, Existing::Replace).expect("replaced");
        assert!(hound::WavReader::open(&path).is_ok());
        std::fs::write(&path, "").expect("written");
        Recording::create(&path, Existing::Keep).expect("an empty file is nobody's recording");
    }
}
