//! A file that is written aside and takes its name only when it is whole, and what is left of one whose writer was killed.
//! Above: `seal`, and whoever receives or imports recordings. Below: the spool.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, flock, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::error::OutboxError;
use super::spool::{Spool, check_name, sync};

/// A file without a name yet, in a folder of the spool; gone with this value unless it was placed or is to stay.
#[derive(Debug)]
pub struct Aside {
    folder: OwnedFd,
    temporary: String,
    file: File,
    left: Left,
}

/// What becomes of a file that was not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Removed,
    Kept,
}

impl Spool {
    /// What nobody has written to for so long is left over from somebody who was killed.
    pub const LEFT_OVER: Duration = Duration::from_secs(3_600);

    /// Begins a file, for its owner alone.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn begin_aside(&self) -> Result<Aside, OutboxError> {
        let temporary = format!(".{}.part", uuid::Uuid::new_v4().simple());
        let failed = OutboxError::io("writing", self.path());
        let begun = || -> io::Result<Aside> {
            let (folder, _) = self.folder_of(&temporary)?;
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = File::from(openat(&folder, temporary.as_str(), flags, Mode::RUSR | Mode::WUSR)?);
            // By this lock it is known that somebody still writes; a file system without locks leaves it to the file's age.
            let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
            Ok(Aside { folder, temporary: temporary.clone(), file, left: Left::Removed })
        };
        begun().map_err(failed)
    }

    /// Removes files that were begun aside, in any folder, and that nobody writes any more, as their writers were killed; how many.
    /// Those that were written to within `quiet` are left alone.
    ///
    /// # Errors
    /// A folder cannot be read, or one is still there.
    pub fn sweep(&self, quiet: Duration) -> Result<usize, OutboxError> {
        self.sweep_below("", quiet)
    }

    fn sweep_below(&self, above: &str, quiet: Duration) -> Result<usize, OutboxError> {
        let failed = |error: io::Error| OutboxError::io("clearing up", &self.path().join(above))(error);
        let entries = match std::fs::read_dir(self.path().join(above)) {
            // Gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !above.is_empty() => return Ok(0),
            entries => entries.map_err(failed)?,
        };
        let mut swept = 0;
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let whole = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if check_name(&whole).is_ok() {
                    swept += self.sweep_below(&whole, quiet)?;
                }
            } else if is_temporary(name) && self.is_abandoned(&whole, quiet).map_err(failed)? {
                self.remove(&whole)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Whether nobody holds the lock of such a file, and nobody has written to it lately.
    fn is_abandoned(&self, name: &str, quiet: Duration) -> io::Result<bool> {
        let file = match self.open_plain(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        // A time in the future says nothing of how old it is.
        let age = SystemTime::now().duration_since(file.metadata()?.modified()?).unwrap_or_default();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // Closing would not do: a program that is being started at this moment has the same file open until it runs.
                let _ = flock(&file, FlockOperation::Unlock);
                Ok(age >= quiet)
            }
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Brings a file to the disk and gives it its name, which nothing else has.
    ///
    /// # Errors
    /// The disk fails, or the name is taken or leaves the spool.
    pub fn place_aside(&self, aside: &Aside, name: &str) -> Result<(), OutboxError> {
        check_name(name)?;
        self.make_folders(name)?;
        let placed = || -> io::Result<()> {
            aside.file.sync_all()?;
            let (folder, last) = self.folder_of(name)?;
            renameat_with(&aside.folder, aside.temporary.as_str(), &folder, last, RenameFlags::NOREPLACE)?;
            sync(&folder)
        };
        placed().map_err(OutboxError::io("placing", &self.path().join(name)))
    }

    /// Opens a file to write over what is in it, through no link.
    pub(super) fn open_to_overwrite(&self, name: &str) -> io::Result<File> {
        let (folder, last) = self.folder_of(name)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(folder, last, flags, Mode::empty())?))
    }
}

/// Whether a name is one of those given here: `.`, 32 hexadecimal digits, `.part`.
fn is_temporary(name: &str) -> bool {
    let digits = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".part"));
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl Aside {
    /// One that stays when it is not placed: somebody goes on with it.
    pub(super) fn kept(folder: OwnedFd, temporary: &str, file: File) -> Self {
        Self { folder, temporary: temporary.to_owned(), file, left: Left::Kept }
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.left == Left::Kept {
            return;
        }
        // One that was placed has this name no more.
        let _ = unlinkat(&self.folder, self.temporary.as_str(), AtFlags::empty());
    }
}
