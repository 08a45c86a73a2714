//! The supervisor's voice from standard input: a thread that reads as fast as the call takes it, and no faster.
//! Above: `session`. Below: `resample`. Its end is silence, not the end of the session.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use thiserror::Error;

use super::output::Format;
use super::resample::{RateError, Resampler};
use super::sound::{RATE_HZ, clamp};
use super::voice::VoiceQueue;

/// Bytes of one read: at most 20 ms at the highest rate, so that nothing waits for a large piece.
const PIECE: usize = 1_920;
/// Pieces between the thread and the session.
const PIECES: usize = 4;

/// Why standard input is no voice.
#[derive(Debug, Error)]
pub enum InputError {
    /// With `--format wav`: no header, or one of another form.
    #[error("not a WAV stream of 16-bit PCM samples, one side: {0}")]
    Header(&'static str),
    /// A rate that cannot be taken.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The session's end of the reading thread.
pub struct Input {
    pieces: Receiver<Result<Vec<i16>, InputError>>,
    queue: VoiceQueue,
}

impl Input {
    /// Starts to read samples of that form (one side); a WAV header's own rate counts.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a rate that cannot be taken, or without a thread.
    pub fn start(source: OwnedFd, format: Format, rate_hz: u32) -> Result<Self, InputError> {
        Resampler::new(rate_hz, RATE_HZ, 1)?;
        let (sender, pieces) = sync_channel(PIECES);
        thread::Builder::new().name("sound-in".into()).spawn(move || {
            if let Err(error) = read_all(PatientFile(File::from(source)), format, rate_hz, &sender) {
                let _ = sender.send(Err(error));
            }
        })?;
        Ok(Self { pieces, queue: VoiceQueue::default() })
    }

    /// The frame for this beat; `None` is silence.
    ///
    /// # Errors
    ///
    /// [`InputError`] once, when what comes is no voice; it is silence from then on.
    pub fn take(&mut self) -> Result<Option<[i16; 160]>, InputError> {
        while self.queue.room() >= PIECE {
            match self.pieces.try_recv() {
                Ok(samples) => self.queue.push(&samples?),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.queue.end();
                    break;
                }
            }
        }
        Ok(self.queue.take())
    }

    /// Drops what has come and was not said yet.
    pub fn forget(&mut self) {
        while let Ok(Ok(_)) = self.pieces.try_recv() {}
        self.queue.clear();
    }
}

fn read_all(
    mut source: impl Read,
    format: Format,
    rate_hz: u32,
    pieces: &SyncSender<Result<Vec<i16>, InputError>>,
) -> Result<(), InputError> {
    let rate_hz = match format {
        Format::S16le => rate_hz,
        Format::Wav => read_wav_header(&mut source)?,
    };
    let mut resampler = Resampler::new(rate_hz, RATE_HZ, 1)?;
    let mut bytes = [0; PIECE];
    let mut kept = 0;
    let mut made = Vec::new();
    loop {
        let room = bytes.get_mut(kept..).unwrap_or_default();
        let got = source.read(room)?;
        if got == 0 {
            return Ok(());
        }
        let (pairs, odd) = bytes.get(..kept + got).unwrap_or_default().as_chunks::<2>();
        made.clear();
        resampler.process(pairs.iter().map(|&pair| f32::from(i16::from_le_bytes(pair))), &mut made);
        // A read may end in the middle of a sample.
        let last = odd.first().copied();
        kept = usize::from(last.is_some());
        bytes[0] = last.unwrap_or_default();
        if !made.is_empty() && pieces.send(Ok(made.iter().map(|&sample| clamp(sample)).collect())).is_err() {
            return Ok(());
        }
    }
}

/// Reads up to the first sample; gives the rate. Chunks it does not know are skipped.
fn read_wav_header(source: &mut impl Read) -> Result<u32, InputError> {
    if !exactly::<12>(source)?.starts_with(b"RIFF") {
        return Err(InputError::Header("it does not begin with RIFF"));
    }
    let mut rate_hz = None;
    loop {
        let [n0, n1, n2, n3, s0, s1, s2, s3] = exactly::<8>(source)?;
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        match &[n0, n1, n2, n3] {
            b"fmt " if (16..=128).contains(&size) => {
                let [f0, f1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1] = exactly::<16>(source)?;
                if ![1, 0xFFFE].contains(&u16::from_le_bytes([f0, f1])) || u16::from_le_bytes([b0, b1]) != 16 {
                    return Err(InputError::Header("its samples are of another kind"));
                }
                if u16::from_le_bytes([c0, c1]) != 1 {
                    return Err(InputError::Header("it has more than one side"));
                }
                rate_hz = Some(u32::from_le_bytes([r0, r1, r2, r3]));
                skip(source, u64::from(size) - 16 + u64::from(size % 2))?;
            }
            b"data" => return rate_hz.ok_or(InputError::Header("no format before the samples")),
            _ => skip(source, u64::from(size) + u64::from(size % 2))?,
        }
    }
}

fn exactly<const N: usize>(source: &mut impl Read) -> Result<[u8; N], InputError> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes).map_err(|_| InputError::Header("too short"))?;
    Ok(bytes)
}

fn skip(source: &mut impl Read, bytes: u64) -> Result<(), InputError> {
    io::copy(&mut source.take(bytes), &mut io::sink())?;
    Ok(())
}

/// Reads also where another program has made the pipe non-blocking, as ssh does.
struct PatientFile(File);

impl Read for PatientFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)], None)?;
                }
                done => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spy::output::{Channels, Form, wav_header};
    use crate::spy::tone::{level, sine};
    use proptest::prelude::*;

    /// All that a source of those bytes says, read in pieces of that size.
    fn heard(bytes: &[u8], format: Format, rate_hz: u32, piece: usize) -> Result<Vec<i16>, InputError> {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let length = out.len().min(self.1);
                self.0.read(&mut out[..length])
            }
        }
        let (sender, pieces) = sync_channel(100_000);
        read_all(Pieces(bytes, piece), format, rate_hz, &sender)?;
        drop(sender);
        pieces.iter().try_fold(Vec::new(), |mut all, piece| {
            all.extend(piece?);
            Ok(all)
        })
    }

    fn bytes_of(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    #[test]
    fn a_voice_keeps_its_pitch_from_every_rate_in_pieces_of_any_size() {
        for rate_hz in [8_000, 16_000, 48_000] {
            let bytes = bytes_of(&sine(600.0, rate_hz, rate_hz as usize));
            for piece in [1, 7, 4_096] {
                let samples = heard(&bytes, Format::S16le, rate_hz, piece).expect("a voice");
                assert!(samples.len() > 7_800, "{rate_hz}: {}", samples.len());
                assert!(level(&samples, 600.0, RATE_HZ) > 9_500.0, "{rate_hz} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_wav_header_decides_the_rate_and_is_not_heard() {
        let form = Form { format: Format::Wav, rate_hz: 16_000, channels: Channels::Mix };
        let mut bytes = wav_header(form, None);
        bytes.extend(bytes_of(&[0; 16_000]));
        let samples = heard(&bytes, Format::Wav, 8_000, 4_096).expect("a voice");
        assert!((7_900..=8_000).contains(&samples.len()), "{}", samples.len());
        assert!(samples.iter().all(|&sample| sample == 0));
    }

    #[test]
    fn a_header_of_another_form_is_refused_with_the_reason() {
        let stereo = wav_header(Form { format: Format::Wav, rate_hz: 8_000, channels: Channels::Split }, None);
        let reason = |bytes: &[u8]| heard(bytes, Format::Wav, 8_000, 100).expect_err("refused").to_string();
        assert!(reason(&stereo).ends_with("it has more than one side"));
        assert!(reason(b"RI").ends_with("too short"));
        assert!(reason(&[b'x'; 100]).ends_with("it does not begin with RIFF"));
    }

    #[test]
    fn a_pipe_that_never_speaks_is_silence_and_holds_nobody_up() {
        let (read_end, write_end) = io::pipe().expect("a pipe");
        let mut input = Input::start(read_end.into(), Format::S16le, 8_000).expect("a thread");
        assert!((0..1_000).all(|_| matches!(input.take(), Ok(None))));
        drop(write_end);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_voice_or_an_error(bytes: Vec<u8>, wav: bool) {
            let format = if wav { Format::Wav } else { Format::S16le };
            let _ = heard(&bytes, format, 8_000, 50);
        }

        #[test]
        fn any_chunks_after_riff_are_a_voice_or_an_error(bytes: Vec<u8>) {
            let whole = [&b"RIFF\0\0\0\0WAVE"[..], &bytes].concat();
            let _ = heard(&whole, Format::Wav, 8_000, 50);
        }
    }
}
