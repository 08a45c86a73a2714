//! A disk that fails, or is full: what is told of it, and when a further file is tried.
//! Above: `session`, `kept::session`. Below: `disk`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::disk::Disk;
use super::order::{Notice, Order, RecorderError};

/// After so many failures in a row, and again after as many, a further file is tried.
const FAILURES_PER_FILE: u32 = 25;
/// Beats between two looks at the free space.
const BEATS_PER_LOOK: u32 = 10;

/// A recording's troubles with its disk.
#[derive(Debug)]
pub(super) struct Trouble {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Bytes that are to stay free; 0: as many as there are.
    floor: u64,
    notices: Option<mpsc::Sender<Notice>>,
    beats: u32,
    /// Failures in a row.
    failures: u32,
    /// What was first.
    error: Option<String>,
}

impl Trouble {
    /// None so far.
    ///
    /// # Errors
    ///
    /// [`RecorderError::Full`] when less is free than is to stay free; [`RecorderError::File`] when nobody can say.
    pub(super) fn new(disk: Arc<dyn Disk>, order: &Order) -> Result<Self, RecorderError> {
        let (path, floor, notices) = (order.path.clone(), order.floor_bytes, order.notices.clone());
        let trouble = Self { disk, path, floor, notices, beats: 0, failures: 0, error: None };
        trouble.check_space()?;
        Ok(trouble)
    }

    /// A beat passes.
    pub(super) fn beat(&mut self) {
        self.beats = self.beats.wrapping_add(1);
    }

    /// Whether there is space to write to, as far as it is time to look.
    ///
    /// # Errors
    ///
    /// There is not.
    pub(super) fn has_space(&self) -> io::Result<()> {
        // While it fails it is looked at every time.
        let looks = self.failures > 0 || self.beats.is_multiple_of(BEATS_PER_LOOK);
        match looks.then(|| self.check_space()) {
            Some(Err(error @ RecorderError::Full { .. })) => Err(io::Error::other(error)),
            // What cannot be asked is tried.
            _ => Ok(()),
        }
    }

    /// What was to be written is.
    pub(super) fn is_over(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            self.tell(Notice::GoesOn);
        }
    }

    /// A file could not be written to.
    pub(super) fn add(&mut self, file: &Path, error: &io::Error) {
        self.failures += 1;
        if self.failures == 1 {
            let text = format!("{}: {error}", file.display());
            self.note(text.clone());
            self.tell(Notice::Failing(text));
        }
    }

    /// Keeps what is wrong, if nothing was before.
    pub(super) fn note(&mut self, text: String) {
        self.error.get_or_insert(text);
    }

    /// Whether the file is to be left for another now.
    pub(super) fn wants_another_file(&self) -> bool {
        self.failures.is_multiple_of(FAILURES_PER_FILE)
    }

    /// Tells whoever wants to know.
    pub(super) fn tell(&self, notice: Notice) {
        if let Some(notices) = &self.notices {
            let _ = notices.try_send(notice);
        }
    }

    /// What was wrong first.
    pub(super) fn into_error(self) -> Option<String> {
        self.error
    }

    fn check_space(&self) -> Result<(), RecorderError> {
        let (path, floor) = (self.path.clone(), self.floor);
        if floor == 0 {
            return Ok(());
        }
        match self.disk.free_bytes(&path) {
            Ok(free) if free < floor => Err(RecorderError::Full { path, free, floor }),
            Ok(_) => Ok(()),
            Err(source) => Err(RecorderError::File { path, source }),
        }
    }
}
