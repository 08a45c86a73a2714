//! The Ogg Opus files of a recording: pages are written whole, one behind the other, so what is there plays at every moment.
//! Above: `session`. Below: `disk`, `audio::ogg`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{SLOT, TICKS_PER_CELL};
use crate::audio::ogg::{self, Head};
use crate::recorder::disk::{Disk, Medium};
use crate::recorder::names::Names;
use crate::recorder::order::{Order, Part, RecorderError};
use crate::recorder::session::channels;

/// The stream's number in each file, where it is the only one.
const SERIAL: u32 = 1;

/// Where a further file cannot be made, that is tried again after so long, in cells.
const AGAIN_AFTER: i64 = 500 * SLOT;

/// When a further file is begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) bytes: u64,
    pub(super) cells: i64,
}

/// The files of one recording.
#[derive(Debug)]
pub(super) struct Pages {
    disk: Arc<dyn Disk>,
    names: Arc<dyn Names>,
    path: PathBuf,
    sides: u16,
    most: Most,
    done: Vec<Part>,
    medium: Box<dyn Medium>,
    present: PathBuf,
    /// Where the next page goes, and its number.
    at: u64,
    number: u32,
    /// The newest page and where it lies: the last one is marked.
    newest: (u64, Vec<u8>),
    /// The place where the present file begins, and the one after its last packet.
    first: i64,
    end: i64,
    /// Before this place no further file is tried, and why not.
    again_at: i64,
    trouble: Option<io::Error>,
}

impl Pages {
    /// Makes the first file, with nothing but its head.
    ///
    /// # Errors
    ///
    /// [`RecorderError::File`] when it exists or cannot be made.
    pub(super) fn create(disk: Arc<dyn Disk>, order: &Order, most: Most) -> Result<Self, RecorderError> {
        let (path, sides) = (order.path.clone(), channels(order));
        let failed = |source| RecorderError::File { path: order.path.clone(), source };
        let mut medium = disk.create(&path).map_err(failed)?;
        let (head, newest) = head(sides);
        medium.write_at(&head, 0).map_err(failed)?;
        let (at, present, names) = (head.len() as u64, path.clone(), Arc::clone(&order.names));
        Ok(Self {
            disk,
            names,
            path,
            sides,
            most,
            done: Vec::new(),
            medium,
            present,
            at,
            number: 2,
            newest,
            first: 0,
            end: 0,
            again_at: 0,
            trouble: None,
        })
    }

    /// The present file.
    pub(super) fn present(&self) -> &Path {
        &self.present
    }

    /// The place after the last packet written.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// How many files were begun.
    pub(super) fn count(&self) -> usize {
        self.done.len() + 1
    }

    /// Whether there is anything in the present file.
    pub(super) fn has_sound(&self) -> bool {
        self.end > self.first
    }

    /// Appends packets, each with the place after it.
    ///
    /// # Errors
    ///
    /// What the system says; then none of them counts.
    pub(super) fn write(&mut self, packets: &[(Vec<u8>, i64)]) -> io::Result<()> {
        if packets.is_empty() {
            return Ok(());
        }
        let is_full = self.at >= self.most.bytes || self.end - self.first >= self.most.cells;
        if self.has_sound() && is_full && self.end >= self.again_at {
            // Where there is none, the present one goes on.
            self.trouble = self.roll().err();
            self.again_at = if self.trouble.is_some() { self.end + AGAIN_AFTER } else { 0 };
        }
        let first = self.first;
        let placed: Vec<_> = packets.iter().map(|(bytes, end)| (bytes.clone(), position(end - first))).collect();
        let (mut bytes, mut number) = (Vec::new(), self.number);
        ogg::write_pages(&placed, (SERIAL, &mut number), &mut bytes);
        if let Err(error) = self.medium.write_at(&bytes, self.at) {
            // Whole pages of it must not stay behind others. What the disk refuses is found by their numbers when the file is mended.
            let _ = self.medium.set_length(self.at);
            return Err(error);
        }
        let newest = last_page(&bytes);
        self.newest = (self.at + newest as u64, bytes.split_off(newest));
        self.at = self.newest.0 + self.newest.1.len() as u64;
        self.number = number;
        self.end = packets.last().map_or(self.end, |(_, end)| *end);
        Ok(())
    }

    /// Why no further file could be made when the present one was full, since the last time.
    pub(super) fn take_trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// Begins a further file with the next packet.
    ///
    /// # Errors
    ///
    /// What the system says; then the present file stays.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        let number = u32::try_from(self.count()).unwrap_or(u32::MAX).saturating_add(1);
        let path = self.names.further(&self.path, number)?;
        let (head, newest) = head(self.sides);
        let begun = self.disk.open(&path).and_then(|mut medium| {
            medium.write_at(&head, 0)?;
            Ok(medium)
        });
        let medium = begun.inspect_err(|_| self.disk.remove(&path))?;
        let done = self.close(self.end);
        self.done.push(done);
        (self.medium, self.present, self.at, self.newest) = (medium, path, head.len() as u64, newest);
        (self.number, self.first) = (2, self.end);
        Ok(())
    }

    /// All files, the last of which ends at a place.
    pub(super) fn into_parts(mut self, end: i64) -> Vec<Part> {
        let last = self.close(end.min(self.end));
        self.done.push(last);
        self.done
    }

    /// Marks the last page of the present file as such; what it holds behind `end` is not played (RFC 7845 §4.4).
    fn close(&mut self, end: i64) -> Part {
        // What a failed write left behind.
        if self.medium.length().is_ok_and(|length| length > self.at) {
            let _ = self.medium.set_length(self.at);
        }
        let (at, page) = &mut self.newest;
        ogg::end_at(page, position(end - self.first));
        // A file without this mark plays as well, and is mended like one.
        let _ = self.medium.write_at(page, *at);
        let frames = position(end - self.first);
        Part { path: self.present.clone(), frames, bytes: self.at }
    }
}

/// The two pages before the sound; and the second, with where it lies.
fn head(sides: u16) -> (Vec<u8>, (u64, Vec<u8>)) {
    let (mut bytes, mut number) = (Vec::new(), 0);
    for packet in [Head::of_sides(sides).print(), ogg::tags()] {
        ogg::write_pages(&[(packet, 0)], (SERIAL, &mut number), &mut bytes);
    }
    let at = last_page(&bytes);
    let page = bytes[at..].to_vec();
    (bytes, (at as u64, page))
}

/// Where the last of these pages begins.
fn last_page(pages: &[u8]) -> usize {
    let mut at = 0;
    while let Ok((_, length)) = ogg::Page::parse(&pages[at..])
        && at + length < pages.len()
    {
        at += length;
    }
    at
}

/// In samples of 48 kHz.
fn position(cells: i64) -> u64 {
    (cells.max(0) * TICKS_PER_CELL).cast_unsigned()
}
