//! FLAC, block by block (RFC 9639).

use std::io::Write;

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, StreamInfo};
use flacenc::config::Encoder;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Fill, FrameBuf};
use md5::{Digest, Md5};

use super::{Afterwards, ExportError};
use crate::audio::source::Source;

/// Samples of one side in a block: half a second at 8 kHz.
const BLOCK: usize = 4_096;
/// A marker, then the head of the only metadata block: the last one, of type 0, 34 bytes long (§8.1).
const BEGIN: [u8; 8] = *b"fLaC\x80\x00\x00\x22";

pub(super) fn write(source: &mut dyn Source, to: &mut dyn Write) -> Result<Afterwards, ExportError> {
    let mut flac = Flac::new(source)?;
    to.write_all(&BEGIN).map_err(ExportError::Write)?;
    to.write_all(&flac.info_bytes()?).map_err(ExportError::Write)?;
    let (mut waiting, mut block) = (Vec::new(), Vec::new());
    let whole = BLOCK * usize::from(flac.channels);
    loop {
        source.next(&mut block)?;
        waiting.extend_from_slice(&block);
        let is_end = block.is_empty();
        while waiting.len() >= whole || (is_end && !waiting.is_empty()) {
            let rest = waiting.split_off(whole.min(waiting.len()));
            to.write_all(&flac.frame(&waiting)?).map_err(ExportError::Write)?;
            waiting = rest;
        }
        if is_end {
            break;
        }
    }
    flac.end();
    Ok(Afterwards { at: BEGIN.len() as u64, bytes: flac.info_bytes()? })
}

struct Flac {
    config: Verified<Encoder>,
    info: StreamInfo,
    buffer: FrameBuf,
    channels: u16,
    rate_hz: u32,
    frames: usize,
    samples: usize,
    sum: Md5,
}

impl Flac {
    fn new(source: &dyn Source) -> Result<Self, ExportError> {
        let (channels, rate_hz) = (source.channels(), source.rate_hz());
        let failed = |why: String| ExportError::Encoder { form: "FLAC", channels, rate_hz, why };
        let config = Encoder::default().into_verified().map_err(|(_, error)| failed(error.to_string()))?;
        let mut info =
            StreamInfo::new(rate_hz as usize, usize::from(channels), 16).map_err(|e| failed(e.to_string()))?;
        info.set_block_sizes(BLOCK, BLOCK).map_err(|error| failed(error.to_string()))?;
        info.set_frame_sizes(0, 0).map_err(|error| failed(error.to_string()))?;
        info.set_total_samples(source.frames().and_then(|frames| usize::try_from(frames).ok()).unwrap_or(0));
        let buffer = FrameBuf::with_size(usize::from(channels), BLOCK).map_err(|error| failed(error.to_string()))?;
        Ok(Self { config, info, buffer, channels, rate_hz, frames: 0, samples: 0, sum: Md5::new() })
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> ExportError {
        ExportError::Encoder { form: "FLAC", channels: self.channels, rate_hz: self.rate_hz, why: why.to_string() }
    }

    fn info_bytes(&self) -> Result<Vec<u8>, ExportError> {
        let mut sink = ByteSink::new();
        self.info.write(&mut sink).map_err(|error| self.failed(&error))?;
        Ok(sink.into_inner())
    }

    /// The next block; all but the last have the same length (§9.1.1).
    fn frame(&mut self, samples: &[i16]) -> Result<Vec<u8>, ExportError> {
        for sample in samples {
            self.sum.update(sample.to_le_bytes());
        }
        let wide: Vec<i32> = samples.iter().map(|&sample| i32::from(sample)).collect();
        self.buffer.fill_interleaved(&wide).map_err(|error| self.failed(&error))?;
        let frame = flacenc::encode_fixed_size_frame(&self.config, &self.buffer, self.frames, &self.info);
        let frame = frame.map_err(|error| self.failed(&error))?;
        self.frames += 1;
        self.samples += samples.len() / usize::from(self.channels.max(1));
        let mut sink = ByteSink::new();
        frame.write(&mut sink).map_err(|error| self.failed(&error))?;
        Ok(sink.into_inner())
    }

    /// All samples are known now: their number, and their sum (§8.2).
    fn end(&mut self) {
        self.info.set_total_samples(self.samples);
        self.info.set_md5_digest(&self.sum.clone().finalize().into());
    }
}
