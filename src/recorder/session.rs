//! One recording: its copies come in, go onto the tracks, and from there into the file, never more than a moment behind.
//! Above: `thread`, which says when. Below: `line` (tracks), `cells` (bytes), `file`. Time is an argument, so tests need no clock.

use std::ops::Range;
use std::sync::Arc;

use super::decode::Decoding;
use super::disk::Disk;
use super::file::{Parts, rate_of};
use super::handle::Wish;
use super::line::{Laying, Line};
use super::marks::Marks;
use super::order::{Finished, Form, Layout, Notice, Order, Packets, RecorderError, Side, Whispers, Why};
use super::rate::Rate;
use super::trouble::Trouble;
use super::wav::Shape;
use super::work::{Scratch, Tools};
use crate::media::{Content, Copied, CopyKey, Mark, Origin};

/// So far behind the present samples are written, in ms: most packets that are out of order have come by then.
const LAG: i64 = 100;
/// So long, in ms, a packet can come too late and still be put in its place, in the file too.
const PATIENCE: i64 = 1_000;
/// What cannot be written is kept for so long, in ms.
const BACKLOG: i64 = 5_000;

/// A recording.
#[derive(Debug)]
pub(super) struct Session {
    order: Order,
    rate: Rate,
    key: CopyKey,
    parts: Parts,
    lines: [Line; 2],
    /// What supervisors say, if it is wanted.
    whispers: Option<Line>,
    /// The decoders of the left, the right and the supervisors' track.
    decoding: [Decoding; 3],
    /// When it began, in µs, and the place in the file that this is.
    start_us: u64,
    first: i64,
    marks: Marks,
    /// Everything before this place is in the file.
    written: i64,
    /// From this place on a write failed that was to change what is there.
    unsaved: Option<i64>,
    trouble: Trouble,
}

impl Session {
    /// Makes or opens the file.
    ///
    /// # Errors
    ///
    /// [`RecorderError`] when that cannot be.
    pub(super) fn open(order: Order, key: CopyKey, disk: Arc<dyn Disk>, now_us: u64) -> Result<Self, RecorderError> {
        let changes = order.layout == Layout::Mix || order.levels != super::Levels::default();
        if order.form != Form::Pcm16 && changes {
            return Err(RecorderError::NotAsCame);
        }
        if order.form == Form::G722 && order.append && order.path.exists() {
            return Err(RecorderError::NotAppended { path: order.path });
        }
        let trouble = Trouble::new(Arc::clone(&disk), &order)?;
        let appends = order.append && order.path.exists();
        let rate = match order.form {
            Form::AsCame(_) | Form::G722 => Rate::Hz8000,
            Form::Pcm16 if appends => rate_of(disk.as_ref(), &order.path).unwrap_or(order.rate),
            Form::Pcm16 => order.rate,
        };
        let shape = Shape { form: order.form, channels: channels(&order), rate_hz: rate.hz() };
        let by_size = shape.frames_in(order.roll_at_bytes);
        let by_time = order.segment.map_or(u64::MAX, |time| time.as_millis() as u64 * u64::from(rate.hz()) / 1_000);
        let most = shape.whole(by_size.min(by_time));
        let parts =
            if appends { Parts::append(disk, &order, shape, most)? } else { Parts::create(disk, &order, shape, most)? };
        let first = i64::try_from(parts.end()).unwrap_or(0);
        let line = || Line::new(first, rate, order.form.silence());
        let whispers = (order.whispers == Whispers::OwnTrack).then(line);
        Ok(Self {
            lines: [line(), line()],
            whispers,
            decoding: [(); 3].map(|()| Decoding::new(order.form, rate)),
            order,
            rate,
            key,
            parts,
            start_us: now_us,
            first,
            marks: Marks::new(rate),
            written: first,
            unsaved: None,
            trouble,
        })
    }

    /// Takes what came, and writes what is old enough.
    pub(super) fn beat(&mut self, now_us: u64, tools: &mut Tools) {
        self.drain(now_us, tools);
        self.trouble.beat();
        let until = self.place(now_us) - self.rate.cells(LAG);
        self.flush(until, self.order.form.grain(), &mut tools.scratch);
    }

    /// Does what is wanted as of a time.
    pub(super) fn obey(&mut self, wish: &Wish, at_us: u64, tools: &mut Tools) {
        self.drain(at_us, tools);
        let at = self.place(at_us);
        match wish {
            Wish::Pause => {
                if self.marks.pause(at) {
                    self.each_line(|line| line.pause(at));
                }
            }
            Wish::Resume => {
                if let Some((from, cut)) = self.marks.resume(at) {
                    self.each_line(|line| line.resume(from, cut));
                }
            }
            Wish::Mask => self.marks.mask(at),
            Wish::Unmask => self.marks.unmask(at),
            Wish::Stop(_) => {}
        }
    }

    /// Writes everything until a time, and says what came of it all.
    pub(super) fn finish(mut self, at_us: u64, tools: &mut Tools) -> Finished {
        self.drain(at_us, tools);
        let end = self.marks.clip(self.place(at_us)).max(self.written);
        self.flush(end, self.order.form.last_grain(), &mut tools.scratch);
        if self.written < end {
            self.marks.gap(&[Side::Left, Side::Right], self.written..end, Why::Disk);
        }
        self.marks.finish(self.place(at_us));
        let mut packets = Packets::default();
        for (side, line) in [Side::Left, Side::Right].into_iter().zip(&mut self.lines) {
            line.finish(end);
            self.marks.collect(side, line);
            packets.received += line.packets.received;
            packets.lost += line.packets.lost;
            packets.late += line.packets.late;
        }
        let (gaps, pauses, masks) = self.marks.into_lists();
        let (samples, rate_hz) = self.parts.samples();
        Finished {
            container: self.order.container,
            form: self.order.form,
            rate_hz,
            channels: channels(&self.order),
            frames: self.parts.end() * samples,
            files: self.parts.into_parts(),
            gaps,
            pauses,
            masks,
            packets,
            dropped: self.key.dropped(),
            error: self.trouble.into_error(),
        }
    }

    /// The place in the recording of a time.
    fn place(&self, at_us: u64) -> i64 {
        self.first + self.rate.cell_at(at_us.saturating_sub(self.start_us)) - self.marks.cut()
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
            return self.each_line(Line::note_dropped);
        }
        let (form, levels) = (self.order.form, self.order.levels);
        let [left, right, supervisors] = &mut self.decoding;
        let (line, decoding, steps) = match copied.origin {
            Origin::Left => (&mut self.lines[0], left, levels.spoken),
            Origin::Right => (&mut self.lines[1], right, levels.heard),
            Origin::Supervisor => match &mut self.whispers {
                Some(line) => (line, supervisors, 0),
                None => return,
            },
        };
        match copied.content {
            Content::Sound(_) | Content::Foreign(_) if form.has_cells_of(copied.content, self.rate) => {
                form.cells(copied.content, payload, steps, cells);
                self.marks.silence(at, cells, form.silence());
                line.take(copied, at, cells, form.stretch());
            }
            Content::Sound(_) | Content::Foreign(_) => {
                let Some(before) = decoding.packet(copied, payload, cells) else {
                    return line.take_broken();
                };
                form.fit(steps, cells);
                self.marks.silence(at, cells, form.silence());
                let before: Vec<i16> = cells.drain(..before).collect();
                let laid = line.take(copied, at, cells, form.stretch());
                if let Some(laid) = laid.filter(|laid| laid.follows) {
                    line.amend(laid.start, &before);
                }
            }
            Content::Samples => {
                if form.has_cells_of(copied.content, self.rate) {
                    form.cells(copied.content, payload, steps, cells);
                } else {
                    decoding.made(copied, payload, cells);
                    form.fit(steps, cells);
                }
                // Several supervisors share a track.
                let is_whisper = copied.origin == Origin::Supervisor;
                line.take_made(at, cells, if is_whisper { Laying::Add(form.add()) } else { Laying::Replace });
            }
            Content::Digit => line.take_silent(copied),
            Content::Mark(Mark::Held) => line.leaves(Why::Held, at),
            Content::Mark(Mark::Unheld) => line.returns(Why::Held, at),
            Content::Mark(Mark::Undecodable) => line.leaves(Why::Undecodable, at),
            Content::Mark(Mark::Decodable) => line.returns(Why::Undecodable, at),
            Content::Mark(Mark::Dropped(_)) => {}
        }
    }

    /// Writes what changed, up to a place that is a multiple of `grain` cells.
    fn flush(&mut self, until: i64, grain: i64, scratch: &mut Scratch) {
        let mut until = self.marks.clip(until);
        until -= (until - self.first) % grain;
        let changed = self.lines.iter_mut().chain(&mut self.whispers).filter_map(Line::take_changed).min();
        let changed = changed.into_iter().chain(self.unsaved.take()).min();
        let from = changed.unwrap_or(self.written).min(self.written);
        let from = from - (from - self.first) % self.order.form.unit();
        if until > from {
            self.gather(from..until, scratch);
            let space = self.trouble.has_space();
            let has_space = space.is_ok();
            match space.and_then(|()| self.write(from, &scratch.bytes)) {
                Ok(()) => self.succeed(until),
                Err(error) => {
                    self.unsaved = Some(from);
                    self.trouble.add(self.parts.present(), &error);
                    if has_space {
                        self.try_another_file();
                    }
                }
            }
        }
        let (newest, kept) = (until.max(self.written), self.written - self.rate.cells(PATIENCE));
        let forgotten = kept.max(newest - self.rate.cells(BACKLOG)).max(self.first);
        if forgotten > self.written {
            self.marks.gap(&[Side::Left, Side::Right], self.written..forgotten, Why::Disk);
            self.written = forgotten;
        }
        self.unsaved = self.unsaved.map(|from| from.max(forgotten));
        self.each_line(|line| line.forget_before(forgotten));
        for (side, line) in [Side::Left, Side::Right].into_iter().zip(&mut self.lines) {
            self.marks.collect(side, line);
        }
    }

    /// The bytes of a stretch of all tracks.
    fn gather(&mut self, at: Range<i64>, Scratch { tracks: spare, mixed, bytes, .. }: &mut Scratch) {
        let form = self.order.form;
        let ([left, right], [first, second, third]) = (&mut self.lines, spare);
        let whispers = self.whispers.as_mut().map(|line| line.read(&at, third));
        let (first, second) = match self.order.layout {
            Layout::Split => (left.read(&at, first), Some(right.read(&at, second))),
            Layout::One(Side::Left) => (left.read(&at, first), None),
            Layout::One(Side::Right) => (right.read(&at, second), None),
            Layout::Mix => {
                let both = left.read(&at, first).iter().zip(right.read(&at, second));
                mixed.clear();
                mixed.extend(both.map(|(cell, other)| cell.saturating_add(*other)));
                (mixed.as_slice(), None)
            }
        };
        let (mut tracks, mut count) = ([first; 3], 1);
        for track in second.into_iter().chain(whispers) {
            tracks[count] = track;
            count += 1;
        }
        form.write(&tracks[..count], bytes);
        let frame_bytes = bytes.len() / usize::try_from(at.end - at.start).unwrap_or(1).max(1);
        for mask in self.marks.masks_within(at.clone()) {
            let within = (mask.start - at.start) as usize * frame_bytes..(mask.end - at.start) as usize * frame_bytes;
            if let Some(masked) = bytes.get_mut(within) {
                masked.fill(form.silence() as u8); // 0, or a byte
            }
        }
    }

    fn write(&mut self, from: i64, bytes: &[u8]) -> std::io::Result<()> {
        let files = self.parts.count();
        let outcome = self.parts.write(from.cast_unsigned(), bytes);
        if self.parts.count() > files {
            self.trouble.tell(Notice::Rolled(self.parts.present().to_owned()));
        }
        if let Some(error) = self.parts.take_trouble() {
            self.trouble.note(format!("no file after {}: {error}", self.parts.present().display()));
        }
        outcome
    }

    fn succeed(&mut self, until: i64) {
        self.written = self.written.max(until);
        self.trouble.is_over();
    }

    /// A file that cannot be written to is left after some failures; one with nothing in it is as good as any other.
    fn try_another_file(&mut self) {
        let is_time = self.trouble.wants_another_file() && self.parts.has_frames();
        if is_time && self.parts.roll().is_ok() {
            self.trouble.tell(Notice::Rolled(self.parts.present().to_owned()));
        }
    }

    fn each_line(&mut self, act: impl FnMut(&mut Line)) {
        self.lines.iter_mut().chain(&mut self.whispers).for_each(act);
    }
}

/// Tracks of a recording.
pub(super) fn channels(order: &Order) -> u16 {
    let parties = if order.layout == Layout::Split { 2 } else { 1 };
    parties + u16::from(order.whispers == Whispers::OwnTrack)
}
