//! Opus in Ogg (RFC 7845), as speech.

use std::io::Write;

use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use opus_rs::{Application, OpusEncoder};

use super::{Afterwards, ExportError, Tags};
use crate::audio::resample::resample;
use crate::audio::source::{Source, SourceError};

/// Rates that the encoder takes as they are, in Hz.
const RATES_HZ: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];
/// Positions in an Ogg Opus file count samples of this rate, whatever was encoded (RFC 7845 §4).
const CLOCK_HZ: u32 = 48_000;
/// Packets a second: 20 ms each.
const PACKETS_PER_SECOND: u32 = 50;
/// What the encoder is behind, in samples of 48 kHz: what libopus has for 20 ms packets.
const PRE_SKIP: u16 = 312;
/// Speech of one side, in bits a second.
const BITS_PER_SIDE: i32 = 24_000;
/// The largest packet (RFC 6716 §3.4).
const LARGEST_PACKET: usize = 1_275;
/// The stream's number in the file, which is the only one.
const SERIAL: u32 = 1;

pub(super) fn write(source: &mut dyn Source, tags: &Tags, to: &mut dyn Write) -> Result<Afterwards, ExportError> {
    if RATES_HZ.contains(&source.rate_hz()) {
        encode(source, tags, to)?;
    } else {
        encode(&mut at_clock_rate(source)?, tags, to)?;
    }
    Ok(Afterwards::default())
}

fn encode(source: &mut dyn Source, tags: &Tags, to: &mut dyn Write) -> Result<(), ExportError> {
    let (rate_hz, sides) = (source.rate_hz(), source.channels());
    // A third side is a supervisor's; Ogg Opus has two without a table of who is where (RFC 7845 §5.1.1).
    let channels = sides.min(2);
    let failed = |why: &str| ExportError::Encoder { form: "Opus", channels, rate_hz, why: why.to_owned() };
    let mut encoder = i32::try_from(rate_hz)
        .map_err(|_| "no such rate")
        .and_then(|rate| OpusEncoder::new(rate, usize::from(channels), Application::Voip))
        .map_err(failed)?;
    encoder.bitrate_bps = BITS_PER_SIDE * i32::from(channels);
    let mut out = Stream { writer: PacketWriter::new(to), position: 0, waiting: None };
    out.heads((channels, rate_hz), tags)?;
    let frame = (rate_hz / PACKETS_PER_SECOND) as usize;
    let (mut waiting, mut block, mut frames) = (Vec::new(), Vec::new(), 0u64);
    loop {
        source.next(&mut block)?;
        let is_end = block.is_empty();
        frames += (block.len() / usize::from(sides.max(1))) as u64;
        let kept = block.chunks_exact(usize::from(sides.max(1))).flat_map(|samples| samples.iter().take(2));
        waiting.extend(kept.copied());
        if is_end {
            // Silence behind the sound, so that what the encoder is behind comes out too.
            let behind = rate_hz as usize * usize::from(PRE_SKIP) / CLOCK_HZ as usize + frame;
            waiting.resize(waiting.len() + behind * usize::from(channels), 0);
        }
        let size = frame * usize::from(channels);
        let whole = waiting.len() - waiting.len() % size;
        for samples in waiting[..whole].chunks_exact(size) {
            let mut packet = vec![0; LARGEST_PACKET];
            let length = encoder.encode_i16(samples, frame, &mut packet).map_err(failed)?;
            packet.truncate(length);
            out.packet(packet)?;
        }
        waiting.drain(..whole);
        if is_end {
            return out.end(frames * u64::from(CLOCK_HZ) / u64::from(rate_hz));
        }
    }
}

/// The file: packets in pages, each with the position of its last sample.
struct Stream<'a> {
    writer: PacketWriter<'a, &'a mut dyn Write>,
    /// After the last packet, in samples of 48 kHz.
    position: u64,
    /// Held back: the last one is marked.
    waiting: Option<Vec<u8>>,
}

impl Stream<'_> {
    /// The two packets before the sound (RFC 7845 §5), each on a page of its own.
    fn heads(&mut self, (channels, rate_hz): (u16, u32), known: &Tags) -> Result<(), ExportError> {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(if channels == 1 { 1 } else { 2 });
        head.extend(PRE_SKIP.to_le_bytes());
        head.extend(rate_hz.to_le_bytes());
        head.extend([0, 0, 0]); // no gain, mapping family 0
        let vendor = concat!("wirechief ", env!("CARGO_PKG_VERSION")).as_bytes();
        let mut tags = b"OpusTags".to_vec();
        tags.extend(u32::try_from(vendor.len()).unwrap_or(0).to_le_bytes());
        tags.extend(vendor);
        let comments = [("TITLE", &known.title), ("DATE", &known.date), ("RECORDING", &known.id)];
        let comments: Vec<_> = comments.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        tags.extend(u32::try_from(comments.len()).unwrap_or(0).to_le_bytes());
        for (name, text) in comments {
            let comment = format!("{name}={text}");
            tags.extend(u32::try_from(comment.len()).unwrap_or(0).to_le_bytes());
            tags.extend(comment.bytes());
        }
        self.write(head, PacketWriteEndInfo::EndPage, 0)?;
        self.write(tags, PacketWriteEndInfo::EndPage, 0)
    }

    fn packet(&mut self, packet: Vec<u8>) -> Result<(), ExportError> {
        if let Some(before) = self.waiting.replace(packet) {
            self.position += u64::from(CLOCK_HZ / PACKETS_PER_SECOND);
            // A page a second, so that a player can seek.
            let is_second = self.position.is_multiple_of(u64::from(CLOCK_HZ));
            let info = if is_second { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            self.write(before, info, self.position)?;
        }
        Ok(())
    }

    /// Ends after so many samples of 48 kHz: what the last packet holds beyond is not played (RFC 7845 §4.4).
    fn end(mut self, samples: u64) -> Result<(), ExportError> {
        let last = self.waiting.take().unwrap_or_default();
        self.write(last, PacketWriteEndInfo::EndStream, samples + u64::from(PRE_SKIP))
    }

    fn write(&mut self, packet: Vec<u8>, info: PacketWriteEndInfo, position: u64) -> Result<(), ExportError> {
        self.writer.write_packet(packet, SERIAL, info, position).map_err(ExportError::Write)
    }
}

/// A sound of another rate, brought to 48 kHz; it is in memory then.
pub(super) fn at_clock_rate(source: &mut dyn Source) -> Result<Whole, ExportError> {
    let sides = usize::from(source.channels().max(1));
    let mut each = vec![Vec::new(); sides.min(2)];
    let mut block = Vec::new();
    loop {
        source.next(&mut block)?;
        if block.is_empty() {
            break;
        }
        for (side, samples) in each.iter_mut().enumerate() {
            samples.extend(block.iter().skip(side).step_by(sides).copied());
        }
    }
    let mut changed = Vec::with_capacity(each.len());
    for samples in &each {
        changed.push(resample(samples, source.rate_hz(), CLOCK_HZ)?);
    }
    let frames = changed.first().map_or(0, Vec::len);
    let channels = u16::try_from(changed.len()).unwrap_or(1);
    let at = |at: usize| changed.iter().map(move |samples| samples.get(at).copied().unwrap_or(0));
    let samples = (0..frames).flat_map(at).collect();
    Ok(Whole { channels, samples: Some(samples) })
}

pub(super) struct Whole {
    channels: u16,
    samples: Option<Vec<i16>>,
}

impl Source for Whole {
    fn rate_hz(&self) -> u32 {
        CLOCK_HZ
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn frames(&self) -> Option<u64> {
        None
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        *block = self.samples.take().unwrap_or_default();
        Ok(())
    }
}
