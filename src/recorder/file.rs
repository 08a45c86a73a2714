//! The files of a recording: frames go to their places, and after every write each file is valid: first the samples, then the sizes.
//! Above: `session`. Below: `disk`, `wav`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, Medium};
use super::names::Names;
use super::order::{Form, Order, Part, RecorderError};
use super::rate::Rate;
use super::repair;
use super::wav::{Beginning, Shape};

/// Bytes of silence written at once.
const FILL_BYTES: u64 = 65_536;
/// Bytes before the samples, at most.
const LONGEST_HEADER: usize = 64;
/// Where a further file cannot be made, that is tried again after so long, in s.
const AGAIN_AFTER_S: u64 = 10;

/// The files of one recording. Frames are counted through all of them.
#[derive(Debug)]
pub(super) struct Parts {
    disk: Arc<dyn Disk>,
    names: Arc<dyn Names>,
    path: PathBuf,
    shape: Shape,
    /// Frames of a file at most; of the present one more, where no further one could be made.
    most: u64,
    limit: u64,
    /// Why none could.
    trouble: Option<io::Error>,
    done: Vec<Part>,
    medium: Box<dyn Medium>,
    present: PathBuf,
    /// The first frame of the present file, and the one after its last.
    first: u64,
    end: u64,
}

impl Parts {
    /// Makes the first file, with no frame in it yet.
    ///
    /// # Errors
    ///
    /// [`RecorderError::File`] when it exists or cannot be made.
    pub(super) fn create(disk: Arc<dyn Disk>, order: &Order, shape: Shape, most: u64) -> Result<Self, RecorderError> {
        let path = &order.path;
        let failed = |source| RecorderError::File { path: path.clone(), source };
        let mut medium = disk.create(path).map_err(failed)?;
        medium.write_at(&shape.header(0), 0).map_err(failed)?;
        let (path, present, names) = (path.clone(), path.clone(), Arc::clone(&order.names));
        let (most, done, first, end, trouble) = (most.max(1), Vec::new(), 0, 0, None);
        Ok(Self { disk, names, path, shape, most, limit: most, trouble, done, medium, present, first, end })
    }

    /// Opens a file that is there to go on at its end.
    ///
    /// # Errors
    ///
    /// [`RecorderError::OtherForm`] when it looks different.
    pub(super) fn append(disk: Arc<dyn Disk>, order: &Order, shape: Shape, most: u64) -> Result<Self, RecorderError> {
        let path = &order.path;
        let failed = |source| RecorderError::File { path: path.clone(), source };
        let medium = disk.open(path).map_err(failed)?;
        let start = medium.read_start(usize::try_from(shape.header_bytes()).unwrap_or(0)).map_err(failed)?;
        let other = || RecorderError::OtherForm { path: path.clone(), wanted: describe(&shape) };
        if !Beginning::parse(&start).is_some_and(|beginning| beginning.is(&shape)) {
            return Err(other());
        }
        let end = repair::repair_on(disk.as_ref(), path).map_err(|_| other())?.frames;
        let (path, present, names) = (path.clone(), path.clone(), Arc::clone(&order.names));
        let (most, done, first, trouble) = (most.max(1), Vec::new(), 0, None);
        Ok(Self { disk, names, path, shape, most, limit: most, trouble, done, medium, present, first, end })
    }

    /// The frame after the last one written.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Samples of a track that a frame stands for, and how many there are in a second.
    pub(super) fn samples(&self) -> (u64, u32) {
        self.shape.samples()
    }

    /// Whether there is anything in the present file.
    pub(super) fn has_frames(&self) -> bool {
        self.end > self.first
    }

    /// How many files were begun.
    pub(super) fn count(&self) -> usize {
        self.done.len() + 1
    }

    /// The present file.
    pub(super) fn present(&self) -> &Path {
        &self.present
    }

    /// Writes frames from a place on, also over former ones of the present file; what lies between the end and that place becomes
    /// silence.
    ///
    /// # Errors
    ///
    /// What the system says. Then nothing, or only a part, is written, and the file is as valid as before.
    pub(super) fn write(&mut self, from: u64, frames: &[u8]) -> io::Result<()> {
        self.fill(from)?;
        let frame_bytes = self.shape.frame_bytes();
        let (mut from, mut rest) = (from, frames);
        if from < self.first {
            let passed = usize::try_from((self.first - from) * frame_bytes).unwrap_or(usize::MAX);
            (from, rest) = (self.first, rest.get(passed..).unwrap_or_default());
        }
        while !rest.is_empty() {
            if from >= self.first.saturating_add(self.limit) {
                self.go_on()?;
            }
            let room = usize::try_from((self.first.saturating_add(self.limit) - from).saturating_mul(frame_bytes))
                .unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.medium.write_at(&self.shape.lay(from - self.first, now), self.place(from))?;
            from += now.len() as u64 / frame_bytes;
            self.extend(from)?;
            rest = later;
        }
        Ok(())
    }

    /// Begins a further file with the next frame.
    ///
    /// # Errors
    ///
    /// What the system says; then the present file stays.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        let number = u32::try_from(self.count()).unwrap_or(u32::MAX).saturating_add(1);
        let path = self.names.further(&self.path, number)?;
        let begun = self.disk.open(&path).and_then(|mut medium| {
            medium.write_at(&self.shape.header(0), 0)?;
            Ok(medium)
        });
        let medium = begun.inspect_err(|_| self.disk.remove(&path))?;
        self.trim();
        let done = self.part();
        self.done.push(done);
        (self.medium, self.present, self.first, self.limit) = (medium, path, self.end, self.most);
        Ok(())
    }

    /// Why no further file could be made when the present one was full, since the last time.
    pub(super) fn take_trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// Begins a further file where the present one is full. Where none can be made that one goes on, as far as its sizes can be written
    /// down.
    fn go_on(&mut self) -> io::Result<()> {
        let Err(error) = self.roll() else { return Ok(()) };
        let largest = self.shape.whole((u64::from(u32::MAX) - LONGEST_HEADER as u64) / self.shape.frame_bytes());
        let longer = self.limit.saturating_add(AGAIN_AFTER_S * u64::from(self.shape.rate_hz)).min(largest);
        if longer <= self.limit {
            return Err(error);
        }
        (self.limit, self.trouble) = (longer, Some(error));
        Ok(())
    }

    /// All files, as they are.
    pub(super) fn into_parts(mut self) -> Vec<Part> {
        self.trim();
        let last = self.part();
        self.done.push(last);
        self.done
    }

    /// Cuts off what a failed write left behind the frames that count.
    fn trim(&mut self) {
        let bytes = self.place(self.end);
        if self.medium.length().is_ok_and(|length| length > bytes) {
            let _ = self.medium.set_length(bytes); // left there it is behind the samples that the header counts
        }
    }

    fn part(&self) -> Part {
        let frames = self.end - self.first;
        let bytes = self.shape.file_bytes(frames);
        Part { path: self.present.clone(), frames: frames * self.shape.samples().0, bytes }
    }

    /// Where a frame of the present file lies.
    fn place(&self, frame: u64) -> u64 {
        self.shape.file_bytes(frame.saturating_sub(self.first))
    }

    /// Counts the frames before `end` into the file, by its header.
    fn extend(&mut self, end: u64) -> io::Result<()> {
        if end > self.end {
            self.medium.write_at(&self.shape.header(end - self.first), 0)?;
            self.end = end;
        }
        Ok(())
    }

    /// Writes silence up to a frame.
    fn fill(&mut self, until: u64) -> io::Result<()> {
        while self.end < until {
            if self.end >= self.first.saturating_add(self.limit) {
                self.go_on()?;
            }
            let end = until.min(self.first.saturating_add(self.limit));
            match self.shape.form {
                // Zeros are silence, and take no place on the disk. What a failed write left there goes first.
                Form::Pcm16 => {
                    self.medium.set_length(self.place(self.end))?;
                    self.medium.set_length(self.place(end))?;
                    self.extend(end)?;
                }
                form @ (Form::AsCame(_) | Form::G722) => {
                    let at_once = self.shape.whole(FILL_BYTES / self.shape.frame_bytes());
                    let frames = (end - self.end).min(at_once);
                    let silence = form.silence() as u8; // these cells are bytes
                    let bytes = vec![silence; (frames * self.shape.frame_bytes()) as usize]; // FILL_BYTES at most
                    self.medium.write_at(&self.shape.lay(self.end - self.first, &bytes), self.place(self.end))?;
                    self.extend(self.end + frames)?;
                }
            }
        }
        Ok(())
    }
}

/// The rate of a recording that is there, if it is one.
pub(super) fn rate_of(disk: &dyn Disk, path: &Path) -> Option<Rate> {
    let start = disk.open(path).ok()?.read_start(LONGEST_HEADER).ok()?;
    Rate::of_hz(Beginning::parse(&start)?.rate_hz)
}

fn describe(shape: &Shape) -> String {
    let samples = match shape.form {
        Form::Pcm16 => "16 bit",
        Form::AsCame(codec) => codec.name(),
        Form::G722 => "G722",
    };
    format!("{samples}, {} tracks, {} Hz", shape.channels, shape.rate_hz)
}
