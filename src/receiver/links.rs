//! The key that links are signed with, and what a link that comes back leads to. Above: `pages`, `rec link`. Below: `outbox::link`.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use jiff::Timestamp;

use super::error::ReceiverError;
use super::users::private_secret;
use crate::config::Secret;
use crate::outbox::{RecordingId, link};

/// Reads the key; makes it, for its owner alone, where there is none.
///
/// # Errors
/// It cannot be read or made, or others may read it.
pub fn key(path: &Path) -> Result<Secret, ReceiverError> {
    match private_secret(path) {
        Err(ReceiverError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            make(path).map_err(ReceiverError::io("making the links' key", path))?;
            private_secret(path)
        }
        read => read,
    }
}

/// Written aside and given its name only when it is whole; of two who make one at once the first wins.
fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let text: zeroize::Zeroizing<String> =
        zeroize::Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let aside = Path::new(&name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside)?;
    let made =
        writeln!(file, "{}", *text).and_then(|()| file.sync_all()).and_then(|()| std::fs::hard_link(aside, path));
    std::fs::remove_file(aside)?;
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// The recording, and which of its files, from 1, that a link leads to.
pub(super) fn check(
    key: &Secret,
    (what, to): (&str, Option<&str>),
    given: (&str, &str),
) -> Result<(RecordingId, usize), &'static str> {
    link::check(key, (what, to), given, Timestamp::now())?;
    which(what).ok_or("This link does not hold")
}

/// `ID` or `ID.PART`.
pub(super) fn which(what: &str) -> Option<(RecordingId, usize)> {
    let (id, part) = what.split_once('.').unwrap_or((what, "1"));
    Some((id.parse().ok()?, part.parse().ok()?))
}
