//! The log's files, and the few things that are done with them; a test puts a disk that fails below the writer.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where everything is: all of it beside the log.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub(super) log: PathBuf,
    /// The key, made once.
    pub(super) key: PathBuf,
    /// The key before its log exists.
    pub(super) new_key: PathBuf,
    /// The sealed head.
    pub(super) head: PathBuf,
    /// The next one, before it takes the place of the head.
    pub(super) new_head: PathBuf,
    /// What had to be taken out of the log.
    pub(super) aside: PathBuf,
}

impl Paths {
    pub(super) fn of(log: &Path) -> Self {
        let beside = |end: &str| {
            let mut name = log.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        Self {
            log: log.to_owned(),
            key: beside(".key"),
            new_key: beside(".key.new"),
            head: beside(".head"),
            new_head: beside(".head.new"),
            aside: beside(".aside"),
        }
    }

    fn folder(&self) -> &Path {
        self.log.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

/// What changes the disk.
pub(super) trait Disk: Send {
    /// Makes the log's folder, readable by its owner alone; one that is there stays as it is.
    fn make_folder(&mut self, paths: &Paths) -> io::Result<()>;
    /// Writes a file, for its owner alone, in the place of one that may be left over, and to the disk.
    fn write_new(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Writes at the end.
    fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<()>;
    /// Brings what was written to the disk.
    fn sync(&mut self, file: &File) -> io::Result<()>;
    /// Cuts a file.
    fn truncate(&mut self, file: &File, size: u64) -> io::Result<()>;
    /// Gives a file the place of another one.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Brings new names to the disk.
    fn sync_folder(&mut self, paths: &Paths) -> io::Result<()>;
}

/// The real one.
pub(super) struct Os;

impl Disk for Os {
    fn make_folder(&mut self, paths: &Paths) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(paths.folder())
    }

    fn write_new(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn append(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn truncate(&mut self, file: &File, size: u64) -> io::Result<()> {
        file.set_len(size)?;
        file.sync_data()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_folder(&mut self, paths: &Paths) -> io::Result<()> {
        File::open(paths.folder())?.sync_all()
    }
}
