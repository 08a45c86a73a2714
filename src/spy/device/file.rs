//! The device `file:IN.wav[,OUT.wav]`: the voice is read from a file at the call's pace, what is heard is written to another.
//! Serves scripts and tests; the voice starts with the first speaking mode and ends in silence.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Device, DeviceError};
use crate::audio::file::decode;
use crate::audio::resample::to_8khz;
use crate::control::supervision::{FRAME_SAMPLES, VoiceFrame};
use crate::spy::output::{Channels, Form, Format, Output};
use crate::spy::sound::{Heard, RATE_HZ};
use crate::spy::spool::{SinkFailure, Spool};

/// How long a file may take for a frame at the end.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Files {
    voice: Vec<i16>,
    said: usize,
    heard: Option<Spool>,
}

impl Files {
    pub(super) fn open(
        voice: Option<&Path>,
        heard: Option<&Path>,
        failures: mpsc::UnboundedSender<SinkFailure>,
    ) -> Result<Self, DeviceError> {
        let voice = voice.map_or(Ok(Vec::new()), read_voice)?;
        let heard = heard.map(|path| open_heard(path, failures)).transpose()?;
        Ok(Self { voice, said: 0, heard })
    }
}

impl Device for Files {
    fn play(&mut self, heard: &Heard) {
        if let Some(spool) = &mut self.heard {
            spool.push(*heard);
        }
    }

    fn voice(&mut self) -> Option<VoiceFrame> {
        let rest = self.voice.get(self.said..).filter(|rest| !rest.is_empty())?;
        let mut frame = [0; FRAME_SAMPLES];
        for (to, from) in frame.iter_mut().zip(rest) {
            *to = *from;
        }
        self.said += FRAME_SAMPLES;
        Some(frame)
    }

    fn finish(self: Box<Self>) {
        if let Some(spool) = self.heard {
            spool.finish(PATIENCE);
        }
    }
}

fn read_voice(path: &Path) -> Result<Vec<i16>, DeviceError> {
    let bytes = std::fs::read(path).map_err(|source| DeviceError::File { path: path.to_owned(), source })?;
    let sound = decode(&bytes).map_err(|source| DeviceError::Sound { path: path.to_owned(), source })?;
    to_8khz(&sound.samples, sound.rate_hz).map_err(|source| DeviceError::Rate { path: path.to_owned(), source })
}

fn open_heard(path: &Path, failures: mpsc::UnboundedSender<SinkFailure>) -> Result<Spool, DeviceError> {
    let refused = |source| DeviceError::File { path: path.to_owned(), source };
    let form = Form { format: Format::Wav, rate_hz: RATE_HZ, channels: Channels::Mix };
    let file = File::create(path).map_err(refused)?;
    let output = Output::new(file.into(), form).map_err(|error| refused(io::Error::other(error)))?;
    Spool::start(path.display().to_string(), output, failures).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spy::sound::Volume;
    use crate::spy::tone::{level, sine};

    #[test]
    fn the_voice_is_the_file_and_then_silence_and_what_is_heard_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (voice, heard) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 44_100,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&voice, spec).expect("a file");
        sine(900.0, 44_100, 44_100).into_iter().for_each(|sample| writer.write_sample(sample).expect("written"));
        writer.finalize().expect("closed");

        let (failures, _) = mpsc::unbounded_channel();
        let mut device = Files::open(Some(&voice), Some(&heard), failures).expect("a device");
        let said: Vec<i16> = std::iter::from_fn(|| device.voice()).flatten().collect();
        assert_eq!(said.len(), 8_000);
        assert!(level(&said, 900.0, 8_000) > 9_500.0);
        assert_eq!(device.voice(), None);

        let mut samples = [1_000; 480];
        samples[160..320].fill(200);
        samples[320..].fill(34);
        device.play(&Heard::new(&samples, Volume::default()));
        Box::new(device).finish();
        let written: Vec<i16> =
            hound::WavReader::open(&heard).expect("a WAV").into_samples().map(|s| s.expect("a sample")).collect();
        assert_eq!(written, [1_234; 160]);
    }

    #[test]
    fn a_voice_that_cannot_be_read_says_which_file() {
        let (failures, _) = mpsc::unbounded_channel();
        let missing = Files::open(Some(Path::new("no-such.wav")), None, failures).err().expect("refused");
        assert!(missing.to_string().starts_with("no-such.wav: "), "{missing}");
    }
}
