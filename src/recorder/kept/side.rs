//! One side of a recording of packets: its line in time, and the frames that came, on the raster. Pure. Above: `session`.

use std::collections::BTreeMap;
use std::ops::Range;

use opus_rs::{Application, OpusEncoder};

use super::{SLOT, TICKS_PER_CELL, up};
use crate::audio::ogg::{Framing, LARGEST_FRAME, Packet, SILENCE, Toc};
use crate::media::Copied;
use crate::recorder::line::{Laid, Line, Stretch};

/// So long after its last frame a side is concealed, in cells: senders that leave silence out send a frame every 400 ms.
const CONCEALED: i64 = 4_000;
/// Bytes of a side in 20 ms, at most: twice what Opus can be asked for (RFC 7587 §7.1), so that a page holds any packet.
const MOST_BYTES: usize = 2_550;
/// Bits a second of what is encoded here.
const BITS: i32 = 24_000;

/// A side.
pub(super) struct Side {
    pub(super) line: Line,
    /// By their places on the raster.
    frames: BTreeMap<i64, Frame>,
    previous: Option<Previous>,
    /// What the newest frame in the file is, and where it ends.
    last: Option<(Toc, i64)>,
    /// Everything before this place is in the file.
    written: i64,
    /// Nothing said before this place, where a pause was cut out, is taken, nor from that one on.
    floor: i64,
    ceiling: Option<i64>,
    encoder: Option<Box<OpusEncoder>>,
    /// The longest packet that came.
    longest: i64,
    /// Where sound came that could not be kept.
    unfit: Vec<Range<i64>>,
    cells: Vec<i16>,
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").field("line", &self.line).field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}

struct Frame {
    toc: Toc,
    bytes: Vec<u8>,
    /// How long it is.
    cells: i64,
    /// When it was said: up to three quarters of it off the raster.
    said: Range<i64>,
    /// When it was said at the latest, by its arrival: time stamps can say anything.
    arrived: Range<i64>,
}

impl Frame {
    /// The stretches that may be heard in it: one that repeats what was said before has that too.
    fn reaches(&self) -> [Range<i64>; 2] {
        let before = if self.toc.repeats(&self.bytes) { self.cells } else { 0 };
        [&self.said, &self.arrived].map(|at| at.start - before..at.end)
    }

    fn is_under(&self, masks: &[Range<i64>]) -> bool {
        self.reaches().iter().any(|reach| masks.iter().any(|mask| overlap(mask, reach)))
    }
}

/// The newest packet: when it was said, where it went, how long its frames are.
#[derive(Clone, Copy)]
struct Previous {
    start: i64,
    at: i64,
    step: i64,
}

impl Side {
    pub(super) fn new(line: Line) -> Self {
        Self {
            line,
            frames: BTreeMap::new(),
            previous: None,
            last: None,
            written: 0,
            floor: i64::MIN,
            ceiling: None,
            encoder: None,
            longest: 0,
            unfit: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// Takes a packet of Opus that arrived at a place.
    pub(super) fn take(&mut self, copied: &Copied, arrived: i64, payload: &[u8]) {
        let Some(packet) = Packet::parse(payload) else {
            return self.line.take_broken();
        };
        let length = i64::from(packet.ticks()) / TICKS_PER_CELL;
        self.longest = self.longest.max(length);
        self.cells.clear();
        self.cells.resize(usize::try_from(length).unwrap_or(0), 0);
        let Some(Laid { start, .. }) = self.line.take(copied, arrived, &mut self.cells, Stretch::Bytes) else { return };
        let step = i64::from(packet.toc.frame_ticks()) / TICKS_PER_CELL;
        let at = self.place(start, step);
        if self.previous.is_none_or(|previous| previous.start <= start) {
            self.previous = Some(Previous { start, at, step });
        }
        for (nth, frame) in (0..).zip(&packet.frames) {
            let [said, arrived] = [start, arrived - length].map(|from| from + nth * step..from + (nth + 1) * step);
            let frame = Frame { toc: packet.toc, bytes: frame.to_vec(), cells: step, said, arrived };
            self.put(at + nth * step, frame);
        }
    }

    /// Where on the raster frames go that were said at a place: where they follow those before, while that is not too far away.
    fn place(&self, start: i64, step: i64) -> i64 {
        let follows = self.previous.filter(|previous| previous.step == step);
        let next = follows.map(|previous| previous.at + nearest(start - previous.start, step));
        next.filter(|at| (at - start).abs() <= step * 3 / 4).unwrap_or_else(|| nearest(start, step))
    }

    fn put(&mut self, at: i64, frame: Frame) {
        let (floor, ceiling) = (self.floor, self.ceiling.unwrap_or(i64::MAX));
        if frame.reaches().iter().any(|reach| reach.start < floor || reach.end > ceiling) {
            return;
        }
        let place = match self.in_the_way(at, frame.cells) {
            None => at,
            // It came twice.
            Some((other, there)) if other == at && there.bytes == frame.bytes => return,
            Some((other, there)) => {
                let next = up(other + there.cells, frame.cells);
                let is_near = (next - frame.said.start).abs() <= frame.cells * 3 / 4;
                if !is_near || self.in_the_way(next, frame.cells).is_some() {
                    return self.unfit.push(frame.said);
                }
                next
            }
        };
        if place < self.written {
            return self.unfit.push(frame.said);
        }
        self.frames.insert(place, frame);
    }

    /// A frame that lies where one of so many cells is to lie.
    fn in_the_way(&self, at: i64, cells: i64) -> Option<(i64, &Frame)> {
        let (place, frame) = self.frames.range(..at + cells).next_back()?;
        (place + frame.cells > at).then_some((*place, frame))
    }

    /// Takes nothing that was said from a place on.
    pub(super) fn pause(&mut self, at: i64) {
        self.ceiling = Some(at);
        self.line.pause(at);
        self.frames.retain(|_, frame| frame.said.end.max(frame.arrived.end) <= at);
    }

    /// Takes up again at that place; so many cells were cut out.
    pub(super) fn resume(&mut self, at: i64, cut: i64) {
        (self.floor, self.ceiling) = (at, None);
        self.line.resume(at, cut);
        self.previous = None;
    }

    /// How long the longest packet is that came, in cells.
    pub(super) fn longest(&self) -> i64 {
        self.longest
    }

    /// Whether a frame of so many cells begins in a stretch.
    pub(super) fn has_frame(&self, within: Range<i64>, cells: i64) -> bool {
        self.frames.range(within).any(|(_, frame)| frame.cells == cells)
    }

    /// The place after the frame that lies over `end`, if one does.
    pub(super) fn end_over(&self, end: i64) -> Option<i64> {
        let (place, frame) = self.frames.range(..end).next_back()?;
        Some(place + frame.cells).filter(|after| *after > end)
    }

    /// Appends this side's packet for a stretch of whole slots, which no frame crosses; `masks` are to be silent.
    pub(super) fn write(&mut self, at: Range<i64>, masks: &[Range<i64>], framing: Framing, out: &mut Vec<u8>) {
        let later = self.frames.split_off(&at.end);
        let mut here = std::mem::replace(&mut self.frames, later);
        here.retain(|_, frame| !frame.is_under(masks));
        if here.is_empty() {
            here = self.encoded(at.clone(), masks);
        } else {
            self.tell_unfit(at.clone(), masks);
        }
        self.written = at.end;
        let is_masked = masks.iter().any(|mask| overlap(mask, &at));
        let toc = self.choose(&at, &mut here);
        let Some(toc) = toc else {
            let concealed = self.last.filter(|(_, end)| !is_masked && at.start - end < CONCEALED);
            let (toc, frame) = concealed.map_or(SILENCE, |(toc, _)| (toc.of_20_ms(), &[]));
            let frames = vec![frame; usize::try_from((at.end - at.start) / SLOT).unwrap_or(1)];
            return Packet { toc, frames }.write(framing, out);
        };
        let step = i64::from(toc.frame_ticks()) / TICKS_PER_CELL;
        let places = (0..(at.end - at.start) / step).map(|nth| at.start + nth * step);
        let frames = places.map(|place| here.get(&place).map_or(&[][..], |frame| &frame.bytes)).collect();
        Packet { toc, frames }.write(framing, out);
        if let Some((place, frame)) = here.last_key_value() {
            self.last = Some((toc, place + frame.cells));
        }
    }

    /// What all frames of a stretch are to be: what most of it is; the others cannot be in the same packet.
    fn choose(&mut self, at: &Range<i64>, here: &mut BTreeMap<i64, Frame>) -> Option<Toc> {
        let length = at.end - at.start;
        let mut kinds: Vec<(Toc, i64)> = Vec::new();
        for frame in here.values().filter(|frame| length % frame.cells == 0) {
            match kinds.iter_mut().find(|(toc, _)| *toc == frame.toc) {
                Some((_, cells)) => *cells += frame.cells,
                None => kinds.push((frame.toc, frame.cells)),
            }
        }
        let chosen = kinds.iter().max_by_key(|(_, cells)| *cells).map(|(toc, _)| *toc);
        let mut bytes = 0;
        let most = MOST_BYTES * usize::try_from(length / SLOT).unwrap_or(1).max(1);
        here.retain(|_, frame| {
            bytes += frame.bytes.len();
            let is_kept = Some(frame.toc) == chosen && bytes <= most && frame.bytes.len() <= LARGEST_FRAME;
            if !is_kept {
                self.unfit.push(frame.said.clone());
            }
            is_kept
        });
        chosen.filter(|_| !here.is_empty())
    }

    /// Notes what did not come as Opus, beside frames that did: there is one packet for both.
    fn tell_unfit(&mut self, at: Range<i64>, masks: &[Range<i64>]) {
        let mut spare = Vec::new();
        let samples = self.line.read(&at, &mut spare);
        let is_lost = |(place, sample): &(i64, &i16)| **sample != 0 && !masks.iter().any(|mask| mask.contains(place));
        let mut lost = (at.start..).zip(samples).filter(is_lost).map(|(place, _)| place);
        if let Some(first) = lost.next() {
            self.unfit.push(first..lost.last().unwrap_or(first) + 1);
        }
    }

    /// The frames of what did not come as Opus.
    fn encoded(&mut self, at: Range<i64>, masks: &[Range<i64>]) -> BTreeMap<i64, Frame> {
        let mut samples = self.line.read(&at, &mut Vec::new()).to_vec();
        for mask in masks {
            let [from, until] =
                [mask.start, mask.end].map(|place| (place - at.start).clamp(0, at.end - at.start) as usize);
            samples[from..until.max(from)].fill(0);
        }
        let mut frames = BTreeMap::new();
        if samples.iter().all(|sample| *sample == 0) {
            return frames;
        }
        for (slot, samples) in (0..).zip(samples.chunks_exact(SLOT as usize)) {
            let place = at.start + slot * SLOT;
            let said = place..place + SLOT;
            match self.encode(samples) {
                Some((toc, bytes)) => {
                    frames.insert(place, Frame { toc, bytes, cells: SLOT, arrived: said.clone(), said });
                }
                None => self.unfit.push(said),
            }
        }
        frames
    }

    /// One frame of 20 ms.
    fn encode(&mut self, samples: &[i16]) -> Option<(Toc, Vec<u8>)> {
        if self.encoder.is_none() {
            let mut encoder = OpusEncoder::new(8_000, 1, Application::Voip).ok()?;
            encoder.bitrate_bps = BITS;
            self.encoder = Some(Box::new(encoder));
        }
        let mut bytes = vec![0; LARGEST_FRAME + 1];
        let length = self.encoder.as_mut()?.encode_i16(samples, samples.len(), &mut bytes).ok()?;
        let packet = Packet::parse(bytes.get(..length)?)?;
        let [frame] = packet.frames[..] else { return None };
        (packet.ticks() == 960).then(|| (packet.toc, frame.to_vec()))
    }

    /// Where sound came that could not be kept, since the last time.
    pub(super) fn take_unfit(&mut self) -> impl Iterator<Item = Range<i64>> + '_ {
        self.unfit.drain(..)
    }
}

/// The multiple of `step` next to a place.
fn nearest(place: i64, step: i64) -> i64 {
    (place + step / 2).div_euclid(step) * step
}

fn overlap(a: &Range<i64>, b: &Range<i64>) -> bool {
    a.start < b.end && b.start < a.end
}
