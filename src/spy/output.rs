//! What is heard, on standard output: raw samples or a WAV stream, at the wanted rate, mixed or side by side.
//! Above: `spool` runs it on a thread of its own. Below: `resample`.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, SeekFrom};

use super::resample::{RateError, Resampler};
use super::sound::{Heard, RATE_HZ, clamp};
use super::spool::Sink;

/// How samples are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Raw samples, 16 bit, little-endian.
    #[default]
    S16le,
    /// The same with a WAV header in front.
    Wav,
}

/// How the two sides are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Channels {
    /// Both in one.
    #[default]
    Mix,
    /// Left the party that called, right the party that answered.
    Split,
}

impl Channels {
    /// How many samples make a moment.
    pub fn count(self) -> u16 {
        match self {
            Self::Mix => 1,
            Self::Split => 2,
        }
    }
}

/// The form of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Raw or WAV.
    pub format: Format,
    /// Samples a second and side.
    pub rate_hz: u32,
    /// One or two sides.
    pub channels: Channels,
}

/// Turns frames into samples of a form; the clamp is the last thing done to them.
pub struct Encoder {
    channels: Channels,
    resampler: Resampler,
    made: Vec<f32>,
}

impl Encoder {
    /// An encoder for that form.
    ///
    /// # Errors
    ///
    /// [`RateError`] for a rate that cannot be made.
    pub fn new(form: Form) -> Result<Self, RateError> {
        let resampler = Resampler::new(RATE_HZ, form.rate_hz, usize::from(form.channels.count()))?;
        Ok(Self { channels: form.channels, resampler, made: Vec::new() })
    }

    /// Appends the frame's samples to `out`, interleaved, little-endian.
    pub fn encode(&mut self, heard: &Heard, out: &mut Vec<u8>) {
        self.made.clear();
        match self.channels {
            Channels::Mix => self.resampler.process(heard.mixed(), &mut self.made),
            Channels::Split => {
                let interleaved = heard.sides().flat_map(|(a, b)| [a, b]);
                self.resampler.process(interleaved, &mut self.made);
            }
        }
        out.extend(self.made.iter().flat_map(|&sample| clamp(sample).to_le_bytes()));
    }
}

/// The size a WAV stream announces while its end is unknown: as long as 32 bits allow, in whole samples.
const UNKNOWN_SIZE: u32 = 0xFFFF_F000;
/// Bytes of our WAV header before the samples.
const HEADER_SIZE: u32 = 44;

/// A WAV header for so many bytes of samples; `None`: a stream whose end is not known yet.
pub fn wav_header(form: Form, data_bytes: Option<u32>) -> Vec<u8> {
    let data_bytes = data_bytes.unwrap_or(UNKNOWN_SIZE).min(UNKNOWN_SIZE);
    let frame_bytes = form.channels.count() * 2;
    let mut header = Vec::with_capacity(HEADER_SIZE as usize);
    header.extend(b"RIFF");
    header.extend((data_bytes + HEADER_SIZE - 8).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16u32.to_le_bytes());
    header.extend(1u16.to_le_bytes()); // PCM
    header.extend(form.channels.count().to_le_bytes());
    header.extend(form.rate_hz.to_le_bytes());
    header.extend((form.rate_hz * u32::from(frame_bytes)).to_le_bytes());
    header.extend(frame_bytes.to_le_bytes());
    header.extend(16u16.to_le_bytes()); // bits
    header.extend(b"data");
    header.extend(data_bytes.to_le_bytes());
    header
}

/// Standard output as a sink.
pub struct Output {
    out: File,
    form: Form,
    encoder: Encoder,
    bytes: Vec<u8>,
    /// Bytes of samples so far.
    data_bytes: u64,
    /// Where our header is, when the output is a file whose beginning can be written again.
    header_at: Option<u64>,
    until_header: u32,
}

impl Output {
    /// Writes to that descriptor; the WAV header goes out with the first frame.
    ///
    /// # Errors
    ///
    /// [`RateError`] for a rate that cannot be made.
    pub fn new(out: OwnedFd, form: Form) -> Result<Self, RateError> {
        let encoder = Encoder::new(form)?;
        let header_at = place_of_header(&out).filter(|_| form.format == Format::Wav);
        let bytes = if form.format == Format::Wav { wav_header(form, None) } else { Vec::new() };
        Ok(Self { out: File::from(out), form, encoder, bytes, data_bytes: 0, header_at, until_header: 50 })
    }

    /// In a file the header can tell the truth, each second and at the end; a pipe keeps the unknown size.
    fn correct_header(&self) -> io::Result<()> {
        let Some(at) = self.header_at else { return Ok(()) };
        let data_bytes = u32::try_from(self.data_bytes).ok();
        let header = wav_header(self.form, data_bytes);
        rustix::io::retry_on_intr(|| rustix::io::pwrite(&self.out, &header, at))?;
        Ok(())
    }
}

impl Sink for Output {
    fn write(&mut self, heard: &Heard) -> io::Result<()> {
        let before = self.bytes.len();
        self.encoder.encode(heard, &mut self.bytes);
        self.data_bytes += (self.bytes.len() - before) as u64;
        write_all(&mut self.out, &self.bytes)?;
        self.bytes.clear();
        self.until_header -= 1;
        if self.until_header == 0 {
            self.until_header = 50;
            self.correct_header()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        write_all(&mut self.out, &self.bytes)?;
        self.correct_header()
    }
}

/// The present offset, when the descriptor is a file that is not only appended to.
fn place_of_header(out: &OwnedFd) -> Option<u64> {
    let appends = rustix::fs::fcntl_getfl(out).is_ok_and(|flags| flags.contains(OFlags::APPEND));
    if appends { None } else { rustix::fs::seek(out, SeekFrom::Current(0)).ok() }
}

/// As `write_all`, also where another program has made the pipe non-blocking, as ssh does.
fn write_all(out: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::from_borrowed_fd(out.as_fd(), PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spy::sound::Volume;
    use crate::spy::tone::{level, sine};
    use std::io::Read;
    use std::time::{Duration, Instant};

    fn two_tones() -> Vec<Heard> {
        let (a, b) = (sine(440.0, RATE_HZ, 8_000), sine(1_200.0, RATE_HZ, 8_000));
        a.chunks(160).zip(b.chunks(160)).map(|(a, b)| frame(a, b)).collect()
    }

    fn frame(a: &[i16], b: &[i16]) -> Heard {
        let mut samples = [0; 480];
        samples[..160].copy_from_slice(a);
        samples[160..320].copy_from_slice(b);
        Heard::new(&samples, Volume::default())
    }

    fn side(bytes: &[u8], channels: usize, at: usize) -> Vec<i16> {
        let samples = bytes.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair));
        samples.skip(at).step_by(channels).collect()
    }

    #[test]
    fn each_side_has_its_tone_and_the_mix_has_both_at_every_rate() {
        for rate_hz in [8_000, 16_000, 48_000] {
            let encode = |channels| {
                let mut encoder = Encoder::new(Form { format: Format::S16le, rate_hz, channels }).expect("a rate");
                let mut bytes = Vec::new();
                two_tones().iter().for_each(|heard| encoder.encode(heard, &mut bytes));
                bytes
            };
            let has = |samples: &[i16], hz| level(samples, hz, rate_hz) > 9_000.0;
            let lacks = |samples: &[i16], hz| level(samples, hz, rate_hz) < 150.0;
            let split = encode(Channels::Split);
            let (left, right) = (side(&split, 2, 0), side(&split, 2, 1));
            assert!(has(&left, 440.0) && lacks(&left, 1_200.0), "{rate_hz}");
            assert!(has(&right, 1_200.0) && lacks(&right, 440.0), "{rate_hz}");
            let mix = side(&encode(Channels::Mix), 1, 0);
            assert!(has(&mix, 440.0) && has(&mix, 1_200.0), "{rate_hz}");
            assert!(left.len().abs_diff(rate_hz as usize) <= rate_hz as usize / 50, "{rate_hz}: {}", left.len());
        }
    }

    #[test]
    fn at_the_line_rate_not_a_sample_is_changed() {
        let form = Form { format: Format::S16le, rate_hz: 8_000, channels: Channels::Split };
        let mut bytes = Vec::new();
        Encoder::new(form).expect("a rate").encode(&frame(&[7; 160], &[-9; 160]), &mut bytes);
        assert_eq!((side(&bytes, 2, 0), side(&bytes, 2, 1)), (vec![7; 160], vec![-9; 160]));
    }

    const FORM: Form = Form { format: Format::Wav, rate_hz: 16_000, channels: Channels::Split };

    #[test]
    fn a_wav_stream_is_readable_before_its_length_is_known() {
        let reader = hound::WavReader::new(io::Cursor::new(wav_header(FORM, None))).expect("a header");
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 16_000, 16));
        assert!(reader.duration() > 16_000 * 60 * 60 * 12, "more than half a day");
    }

    #[test]
    fn a_wav_in_a_file_has_its_true_length_each_second_and_at_the_end() {
        let mut file = tempfile::tempfile().expect("a file");
        let mut output = Output::new(file.try_clone().expect("a file").into(), FORM).expect("a rate");
        let mut read = || {
            let mut bytes = Vec::new();
            rustix::fs::seek(&file, SeekFrom::Start(0)).expect("seekable");
            file.read_to_end(&mut bytes).expect("readable");
            hound::WavReader::new(io::Cursor::new(bytes)).expect("a WAV").into_samples::<i16>().count()
        };
        let tones = two_tones();
        for heard in &tones {
            output.write(heard).expect("written");
        }
        let after_a_second = read();
        assert!((31_000..=32_000).contains(&after_a_second), "{after_a_second}");
        output.write(&tones[0]).expect("written");
        output.finish().expect("written");
        assert_eq!(read(), after_a_second + 640);
    }

    #[test]
    fn a_reader_that_left_is_a_broken_pipe() {
        let (read_end, write_end) = io::pipe().expect("a pipe");
        drop(read_end);
        let mut output = Output::new(write_end.into(), FORM).expect("a rate");
        let (heard, began) = (two_tones()[0], Instant::now());
        // A program that another test starts at this moment has the pipe open, until it runs.
        let error = loop {
            match output.write(&heard) {
                Err(error) => break error,
                Ok(()) => assert!(began.elapsed() < Duration::from_secs(60), "somebody reads the pipe for a minute"),
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
