//! A folder of this machine, another disk or a network share: recordings appear in it whole, never twice, never one over another.
//! Above: the table of kinds. Below: the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::answer::{later, never};
use super::{DeliveryError, Parcel, Progress, Receipt, Remote, RemoteError, Retry};
use crate::config::RemoteSettings;
use crate::outbox::manifest::manifest_name;
use crate::outbox::spool::{Measure, hex, measure};

/// Bytes copied between two looks at the future.
const PIECE_BYTES: u64 = 256 * 1024;

/// A folder.
pub(super) struct Folder {
    path: PathBuf,
}

/// A copy on its way; the file below its temporary name is removed with it.
struct Copy {
    parcel: Parcel,
    from: File,
    to: File,
    temporary: PathBuf,
    hash: Sha256,
    bytes: u64,
}

impl Drop for Copy {
    fn drop(&mut self) {
        // renamed by now, or of no use; nobody could do anything about a failure
        let _ = std::fs::remove_file(&self.temporary);
    }
}

impl Folder {
    pub(super) fn new(settings: &RemoteSettings) -> Result<Self, RemoteError> {
        let path = settings.folder.clone().ok_or_else(|| RemoteError::lacks(settings, "folder"))?;
        Ok(Self { path })
    }

    async fn run(&self, parcel: &Parcel, progress: &dyn Progress) -> Result<Receipt, DeliveryError> {
        let target = self.path.join(&parcel.file);
        let failed = |error: &io::Error| later(format!("{}: {error}", target.display()));
        let receipt = || Receipt {
            id: parcel.file.clone(),
            sha256: Some(parcel.sha256.clone()),
            size: Some(parcel.size),
            ..Receipt::default()
        };
        let there = blocking({
            let target = target.clone();
            move || hash_of(&target)
        });
        match there.await.map_err(|error| failed(&error))? {
            Some(hash) if hash == parcel.sha256 => {
                // An attempt that was killed may have left it in the system's memory alone.
                let (place, root) = (target.clone(), self.path.clone());
                blocking(move || File::open(&place)?.sync_all().and_then(|()| sync_folders(&place, &root)))
                    .await
                    .map_err(|error| failed(&error))?;
                self.manifest(parcel, &target).await?;
                return Ok(receipt());
            }
            Some(_) => return Err(never(format!("{}: another file has this name", target.display()))),
            None => {}
        }
        let mut copy = blocking({
            let (parcel, target, root) = (parcel.clone(), target.clone(), self.path.clone());
            move || start(&parcel, &target, &root)
        })
        .await
        .map_err(|error| failed(&error))?;
        loop {
            let (back, moved) = blocking(move || copy.step()).await.map_err(|error| failed(&error))?;
            copy = back;
            progress.sent(moved);
            if moved == 0 {
                break;
            }
        }
        if !copy.is_whole() {
            let what = format!("{}: the recording has changed while it was copied", target.display());
            return Err(DeliveryError { what, retry: Retry::Changed });
        }
        let (place, root) = (target.clone(), self.path.clone());
        blocking(move || copy.finish(&place).and_then(|()| sync_folders(&place, &root)))
            .await
            .map_err(|error| failed(&error))?;
        self.manifest(parcel, &target).await?;
        Ok(receipt())
    }

    /// The manifest beside the audio; written again when it is there, as it only ever grows.
    async fn manifest(&self, parcel: &Parcel, target: &Path) -> Result<(), DeliveryError> {
        if parcel.part != 1 {
            return Ok(());
        }
        let name = self.path.join(manifest_name(&parcel.file));
        let bytes = parcel.manifest_json.clone();
        let temporary = beside(&name, &parcel.key);
        let told = name.clone();
        let folder = target.parent().unwrap_or(&self.path).to_owned();
        blocking(move || {
            let mut file = create(&temporary)?;
            let written = file.write_all(&bytes).and_then(|()| file.sync_all());
            let renamed = written.and_then(|()| std::fs::rename(&temporary, &name));
            if renamed.is_err() {
                // of no use; the error that counts is the first
                let _ = std::fs::remove_file(&temporary);
            }
            renamed.and_then(|()| sync_folder(&folder))
        })
        .await
        .map_err(|error| later(format!("{}: {error}", told.display())))
    }
}

impl Remote for Folder {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(self.run(parcel, progress))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn measures(&self) -> bool {
        true
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The hash of a file that is there already. What is none (a pipe that somebody has put there) is not waited for.
fn hash_of(path: &Path) -> io::Result<Option<String>> {
    match OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path) {
        Ok(file) if !file.metadata()?.is_file() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no file has this name"))
        }
        Ok(file) => measure(&file).map(|measure| Some(measure.sha256)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens both ends. The folder itself must be there: a share that is not mounted is no place to write to.
fn start(parcel: &Parcel, target: &Path, root: &Path) -> io::Result<Copy> {
    if !root.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no folder {}", root.display())));
    }
    if let Some(folder) = target.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let from = parcel.open().map_err(io::Error::other)?;
    let temporary = beside(target, &parcel.key);
    let to = create(&temporary)?;
    Ok(Copy { parcel: parcel.clone(), from, to, temporary, hash: Sha256::new(), bytes: 0 })
}

/// A name beside `path` that no recording has.
fn beside(path: &Path, key: &str) -> PathBuf {
    path.with_file_name(format!(".{key}.part"))
}

/// A new file for its owner alone; what an attempt that was killed has left is removed, never written through.
fn create(temporary: &Path) -> io::Result<File> {
    match std::fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Brings the names on the way from `root` to a file to the disk: a folder that was made for it is one of them.
fn sync_folders(path: &Path, root: &Path) -> io::Result<()> {
    let mut within = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    within.try_for_each(sync_folder)
}

impl Copy {
    /// Copies a piece; 0 bytes: the file has ended.
    fn step(mut self) -> io::Result<(Self, u64)> {
        let mut piece = Vec::new();
        let read = (&mut self.from).take(PIECE_BYTES).read_to_end(&mut piece);
        read.map_err(|error| self.parcel.found_wrong(error))?;
        self.to.write_all(&piece)?;
        self.hash.update(&piece);
        let moved = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(moved);
        Ok((self, moved))
    }

    /// Whether it is what it should be, and so the recording what it was.
    fn is_whole(&mut self) -> bool {
        let found = Measure { bytes: self.bytes, sha256: hex(&self.hash.finalize_reset()) };
        let expected = Measure { bytes: self.parcel.size, sha256: self.parcel.sha256.clone() };
        let is_same = found == expected;
        if is_same {
            self.parcel.found_same();
        } else {
            self.parcel.found_wrong(found.differs_from(&expected));
        }
        is_same
    }

    /// Gives the copy its name, when it is on the disk and no other file has got that name meanwhile.
    fn finish(self, target: &Path) -> io::Result<()> {
        self.to.sync_all()?;
        match std::fs::hard_link(&self.temporary, target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // a share without hard links: the name was free a moment ago
            Err(_) => std::fs::rename(&self.temporary, target),
        }
    }
}
