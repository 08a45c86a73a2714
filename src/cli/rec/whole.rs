//! Files that commands write outside the spool: each beside its name first, and under it when it is whole.
//! Above: `export`, `open`, `index`, `serve`, `remotes add`.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{Fault, FaultCode};

/// Writes a file that must not be there yet, for its owner alone; a name that is taken is left alone, and nothing is left over where
/// `write` fails.
pub(super) fn write_new(to: &Path, write: impl FnOnce(&File) -> Result<(), Failure>) -> Result<(), Failure> {
    is_free(to)?;
    let beside = beside(to);
    let failed = |error: io::Error| unwritten(to, &error);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    let written = write(&file).and_then(|()| {
        file.sync_all().map_err(failed)?;
        // Takes the name only if nobody else has it.
        fs::hard_link(&beside, to).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(taken(to)),
            // A disk without such links.
            _ => fs::rename(&beside, to).map_err(failed),
        })
    });
    // Gone already, where it was renamed.
    let _ = fs::remove_file(&beside);
    written
}

/// Whether nothing has this name: what [`write_new`] would say, without writing.
pub(super) fn is_free(to: &Path) -> Result<(), Failure> {
    if to.symlink_metadata().is_ok() { Err(taken(to)) } else { Ok(()) }
}

/// Writes a file in the place of what was there, which stays until the new one is whole. A new one has this mode, another keeps its own.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let aside = beside(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
    let kept = path.symlink_metadata().ok().filter(|facts| facts.is_file()).map(|facts| facts.permissions().mode());
    let mut written = || {
        file.write_all(bytes)?;
        if let Some(mode) = kept {
            file.set_permissions(Permissions::from_mode(mode & 0o777))?;
        }
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    written().inspect_err(|_| {
        // The error itself says what is wrong; that nothing could be cleared up either adds nothing.
        let _ = fs::remove_file(&aside);
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

fn taken(to: &Path) -> Failure {
    let fault = Fault::new(FaultCode::Failure, format!("{}: it is there already", to.display()));
    fault.hint("-o names another file").into()
}

/// What the system says of a file that cannot be written.
pub(super) fn unwritten(to: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::BrokenPipe => return Failure::ClosedPipe,
        io::ErrorKind::NotFound => FaultCode::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FaultCode::Denied,
        _ => FaultCode::Failure,
    };
    Fault::new(code, format!("{}: {error}", to.display())).into()
}

#[derive(Serialize)]
struct Wrote<'a> {
    file: &'a Path,
}

/// Says which file there is now: a document of this schema, or a note.
pub(super) fn told(schema: &str, file: &Path, context: &Context) -> Done {
    if context.output.is_json() {
        context.output.document(schema, &Wrote { file })?;
    } else {
        context.output.note(&format!("wrote {}", file.display()));
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_lost_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        fs::write(&old, "before").unwrap();
        let fails = |_: &File| Err(Failure::Silent(Exit::Failure));
        assert!(write_new(&new, fails).is_err() && write_new(&old, |_| panic!("written")).is_err());
        let in_between = write_new(&new, |mut file| {
            file.write_all(b"ours").unwrap();
            fs::write(&new, "theirs").unwrap();
            Ok(())
        });
        assert!(in_between.is_err(), "somebody was faster");
        assert_eq!((fs::read(&new).unwrap(), fs::read(&old).unwrap()), (b"theirs".to_vec(), b"before".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_replaced_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        replace(&path, b"1", 0o640).unwrap();
        assert_eq!(mode(), 0o640);
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        replace(&path, b"2", 0o640).unwrap();
        assert_eq!((mode(), fs::read(&path).unwrap()), (0o604, b"2".to_vec()));
        assert!(replace(folder.path(), b"3", 0o640).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
