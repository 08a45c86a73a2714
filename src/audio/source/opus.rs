//! Ogg Opus (RFC 7845): one stream or several in each packet, as recordings that are kept as they came have one for each side.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{Source, SourceError};
use crate::audio::codec::opus::Decoder;
use crate::audio::gain;
use crate::audio::ogg::{CLOCK_HZ, Head, LARGEST_PAGE, Page, Pages, Toc, streams};

/// A longer packet has no sound; it may have pictures.
const LONGEST_PACKET: usize = 1 << 20;
/// Samples of a side in a block, at least: half a second.
const BLOCK: usize = 24_000;
/// Of samples that are missing before a page no more is made up: a minute.
const MOST_MISSING: u64 = 60 * CLOCK_HZ as u64;
/// More streams than this are no recording.
const MOST_STREAMS: u8 = 16;

struct Opus {
    pages: Pages<File>,
    serial: u32,
    /// The number of the page that is to come.
    number: u32,
    /// Some page is missing since the last position that is known.
    is_torn: bool,
    /// A packet that goes on in the next page.
    begun: Option<Vec<u8>>,
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
    let mut pages = Pages::new(file);
    let first = pages.next_whole()?.ok_or(SourceError::NoSound)?;
    let (serial, number) = (first.serial, first.number.wrapping_add(1));
    let head = first.packets().next().and_then(|(packet, _)| Head::parse(packet));
    let head = head.filter(|head| head.streams <= MOST_STREAMS).ok_or(SourceError::NoSound)?;
    let mut decoders = Vec::new();
    for nth in 0..head.streams {
        let decoder = if nth < head.coupled { Decoder::stereo(CLOCK_HZ) } else { Decoder::new(CLOCK_HZ) };
        decoders.push(decoder.map_err(|_| SourceError::NoSound)?);
    }
    let skip = u64::from(head.pre_skip);
    let frames = end.map(|end| end.saturating_sub(skip));
    Ok(Box::new(Opus {
        pages,
        serial,
        number,
        is_torn: false,
        begun: None,
        head,
        decoders,
        page: VecDeque::new(),
        silence: 0,
        position: None,
        frames,
        skip,
        given: 0,
        is_over: false,
    }))
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
        while let Some(page) = self.pages.next_whole()? {
            // One that a failed write left, and that was written again.
            let is_old = page.number.wrapping_sub(self.number) > u32::MAX / 2;
            if page.serial != self.serial || is_old {
                continue;
            }
            if page.number != self.number {
                (self.is_torn, self.begun) = (true, None);
            }
            self.number = page.number.wrapping_add(1);
            let (mut begun, mut is_rest, mut length) = (self.begun.take(), page.is_continued, 0);
            for (piece, is_whole) in page.packets() {
                let packet = match (std::mem::take(&mut is_rest), begun.take()) {
                    // Its beginning is in a page that is missing.
                    (true, None) => continue,
                    (true, Some(begun)) => [begun.as_slice(), piece].concat(),
                    (false, _) => piece.to_vec(),
                };
                if !is_whole {
                    self.begun = Some(packet).filter(|packet| packet.len() <= LONGEST_PACKET);
                } else if self.position.is_none() && packet.starts_with(b"OpusTags") {
                    // Who wrote it.
                } else if let Some(parts) = streams(&packet, self.decoders.len()) {
                    length += parts.first().map_or(0, |part| u64::from(part.ticks()));
                    self.page.push_back(packet);
                }
            }
            if !self.page.is_empty() {
                let end = page.position;
                self.note_end(end, length);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a page of so many samples that ends at a position: what is missing before it, since another is damaged, is silence, so that
    /// nothing moves. The first may begin anywhere (RFC 7845 §4.5), but begins at 0 where one before it is missing.
    fn note_end(&mut self, end: u64, length: u64) {
        if end == u64::MAX {
            self.position = self.position.map(|position| position.saturating_add(length));
            return;
        }
        let before = self.position.or_else(|| self.is_torn.then_some(0));
        let missing = before.map_or(0, |before| end.saturating_sub(before.saturating_add(length)));
        if missing <= MOST_MISSING && self.frames.is_some() {
            self.silence = missing;
        }
        (self.position, self.is_torn) = (Some(end), false);
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
    use crate::audio::ogg::write_pages;
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

    /// All samples of a file, of all sides.
    fn samples(bytes: &[u8]) -> Vec<i16> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let mut source = crate::audio::source::open(file, "").unwrap();
        let (mut samples, mut block) = (Vec::new(), Vec::new());
        while source.next(&mut block).is_ok() && !block.is_empty() {
            samples.extend(&block);
        }
        samples
    }

    /// The places of the pages of a file that has a head, tags, and four pages of a tone, of a fifth of a second each.
    fn four_pages() -> (Vec<u8>, Vec<usize>) {
        let whole = include_bytes!("../../../tests/data/sounds/high.opus");
        let (mut pages, mut packets) = (Pages::new(&whole[..]), Vec::new());
        while let Some(page) = pages.next_whole().unwrap() {
            packets.extend(page.packets().map(|(packet, _)| packet.to_vec()));
        }
        let sound: Vec<_> = packets.split_off(2).into_iter().take(40).zip(1..).collect();
        let (mut bytes, mut number, mut places) = (Vec::new(), 0, Vec::new());
        for packet in packets {
            places.push(bytes.len());
            write_pages(&[(packet, 0)], (1, &mut number), &mut bytes);
        }
        for page in sound.chunks(10) {
            places.push(bytes.len());
            let page: Vec<_> = page.iter().map(|(packet, nth)| (packet.clone(), nth * 960)).collect();
            write_pages(&page, (1, &mut number), &mut bytes);
        }
        (bytes, places)
    }

    /// How much two stretches sound alike at the same time: 1 when they are the same.
    fn likeness(a: &[i16], b: &[i16], at: std::ops::Range<usize>) -> f64 {
        let product = |a: &[i16], b: &[i16]| -> f64 {
            a[at.clone()].iter().zip(&b[at.clone()]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    }

    #[test]
    fn a_page_that_is_damaged_or_missing_is_silence_and_nothing_behind_it_moves() {
        let (whole, places) = four_pages();
        let expected = samples(&whole);
        let sides = expected.len() / (40 * 960 - 312);
        let page = |nth: usize| (nth * 9_600).saturating_sub(312) * sides..((nth + 1) * 9_600 - 312) * sides;
        for nth in 0..3 {
            let (from, until) = (places[nth + 2], places[nth + 3]);
            let (mut damaged, missing) = (whole.clone(), [&whole[..from], &whole[until..]].concat());
            damaged[from + 100] ^= 1;
            for bytes in [damaged, missing] {
                let found = samples(&bytes);
                assert_eq!(found.len(), expected.len(), "{nth}");
                assert!(found[page(nth)].iter().all(|sample| *sample == 0), "{nth}");
                // By its end a decoder has found the way back.
                let likeness = likeness(&found, &expected, page(nth + 1).end - 960..page(nth + 1).end);
                assert!(likeness > 0.95, "{nth}: {likeness}");
            }
        }
        let without_tags = [&whole[..places[1]], &whole[places[2]..]].concat();
        assert_eq!(samples(&without_tags), expected, "nothing of the sound is missing");
    }
}
