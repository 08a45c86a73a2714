//! One recording of packets: its copies come in, go onto the raster, and from there into pages.
//! Above: `thread`, which says when. Below: `side`, `file`. Time is an argument, so tests need no clock.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::file::{Most, Pages};
use super::side::Side;
use super::{SLOT, up};
use crate::audio::codec::Foreign;
use crate::audio::ogg::{CLOCK_HZ, Framing, Packet, SILENCE};
use crate::media::{Content, Copied, CopyKey, Mark, Origin};
use crate::recorder::decode::Decoding;
use crate::recorder::disk::Disk;
use crate::recorder::handle::Wish;
use crate::recorder::line::{Laying, Line, Stretch};
use crate::recorder::marks::Marks;
use crate::recorder::order::{self, Finished, Layout, Notice, Order, Packets, RecorderError, Why};
use crate::recorder::rate::Rate;
use crate::recorder::session::channels;
use crate::recorder::trouble::Trouble;
use crate::recorder::work::{Tools, Work};

/// Of the raster and of what is encoded here.
const RATE: Rate = Rate::Hz8000;
/// So far behind the present packets are written, in cells, and by the longest of them: those that are out of order have come by then.
const LAG: i64 = RATE.cells(160);
const MOST_LAG: i64 = RATE.cells(300);
/// What cannot be written is kept for so long, in cells.
const BACKLOG: i64 = RATE.cells(5_000);
/// Silence written at once, in cells, where the disk did not take what was said: a minute.
const FILLED_AT_ONCE: i64 = 3_000 * SLOT;
/// The longest packet, in cells: 120 ms (RFC 6716 §3.4, R5).
const BLOCK: i64 = 6 * SLOT;
const SIDES: [order::Side; 2] = [order::Side::Left, order::Side::Right];

/// A recording.
#[derive(Debug)]
pub(in crate::recorder) struct Kept {
    order: Order,
    key: CopyKey,
    pages: Pages,
    /// Left, right, and what supervisors say, if it is wanted.
    sides: Vec<Side>,
    /// The decoders of each, for what is no Opus.
    decoding: Vec<Decoding>,
    start_us: u64,
    marks: Marks,
    /// Everything before this place is in a packet.
    packed: i64,
    /// Packets that are not in the file yet, each with the place after it; and where the first of them begins.
    ready: Vec<(Vec<u8>, i64)>,
    ready_from: i64,
    trouble: Trouble,
}

impl Kept {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// [`RecorderError`] when that cannot be.
    pub(in crate::recorder) fn open(
        order: Order,
        key: CopyKey,
        disk: Arc<dyn Disk>,
        now_us: u64,
    ) -> Result<Self, RecorderError> {
        if order.layout != Layout::Split || order.levels != order::Levels::default() {
            return Err(RecorderError::NotAsCame);
        }
        if order.append && order.path.exists() {
            return Err(RecorderError::NotAppended { path: order.path });
        }
        let trouble = Trouble::new(Arc::clone(&disk), &order)?;
        let sides = channels(&order);
        let cells = order.segment.map_or(i64::MAX, |time| RATE.cells(i64::try_from(time.as_millis()).unwrap_or(0)));
        let most = Most { bytes: order.roll_at_bytes, cells };
        let pages = Pages::create(disk, &order, most)?;
        Ok(Self {
            sides: (0..sides).map(|_| Side::new(Line::new(0, RATE, 0))).collect(),
            decoding: (0..sides).map(|_| Decoding::new(order::Form::Pcm16, RATE)).collect(),
            order,
            key,
            pages,
            start_us: now_us,
            marks: Marks::new(RATE),
            packed: 0,
            ready: Vec::new(),
            ready_from: 0,
            trouble,
        })
    }

    /// The place in the recording of a time.
    fn place(&self, at_us: u64) -> i64 {
        RATE.cell_at(at_us.saturating_sub(self.start_us)) - self.marks.cut()
    }

    /// Takes the copies that were made before a time, and those of that time.
    fn drain(&mut self, until_us: u64, tools: &mut Tools) {
        let copies = tools.intake.of(&self.key);
        while let Some((copied, payload)) = copies.next_until(until_us) {
            self.take(&copied, (payload, &mut tools.scratch.cells));
        }
    }

    fn take(&mut self, copied: &Copied, (payload, cells): (&[u8], &mut Vec<i16>)) {
        let at = self.place(copied.at_us);
        if matches!(copied.content, Content::Mark(Mark::Dropped(_))) {
            return self.sides.iter_mut().for_each(|side| side.line.note_dropped());
        }
        let nth = match copied.origin {
            Origin::Left => 0,
            Origin::Right => 1,
            Origin::Supervisor => 2,
        };
        // Without a track of theirs supervisors are left out.
        let Some((side, decoding)) = self.sides.get_mut(nth).zip(self.decoding.get_mut(nth)) else { return };
        match copied.content {
            Content::Foreign(Foreign::Opus) => side.take(copied, at, payload),
            Content::Sound(_) | Content::Foreign(_) => {
                let Some(before) = decoding.packet(copied, payload, cells) else {
                    return side.line.take_broken();
                };
                self.marks.silence(at, cells, 0);
                let before: Vec<i16> = cells.drain(..before).collect();
                let laid = side.line.take(copied, at, cells, Stretch::Lines);
                if let Some(laid) = laid.filter(|laid| laid.follows) {
                    side.line.amend(laid.start, &before);
                }
            }
            Content::Samples => {
                decoding.made(copied, payload, cells);
                let is_whisper = copied.origin == Origin::Supervisor;
                let laying = if is_whisper { Laying::Add(i16::saturating_add) } else { Laying::Replace };
                side.line.take_made(at, cells, laying);
            }
            Content::Digit => side.line.take_silent(copied),
            Content::Mark(Mark::Held) => side.line.leaves(Why::Held, at),
            Content::Mark(Mark::Unheld) => side.line.returns(Why::Held, at),
            Content::Mark(Mark::Undecodable) => side.line.leaves(Why::Undecodable, at),
            Content::Mark(Mark::Decodable) => side.line.returns(Why::Undecodable, at),
            Content::Mark(Mark::Dropped(_)) => {}
        }
    }

    /// Packs what ends before a place, and writes it.
    fn flush(&mut self, until: i64) {
        let until = self.marks.clip(until);
        while self.packed < until {
            let end = self.piece_end();
            if end > until {
                break;
            }
            self.pack(self.packed..end);
        }
        let packed = self.packed;
        self.sides.iter_mut().for_each(|side| side.line.forget_before(packed));
        self.save();
        self.collect();
    }

    /// The end of the shortest stretch of slots that no frame crosses. Frames of 40 and of 60 ms fit only into the whole of their block.
    fn piece_end(&self) -> i64 {
        let block = self.packed..self.packed + BLOCK;
        let has = |cells| self.sides.iter().any(|side| side.has_frame(block.clone(), cells));
        if block.start % BLOCK == 0 && has(2 * SLOT) && has(3 * SLOT) {
            return block.end;
        }
        let mut end = self.packed + SLOT;
        while let Some(over) = self.sides.iter().filter_map(|side| side.end_over(end)).max() {
            end = up(over, SLOT);
        }
        end
    }

    /// Makes one packet of what all sides say in a stretch.
    fn pack(&mut self, at: Range<i64>) {
        // A frame may lie far from where it was said.
        let masks: Vec<_> = self.marks.masks_within(0..i64::MAX).collect();
        let mut packet = Vec::new();
        let last = self.sides.len() - 1;
        for (nth, side) in self.sides.iter_mut().enumerate() {
            let framing = if nth == last { Framing::Plain } else { Framing::SelfDelimited };
            side.write(at.clone(), &masks, framing, &mut packet);
        }
        self.ready.push((packet, at.end));
        self.packed = at.end;
    }

    /// Writes the packets that are ready. What the disk has not taken for too long becomes silence.
    fn save(&mut self) {
        let space = self.trouble.has_space();
        let has_space = space.is_ok();
        let files = self.pages.count();
        let outcome = space.and_then(|()| self.fill()).and_then(|()| self.pages.write(&self.ready));
        if self.pages.count() > files {
            self.trouble.tell(Notice::Rolled(self.pages.present().to_owned()));
        }
        if let Some(error) = self.pages.take_trouble() {
            self.trouble.note(format!("no file after {}: {error}", self.pages.present().display()));
        }
        match outcome {
            Ok(()) => {
                self.ready.clear();
                self.ready_from = self.packed;
                self.trouble.is_over();
            }
            Err(error) => {
                self.trouble.add(self.pages.present(), &error);
                if has_space {
                    self.try_another_file();
                }
                self.give_up();
            }
        }
    }

    /// Gives up the packets that have waited for too long.
    fn give_up(&mut self) {
        let oldest = self.packed - BACKLOG;
        let count = self.ready.iter().take_while(|(_, end)| *end <= oldest).count();
        if let Some((_, end)) = self.ready.drain(..count).next_back() {
            self.marks.gap(&SIDES, self.ready_from..end, Why::Disk);
            self.ready_from = end;
        }
    }

    /// Writes silence in the place of what was given up.
    fn fill(&mut self) -> io::Result<()> {
        while self.pages.end() < self.ready_from {
            let end = self.ready_from.min(self.pages.end() + FILLED_AT_ONCE);
            let mut packet = Vec::new();
            for nth in 1..=self.sides.len() {
                let framing = if nth == self.sides.len() { Framing::Plain } else { Framing::SelfDelimited };
                Packet { toc: SILENCE.0, frames: vec![SILENCE.1] }.write(framing, &mut packet);
            }
            let slots = (self.pages.end() + SLOT..=end).step_by(SLOT as usize);
            let packets: Vec<_> = slots.map(|end| (packet.clone(), end)).collect();
            self.pages.write(&packets)?;
        }
        Ok(())
    }

    /// Notes what is missing for good.
    fn collect(&mut self) {
        for (name, side) in SIDES.into_iter().zip(&mut self.sides) {
            self.marks.collect(name, &mut side.line);
            for at in side.take_unfit() {
                self.marks.gap(&[name], at, Why::Unfit);
            }
        }
    }

    /// A file that cannot be written to is left after some failures; one with nothing in it is as good as any other.
    fn try_another_file(&mut self) {
        let is_time = self.trouble.wants_another_file() && self.pages.has_sound();
        if is_time && self.pages.roll().is_ok() {
            self.trouble.tell(Notice::Rolled(self.pages.present().to_owned()));
        }
    }
}

impl Work for Kept {
    fn beat(&mut self, now_us: u64, tools: &mut Tools) {
        self.drain(now_us, tools);
        self.trouble.beat();
        let longest = self.sides.iter().map(Side::longest).max().unwrap_or(0);
        self.flush(self.place(now_us) - (LAG + longest).min(MOST_LAG));
    }

    fn obey(&mut self, wish: &Wish, at_us: u64, tools: &mut Tools) {
        self.drain(at_us, tools);
        let at = self.place(at_us);
        match wish {
            // Time is cut out in whole slots: of what is said before or behind a pause rather less than more is there.
            Wish::Pause => {
                let at = (at - at % SLOT).max(self.packed);
                if self.marks.pause(at) {
                    self.sides.iter_mut().for_each(|side| side.pause(at));
                }
            }
            Wish::Resume => {
                if let Some((from, cut)) = self.marks.resume(up(at, SLOT)) {
                    self.sides.iter_mut().for_each(|side| side.resume(from, cut));
                }
            }
            Wish::Mask => self.marks.mask(at),
            Wish::Unmask => self.marks.unmask(at),
            Wish::Stop(_) => {}
        }
    }

    fn finish(mut self: Box<Self>, at_us: u64, tools: &mut Tools) -> Finished {
        self.drain(at_us, tools);
        let end = self.marks.clip(self.place(at_us)).max(self.packed);
        while self.packed < end {
            self.pack(self.packed..self.piece_end());
        }
        self.save();
        if self.pages.end() < self.packed {
            self.marks.gap(&SIDES, self.ready_from..end, Why::Disk);
        }
        self.marks.finish(self.place(at_us));
        self.sides.iter_mut().for_each(|side| side.line.finish(end));
        self.collect();
        let mut packets = Packets::default();
        for side in self.sides.iter().take(SIDES.len()) {
            packets.received += side.line.packets.received;
            packets.lost += side.line.packets.lost;
            packets.late += side.line.packets.late;
        }
        let (gaps, pauses, masks) = self.marks.into_lists();
        let files = self.pages.into_parts(end);
        Finished {
            container: self.order.container,
            form: self.order.form,
            rate_hz: CLOCK_HZ,
            channels: channels(&self.order),
            frames: files.iter().map(|part| part.frames).sum(),
            files,
            gaps,
            pauses,
            masks,
            packets,
            dropped: self.key.dropped(),
            error: self.trouble.into_error(),
        }
    }
}
