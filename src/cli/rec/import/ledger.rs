//! A list of the files that have been imported or refused, so that the next run need not read them all again, nor say again what is
//! wrong with them. Losing it costs time, no recording: what was imported is known by its content.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::{Found, Take};
use crate::outbox::{RecordingId, Spool};

/// Its name in the spool.
const FILE: &str = ".imported";

/// A file that has been looked at, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    modified_ns: i128,
    #[serde(flatten)]
    fate: Fate,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Fate {
    Imported {
        id: RecordingId,
    },
    /// `changed_ns`: when its content, its owner or its permissions were changed last.
    Refused {
        refused: String,
        changed_ns: i128,
    },
}

/// The list.
pub(super) struct Ledger {
    spool: Arc<Spool>,
    entries: BTreeMap<PathBuf, Entry>,
    is_changed: bool,
}

impl Ledger {
    /// Reads it; one that cannot be read is empty.
    pub(super) fn open(spool: &Arc<Spool>) -> Self {
        let text = fs::read(spool.path().join(FILE)).unwrap_or_default();
        let entries = serde_json::from_slice(&text).unwrap_or_default();
        Self { spool: spool.clone(), entries, is_changed: false }
    }

    /// Whether all files of it have been imported as they are.
    pub(super) fn has(&self, take: &Take) -> bool {
        take.files().all(|file| self.fate(file).is_some_and(|fate| matches!(fate, Fate::Imported { .. })))
    }

    /// Why it was refused, if all files of it are still as they were then.
    pub(super) fn refused(&self, take: &Take) -> Option<&str> {
        let why = |file: &Found| match self.fate(file) {
            Some(Fate::Refused { refused, changed_ns }) if *changed_ns == file.changed_ns => Some(refused.as_str()),
            _ => None,
        };
        take.files().map(why).reduce(|first, next| first.and(next))?
    }

    /// What became of a file, if it is still as long and as old as it was then.
    fn fate(&self, file: &Found) -> Option<&Fate> {
        let entry = self.entries.get(&place(file))?;
        ((entry.bytes, entry.modified_ns) == (file.bytes, file.modified_ns)).then_some(&entry.fate)
    }

    /// Notes that it has been imported.
    pub(super) fn add(&mut self, take: &Take, id: RecordingId) {
        self.note(take, |_| Fate::Imported { id });
    }

    /// Notes that it is not to be had.
    pub(super) fn refuse(&mut self, take: &Take, why: &str) {
        self.note(take, |file| Fate::Refused { refused: why.to_owned(), changed_ns: file.changed_ns });
    }

    fn note(&mut self, take: &Take, fate: impl Fn(&Found) -> Fate) {
        for file in take.files() {
            let entry = Entry { bytes: file.bytes, modified_ns: file.modified_ns, fate: fate(file) };
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
