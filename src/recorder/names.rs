//! The names of a recording's further files: whoever owns the names of a folder hands them out.
//! Above: `order`, which says who that is. Below: nothing.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, System};

/// Files of a recording at most.
const MOST: u32 = 10_000;

/// Who hands out names.
pub trait Names: Debug + Send + Sync {
    /// Takes the name of the file with this number, or a later one, of the recording that begins with `first`. The file is there
    /// when this returns, empty.
    ///
    /// # Errors
    /// There is no such file: the recording stays in the one it has.
    fn further(&self, first: &Path, number: u32) -> io::Result<PathBuf>;
}

/// `NAME-2.wav`, `NAME-3.wav`, …: what exists is passed over. Nobody else takes names in that folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted;

impl Names for Counted {
    fn further(&self, first: &Path, number: u32) -> io::Result<PathBuf> {
        for path in (number..=MOST).map(|number| numbered(first, number)) {
            match System.create(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

fn numbered(first: &Path, number: u32) -> PathBuf {
    let mut name = first.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = first.extension() {
        name.push(".");
        name.push(extension);
    }
    first.with_file_name(name)
}
