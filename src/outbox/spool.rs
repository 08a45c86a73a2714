//! The spool: the folder that recordings, their manifests and the queue lie in, private to its owner.
//! Above: `queue`, `push`, `verify`. Below: the file system, always from the opened folder downwards and never through a link.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, mkdirat, openat, statat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::error::OutboxError;

/// The queue's file in the spool.
pub const QUEUE_FILE: &str = "outbox.sqlite3";
/// Locked by the run that pushes.
pub const PUSH_LOCK: &str = "push.lock";
/// The folder of the locks by which a writer shows that it lives.
const WRITERS: &str = ".writers";

/// Bytes of a name with its folders; of one of its parts the system allows 255.
const NAME_LIMIT: usize = 1024;
const PART_LIMIT: usize = 255;

/// An opened spool.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    folder: OwnedFd,
}

/// A lock that the kernel holds for us: gone with this value, or with the process however it ends.
#[derive(Debug)]
pub struct Lock {
    file: OwnedFd,
}

impl Drop for Lock {
    /// Closing would not do: a program that is being started at this moment has the same file open until it runs.
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// How long a file is and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

impl Measure {
    /// Why a file that is measured so is not the one that was expected.
    pub(super) fn differs_from(&self, expected: &Self) -> io::Error {
        let Self { bytes, sha256 } = self;
        let what = format!(
            "the file is not what it was: {bytes} bytes with SHA-256 {sha256}, and {} with {} when it was finished",
            expected.bytes, expected.sha256
        );
        io::Error::new(io::ErrorKind::InvalidData, what)
    }
}

impl Spool {
    /// Opens a spool; makes it, for its owner alone, where it is not there.
    ///
    /// # Errors
    /// It is a link, no folder, somebody else's, or others may look into it.
    pub fn open(path: &Path) -> Result<Self, OutboxError> {
        let failed = OutboxError::io("opening the spool", path);
        let wrong = |what| OutboxError::Spool { path: path.to_owned(), what };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(&failed)?;
                rustix::fs::open(path, flags, Mode::empty())
            }
            opened => opened,
        };
        let folder = match folder {
            // A link with O_NOFOLLOW is reported as either, by its kind of target.
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(wrong("it is a link or no folder")),
            opened => opened.map_err(|errno| failed(errno.into()))?,
        };
        let facts = fstat(&folder).map_err(|errno| failed(errno.into()))?;
        if facts.st_uid != rustix::process::geteuid().as_raw() {
            return Err(wrong("it belongs to somebody else"));
        }
        if facts.st_mode & 0o077 != 0 {
            return Err(OutboxError::SpoolIsOpen { path: path.to_owned(), mode: facts.st_mode & 0o777 });
        }
        Ok(Self { path: path.to_owned(), folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it, for messages and for programs that take a path.
    ///
    /// # Errors
    /// The name leaves the spool.
    pub fn path_of(&self, name: &str) -> Result<PathBuf, OutboxError> {
        check_name(name)?;
        Ok(self.path.join(name))
    }

    /// Opens a plain file for reading, through no link.
    ///
    /// # Errors
    /// It is not there, a link, or no plain file.
    pub fn open_file(&self, name: &str) -> Result<File, OutboxError> {
        self.open_plain(name).map_err(OutboxError::io("opening", &self.path.join(name)))
    }

    /// The same, with the system's own words.
    pub(super) fn open_plain(&self, name: &str) -> io::Result<File> {
        let (folder, last) = self.folder_of(name)?;
        // Not blocking: somebody's pipe under a recording's name would keep us waiting.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(folder, last, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no plain file"));
        }
        Ok(file)
    }

    /// Whether something has this name, a link that leads nowhere included.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn exists(&self, name: &str) -> Result<bool, OutboxError> {
        let there =
            self.folder_of(name).and_then(|(folder, last)| match statat(folder, last, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Ok(true),
                Err(Errno::NOENT) => Ok(false),
                Err(errno) => Err(errno.into()),
            });
        match there {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            there => there.map_err(OutboxError::io("looking for", &self.path.join(name))),
        }
    }

    /// Makes the folders above a name, for their owner alone.
    ///
    /// # Errors
    /// The disk does not take them, or a link or file is in the way.
    pub fn make_folders(&self, name: &str) -> Result<(), OutboxError> {
        check_name(name)?;
        let failed = OutboxError::io("making a folder for", &self.path.join(name));
        let mut above = String::new();
        for part in name.split('/').take(name.matches('/').count()) {
            above.push_str(part);
            let (folder, last) = self.folder_of(&above).map_err(&failed)?;
            match mkdirat(&folder, last, Mode::RWXU) {
                Ok(()) => sync(&folder).map_err(&failed)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno.into())),
            }
            above.push('/');
        }
        Ok(())
    }

    /// Makes the folders above a name that somebody wishes for; one whose name a file or a link has already becomes `-2`, `-3`, …
    /// Returns the name as it is then.
    ///
    /// # Errors
    /// The disk does not take them.
    pub fn free_folders(&self, wished: &str) -> Result<String, OutboxError> {
        self.folders_above(wished, |folder| {
            self.make_folders(&format!("{folder}/x"))?;
            self.is_folder(folder)
        })
    }

    /// The name as [`Spool::free_folders`] would have it, without making any.
    pub(super) fn folders_to_be(&self, wished: &str) -> Result<String, OutboxError> {
        self.folders_above(wished, |folder| Ok(!self.exists(folder)? || self.is_folder(folder)?))
    }

    /// A name whose folders are what `fits`, numbered where they are not.
    fn folders_above(
        &self,
        wished: &str,
        fits: impl Fn(&str) -> Result<bool, OutboxError>,
    ) -> Result<String, OutboxError> {
        check_name(wished)?;
        let Some((folders, last)) = wished.rsplit_once('/') else { return Ok(wished.to_owned()) };
        let mut above = String::new();
        for part in folders.split('/') {
            let named =
                |number: u32| if number == 1 { format!("{above}{part}") } else { format!("{above}{part}-{number}") };
            let mut number = 1;
            while !fits(&named(number))? {
                number += 1;
                if number > 1_000 {
                    let what = "its folders' names are taken";
                    return Err(OutboxError::Name { name: wished.to_owned(), what });
                }
            }
            above = format!("{}/", named(number));
        }
        Ok(format!("{above}{last}"))
    }

    fn is_folder(&self, name: &str) -> Result<bool, OutboxError> {
        let failed = OutboxError::io("looking for", &self.path.join(name));
        let (folder, last) = self.folder_of(name).map_err(&failed)?;
        let facts = statat(folder, last, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| failed(errno.into()))?;
        Ok(FileType::from_raw_mode(facts.st_mode) == FileType::Directory)
    }

    /// Makes a file that must not be there, empty, for its owner alone.
    ///
    /// # Errors
    /// Something has this name, or the disk does not take it.
    pub(super) fn create(&self, name: &str) -> Result<(), OutboxError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = self
            .folder_of(name)
            .and_then(|(folder, last)| Ok(openat(&folder, last, flags, Mode::RUSR | Mode::WUSR).map(drop)?));
        made.map_err(OutboxError::io("making", &self.path.join(name)))
    }

    /// Writes a small file whole or not at all, for its owner alone, in the place of one that is there; it is on the disk after.
    ///
    /// # Errors
    /// What was there before still is.
    pub fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<(), OutboxError> {
        let failed = OutboxError::io("writing", &self.path.join(name));
        let (folder, last) = self.folder_of(name).map_err(&failed)?;
        let temporary = format!(".{}.part", uuid::Uuid::new_v4().simple());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let written =
            openat(&folder, &temporary, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from).and_then(|file| {
                let mut file = File::from(file);
                file.write_all(bytes)?;
                file.sync_all()?;
                rustix::fs::renameat(&folder, &temporary, &folder, last)?;
                sync(&folder)
            });
        written.map_err(|error| {
            // Nothing is left over; that it could not be removed says the same as the error itself.
            let _ = rustix::fs::unlinkat(&folder, &temporary, AtFlags::empty());
            failed(error)
        })
    }

    /// Brings a finished file to the disk, and says how long it is and what is in it.
    ///
    /// # Errors
    /// It is not there, or the disk fails.
    pub fn settle(&self, name: &str) -> Result<Measure, OutboxError> {
        let failed = OutboxError::io("bringing to the disk", &self.path.join(name));
        let file = self.open_plain(name).map_err(&failed)?;
        file.sync_all().map_err(&failed)?;
        let (folder, _) = self.folder_of(name).map_err(&failed)?;
        sync(&folder).map_err(&failed)?;
        measure(&file).map_err(&failed)
    }

    /// Removes a file; one that is not there is as good.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(&self, name: &str) -> Result<(), OutboxError> {
        let removed = self.folder_of(name).and_then(|(folder, last)| {
            rustix::fs::unlinkat(&folder, last, AtFlags::empty())?;
            sync(&folder)
        });
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(OutboxError::io("removing", &self.path.join(name))),
        }
    }

    /// Gives a file another name, which nothing else has.
    ///
    /// # Errors
    /// It is not there, or the new name is taken.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), OutboxError> {
        let renamed = || -> io::Result<()> {
            let (old, old_name) = self.folder_of(from)?;
            let (new, new_name) = self.folder_of(to)?;
            rustix::fs::renameat_with(&old, old_name, &new, new_name, RenameFlags::NOREPLACE)?;
            sync(&new)?;
            sync(&old)
        };
        renamed().map_err(OutboxError::io("renaming", &self.path.join(from)))
    }

    /// Takes a lock of the spool; `None`: another process, or another lock of this one, has it.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn lock(&self, name: &str) -> Result<Option<Lock>, OutboxError> {
        let failed = OutboxError::io("locking", &self.path.join(name));
        let (folder, last) = self.folder_of(name).map_err(&failed)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(folder, last, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| failed(errno.into()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(failed(errno.into())),
        }
    }

    /// Makes and takes the lock by which a writer shows that it lives.
    pub(super) fn lock_writer(&self, writer: &str) -> Result<Lock, OutboxError> {
        let name = format!("{WRITERS}/{writer}");
        let busy = || io::Error::new(io::ErrorKind::WouldBlock, "another process removes it again and again");
        self.make_folders(&name)?;
        for _ in 0..100 {
            let Some(lock) = self.lock(&name)? else { continue };
            // Somebody who clears up may have removed the file before it was locked.
            if self.exists(&name)? {
                return Ok(lock);
            }
        }
        Err(OutboxError::io("locking", &self.path.join(name))(busy()))
    }

    /// Whether a writer is dead: its lock, if it is still there, is nobody's.
    pub(super) fn is_dead(&self, writer: &str) -> Result<bool, OutboxError> {
        let name = format!("{WRITERS}/{writer}");
        self.make_folders(&name)?;
        Ok(self.lock(&name)?.is_some())
    }

    /// Whether some writer lives; the files of the locks of those that do not are removed.
    pub(super) fn has_writers(&self) -> Result<bool, OutboxError> {
        for name in self.names_below(WRITERS)? {
            if self.lock(&name)?.is_none() {
                return Ok(true);
            }
            self.remove(&name)?;
        }
        Ok(false)
    }

    /// Removes the lock's file of a writer that is dead, or that is done.
    pub(super) fn remove_writer(&self, writer: &str) -> Result<(), OutboxError> {
        self.remove(&format!("{WRITERS}/{writer}"))
    }

    /// All plain files, links and others, with their folders' names; hidden ones left out.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, OutboxError> {
        let mut names = Vec::new();
        self.names_in("", &mut names)?;
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn names_below(&self, folder: &str) -> Result<Vec<String>, OutboxError> {
        let mut names = Vec::new();
        if self.exists(folder)? {
            self.names_in(folder, &mut names)?;
        }
        Ok(names)
    }

    fn names_in(&self, above: &str, names: &mut Vec<String>) -> Result<(), OutboxError> {
        let failed = |errno: Errno| OutboxError::io("reading the folder", &self.path.join(above))(errno.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = if above.is_empty() {
            openat(&self.folder, ".", flags, Mode::empty()).map_err(failed)?
        } else {
            let (folder, last) =
                self.folder_of(above).map_err(OutboxError::io("reading the folder", &self.path.join(above)))?;
            openat(folder, last, flags, Mode::empty()).map_err(failed)?
        };
        for entry in rustix::fs::Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') || (above.is_empty() && (name.starts_with(QUEUE_FILE) || name == PUSH_LOCK)) {
                continue;
            }
            let whole = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            let kind =
                statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|facts| FileType::from_raw_mode(facts.st_mode));
            match kind {
                Ok(FileType::Directory) if whole.len() < NAME_LIMIT => self.names_in(&whole, names)?,
                // Gone meanwhile.
                Err(_) => {}
                Ok(_) => names.push(whole),
            }
        }
        Ok(())
    }

    /// Opens the folder that holds a name, part by part and through no link; returns it with the name's last part.
    pub(super) fn folder_of<'a>(&self, name: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        check_name(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        let mut folder = self.folder.as_fd().try_clone_to_owned()?;
        let mut rest = name;
        while let Some((part, below)) = rest.split_once('/') {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = openat(&folder, part, flags, Mode::empty())?;
            rest = below;
        }
        Ok((folder, rest))
    }
}

/// Whether a name stays inside the spool: relative, no part empty, `.` or `..`, none too long, no zero byte.
///
/// # Errors
/// Which of these it is not.
pub fn check_name(name: &str) -> Result<(), OutboxError> {
    let wrong = |what| Err(OutboxError::Name { name: name.chars().take(NAME_LIMIT).collect(), what });
    if name.is_empty() || name.len() > NAME_LIMIT {
        return wrong("it is empty or too long");
    }
    if name.contains('\0') {
        return wrong("it holds a zero byte");
    }
    for part in name.split('/') {
        match part {
            "" | "." | ".." => return wrong("it is not a name below the spool"),
            part if part.len() > PART_LIMIT => return wrong("a part of it is too long"),
            _ => {}
        }
    }
    Ok(())
}

/// Reads a file from its beginning to its end.
pub(super) fn measure(mut file: &File) -> io::Result<Measure> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hash.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
    Ok(Measure { bytes, sha256: hex(&hash.finalize()) })
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Brings a folder's names to the disk: without it a new or renamed file may be gone after a power failure.
pub(super) fn sync(folder: &OwnedFd) -> io::Result<()> {
    Ok(rustix::fs::fsync(folder)?)
}
