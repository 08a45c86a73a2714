//! Ogg Opus (RFC 7845): one stream or several in each packet, as recordings that are kept as they came have one for each side.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use ogg::{OggReadError, PacketReader};

use super::{Source, SourceError};
use crate::audio::codec::opus::Decoder;
use crate::audio::gain;
use crate::audio::ogg::{CLOCK_HZ, Head, LARGEST_PAGE, Page, Toc, streams};

/// Damaged packets in a row after which the file is over.
const BAD_PACKETS: usize = 1_000;
/// Samples of a side in a block, at least: half a second.
const BLOCK: usize = 24_000;
/// Of samples that are missing before a page no more is made up: a minute.
const MOST_MISSING: u64 = 60 * CLOCK_HZ as u64;
/// More streams than this are no recording.
const MOST_STREAMS: u8 = 16;

struct Opus {
    packets: PacketReader<BufReader<File>>,
    head: Head,
    decoders: Vec<Decoder>,
    /// Packets of the present page, and samples of silence before them, in the place of a page that is damaged.
    page: VecDeque<Vec<u8>>,
    silence: u64,
    /// The position after the last page that was read.
    position: Option<u64>,
    frames: Option<u64>,
    /// Samples of each side that are still to be skipped, and that were given out.
    skip: u64,
    given: u64,
    is_over: bool,
}

/// Whether a file that begins so is Ogg Opus: the first page has nothing but its head, which begins at a fixed place (RFC 7845 §3).
pub(super) fn is_opus(start: &[u8]) -> bool {
    start.starts_with(b"OggS") && start.get(28..36) == Some(b"OpusHead")
}

pub(super) fn open(mut file: File) -> Result<Box<dyn Source>, SourceError> {
    let end = end_of(&mut file)?;
    file.rewind()?;
    let mut packets = PacketReader::new(BufReader::new(file));
    let first = packets.read_packet().map_err(unreadable)?.ok_or(SourceError::NoSound)?;
    let head = Head::parse(&first.data).filter(|head| head.streams <= MOST_STREAMS).ok_or(SourceError::NoSound)?;
    // Who wrote it.
    packets.read_packet().map_err(unreadable)?;
    let mut decoders = Vec::new();
    for nth in 0..head.streams {
        let decoder = if nth < head.coupled { Decoder::stereo(CLOCK_HZ) } else { Decoder::new(CLOCK_HZ) };
        decoders.push(decoder.map_err(|_| SourceError::NoSound)?);
    }
    let skip = u64::from(head.pre_skip);
    let frames = end.map(|end| end.saturating_sub(skip));
    let (page, silence, position, given, is_over) = (VecDeque::new(), 0, None, 0, false);
    Ok(Box::new(Opus { packets, head, decoders, page, silence, position, frames, skip, given, is_over }))
}

/// The position of the last whole page.
fn end_of(file: &mut File) -> Result<Option<u64>, SourceError> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2 * LARGEST_PAGE as u64)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let mut places: Vec<_> = memchr::memmem::find_iter(&tail, b"OggS").collect();
    places.reverse();
    let pages = places.into_iter().filter_map(|at| Page::parse(tail.get(at..)?).ok());
    Ok(pages.map(|(page, _)| page.position).find(|position| *position != u64::MAX))
}

fn unreadable(error: OggReadError) -> SourceError {
    match error {
        OggReadError::ReadError(error) => SourceError::Io(error),
        _ => SourceError::NoSound,
    }
}

impl Opus {
    /// Samples of all sides of the next packet, each side whole; `None` at the end.
    fn packet(&mut self) -> Result<Option<Vec<Vec<i16>>>, SourceError> {
        loop {
            if self.silence > 0 {
                let length = self.silence.min(BLOCK as u64);
                self.silence -= length;
                let sides = self.decoders.len() + usize::from(self.head.coupled);
                return Ok(Some(vec![vec![0; usize::try_from(length).unwrap_or(0)]; sides]));
            }
            if let Some(packet) = self.page.pop_front() {
                return Ok(Some(self.decode(&packet)));
            }
            if !self.read_page()? {
                return Ok(None);
            }
        }
    }

    /// Reads the packets of the next page that has some; `false` at the end.
    fn read_page(&mut self) -> Result<bool, SourceError> {
        let mut length = 0;
        for _ in 0..BAD_PACKETS {
            let packet = match self.packets.read_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(!self.page.is_empty()),
                // A file that was cut short.
                Err(OggReadError::ReadError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Ok(!self.page.is_empty());
                }
                Err(OggReadError::ReadError(error)) => return Err(error.into()),
                Err(_) => continue,
            };
            let (is_last, end) = (packet.last_in_page(), packet.absgp_page());
            if let Some(parts) = streams(&packet.data, self.decoders.len()) {
                length += parts.first().map_or(0, |part| u64::from(part.ticks()));
                self.page.push_back(packet.data);
            }
            if is_last && !self.page.is_empty() {
                self.note_end(end, length);
                return Ok(true);
            }
        }
        Ok(!self.page.is_empty())
    }

    /// Takes a page of so many samples that ends at a position: what is missing before it, since another is damaged, is silence, so that
    /// nothing moves. The first may begin anywhere (RFC 7845 §4.5).
    fn note_end(&mut self, end: u64, length: u64) {
        if end == u64::MAX {
            self.position = self.position.map(|position| position.saturating_add(length));
            return;
        }
        let missing = self.position.map_or(0, |position| end.saturating_sub(position.saturating_add(length)));
        if missing <= MOST_MISSING && self.frames.is_some() {
            self.silence = missing;
        }
        self.position = Some(end);
    }

    fn decode(&mut self, packet: &[u8]) -> Vec<Vec<i16>> {
        let mut sides = Vec::new();
        let parts = streams(packet, self.decoders.len()).unwrap_or_default();
        for (nth, (decoder, part)) in self.decoders.iter_mut().zip(&parts).enumerate() {
            let channels = if nth < usize::from(self.head.coupled) { 2 } else { 1 };
            let mut samples = Vec::new();
            for frame in &part.frames {
                decode(decoder, (part.toc, frame), channels, &mut samples);
            }
            for channel in 0..channels {
                sides.push(samples.iter().skip(channel).step_by(channels).copied().collect());
            }
        }
        sides
    }

    /// Which decoded side each channel is; of three the second is in the middle (RFC 7845 §5.1.1.2), and goes last.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<_> = self.head.mapping.iter().map(|at| usize::from(*at)).collect();
        if let [_, middle, right] = &mut order[..] {
            std::mem::swap(middle, right);
        }
        order
    }
}

/// One frame, which a decoder makes up where it is empty. One that cannot be decoded is as long, and silent.
fn decode(decoder: &mut Decoder, (toc, frame): (Toc, &[u8]), channels: usize, samples: &mut Vec<i16>) {
    let end = samples.len() + toc.frame_ticks() as usize * channels; // 2,880 at most
    // What a decoder says of it is no news to who listens.
    let _ = decoder.decode(&toc.packet(frame), samples);
    samples.resize(end, 0);
}

impl Source for Opus {
    fn rate_hz(&self) -> u32 {
        CLOCK_HZ
    }

    fn channels(&self) -> u16 {
        self.head.channels.into()
    }

    fn frames(&self) -> Option<u64> {
        self.frames
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        block.clear();
        let order = self.order();
        let loudness = 10f32.powf(f32::from(self.head.gain) / (20.0 * 256.0));
        while !self.is_over && block.len() < BLOCK * order.len() {
            let Some(sides) = self.packet()? else {
                self.is_over = true;
                break;
            };
            let length = sides.first().map_or(0, Vec::len) as u64;
            let skipped = self.skip.min(length);
            self.skip -= skipped;
            // What is behind the end is not played (RFC 7845 §4.4).
            let left = self.frames.map_or(u64::MAX, |frames| frames.saturating_sub(self.given));
            let until = length.min(skipped.saturating_add(left));
            self.given += until - skipped;
            for at in skipped..until {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                block.extend(order.iter().map(|side| {
                    let sample = sides.get(*side).and_then(|side| side.get(at)).copied().unwrap_or(0);
                    if self.head.gain == 0 { sample } else { gain::clamp(f32::from(sample) * loudness) }
                }));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone;
    use std::io::Write;

    #[test]
    fn another_programs_file_is_read_to_its_end_and_no_further() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(include_bytes!("../../../tests/data/sounds/high.opus")).unwrap();
        file.rewind().unwrap();
        let mut source = crate::audio::source::open(file, "").unwrap();
        let (mut samples, mut block) = (Vec::new(), Vec::new());
        while source.next(&mut block).is_ok() && !block.is_empty() {
            samples.extend(&block);
        }
        let sides = usize::from(source.channels());
        assert_eq!((source.rate_hz(), source.frames()), (48_000, Some((samples.len() / sides) as u64)));
        let first: Vec<i16> = samples.iter().step_by(sides).copied().collect();
        let inner = &first[first.len() / 4..first.len() / 4 * 3];
        // An oscillator counts in samples of 8 kHz.
        let [own, other] = [440.0, 900.0].map(|hz| tone::level_db(inner, hz / 6.0));
        assert!(own > other + 20.0, "{own} {other}");
    }

    #[test]
    fn what_is_cut_or_changed_is_read_as_far_as_it_goes() {
        let whole = include_bytes!("../../../tests/data/sounds/high.opus");
        for at in (0..whole.len()).step_by(97) {
            let mut changed = whole.to_vec();
            changed[at] ^= 0x55;
            for bytes in [&whole[..at], &changed] {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(bytes).unwrap();
                file.rewind().unwrap();
                let Ok(mut source) = crate::audio::source::open(file, "") else { continue };
                let (mut block, mut count) = (Vec::new(), 0);
                while source.next(&mut block).is_ok() && !block.is_empty() {
                    count += block.len();
                }
                assert!(count < 48_000 * 60, "{at}");
            }
        }
    }
}
