//! A list of the files that have been imported or refused, so that the next run need not read them all again, nor say again what is
//! wrong with them. Losing it costs time, no recording: what was imported is known by its content.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::{Found, Take};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::{RecordingId, Spool};

/// Its name in the spool.
const FILE: &str = ".imported";

/// A file that has been looked at, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    modified_ns: i128,
    /// The recording that it has become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<RecordingId>,
    /// Why it became none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Refused {
    why: String,
    /// When its content, its owner or its permissions had been changed last.
    changed_ns: i128,
}

/// The list.
pub(super) struct Ledger {
    spool: Arc<Spool>,
    entries: BTreeMap<PathBuf, Entry>,
    is_changed: bool,
}

impl Ledger {
    /// Reads it; one that is not there is empty.
    ///
    /// # Errors
    /// It cannot be read, or is no such list: what was refused would be said anew, and the list be lost with it.
    pub(super) fn open(spool: &Arc<Spool>) -> Result<Self, Fault> {
        let path = spool.path().join(FILE);
        let wrong = |code, why: String| {
            let hint = "without that file all files are looked at again; none is imported twice";
            Fault::new(code, format!("{}: {why}", path.display())).hint(hint)
        };
        let entries = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| wrong(FaultCode::Invalid, error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(wrong(FaultCode::Failure, error.to_string())),
        };
        Ok(Self { spool: spool.clone(), entries, is_changed: false })
    }

    /// Whether all files of it have been imported as they are.
    pub(super) fn has(&self, take: &Take) -> bool {
        take.files().all(|file| self.entry(file).is_some_and(|entry| entry.id.is_some()))
    }

    /// Why it was refused, if all files of it are still as they were then.
    pub(super) fn refused(&self, take: &Take) -> Option<&str> {
        let why = |file: &Found| {
            let refused = self.entry(file)?.refused.as_ref()?;
            (refused.changed_ns == file.changed_ns).then_some(refused.why.as_str())
        };
        take.files().map(why).reduce(|first, next| first.and(next))?
    }

    /// What is known of a file, if it is still as long and as old as it was then.
    fn entry(&self, file: &Found) -> Option<&Entry> {
        let entry = self.entries.get(&place(file))?;
        ((entry.bytes, entry.modified_ns) == (file.bytes, file.modified_ns)).then_some(entry)
    }

    /// Notes that it has been imported.
    pub(super) fn add(&mut self, take: &Take, id: RecordingId) {
        self.note(take, |_| (Some(id), None));
    }

    /// Notes that it is not to be had.
    pub(super) fn refuse(&mut self, take: &Take, why: &str) {
        self.note(take, |file| (None, Some(Refused { why: why.to_owned(), changed_ns: file.changed_ns })));
    }

    fn note(&mut self, take: &Take, fate: impl Fn(&Found) -> (Option<RecordingId>, Option<Refused>)) {
        for file in take.files() {
            let (id, refused) = fate(file);
            let entry = Entry { bytes: file.bytes, modified_ns: file.modified_ns, id, refused };
            self.entries.insert(place(file), entry);
            self.is_changed = true;
        }
    }

    /// Writes it, without files that are gone.
    pub(super) fn save(mut self) {
        if !self.is_changed {
            return;
        }
        self.entries.retain(|path, _| path.symlink_metadata().is_ok());
        if let Ok(text) = serde_json::to_vec(&self.entries) {
            // The next run reads the files again then.
            let _ = self.spool.write_whole(FILE, &text);
        }
    }
}

/// Where a file is, whatever leads there.
fn place(file: &Found) -> PathBuf {
    fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone())
}
