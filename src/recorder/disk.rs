//! The disk as the recorder sees it: a trait, so that tests can let any write of it fail. Above: `file`, `repair`.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, statvfs};

/// Where files are made.
pub(super) trait Disk: Debug + Send + Sync {
    /// Makes a file that must not exist, for its owner alone.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>>;
    /// Opens a file that exists.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Medium>>;
    /// Takes back a file that was just made; one that stays is empty.
    fn remove(&self, path: &Path) {
        let _ = std::fs::remove_file(path);
    }
    /// Bytes that are free for us where `path` lies.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file.
pub(super) trait Medium: Debug + Send {
    /// Writes all of the bytes at a place.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Reads as many bytes as there are from its beginning, `most` at most.
    fn read_start(&self, most: usize) -> io::Result<Vec<u8>> {
        self.read_at(0, most)
    }
    /// Reads as many bytes as there are from a place on, `most` at most.
    fn read_at(&self, at: u64, most: usize) -> io::Result<Vec<u8>>;
    /// Its length.
    fn length(&self) -> io::Result<u64>;
    /// Makes it as long as said, with zeros.
    fn set_length(&mut self, bytes: u64) -> io::Result<()>;
}

/// The system's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct System;

impl Disk for System {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(options().create_new(true).mode(0o600).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        let file = options().open(path)?;
        if file.metadata()?.is_file() { Ok(Box::new(file)) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let numbers = statvfs(folder)?;
        Ok(numbers.f_bavail.saturating_mul(numbers.f_frsize))
    }
}

/// To read and write, but never through a symbolic link, nor waiting for a pipe's other end.
fn options() -> OpenOptions {
    let mut options = File::options();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    options.read(true).write(true).custom_flags(flags.bits().cast_signed());
    options
}

impl Medium for File {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn read_at(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_length(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}
