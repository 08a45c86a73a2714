//! A list of the files that have been imported, so that the next run need not read them all again. Losing it costs time, no recording:
//! what was imported is known by its content.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::Take;
use crate::outbox::{RecordingId, Spool};

/// Its name in the spool.
const FILE: &str = ".imported";

/// A file that has been imported, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    modified_ns: i128,
    id: RecordingId,
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
        take.files().all(|file| {
            let path = fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
            let entry = self.entries.get(&path);
            entry.is_some_and(|entry| (entry.bytes, entry.modified_ns) == (file.bytes, file.modified_ns))
        })
    }

    /// Notes that it has been.
    pub(super) fn add(&mut self, take: &Take, id: RecordingId) {
        for file in take.files() {
            let path = fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
            self.entries.insert(path, Entry { bytes: file.bytes, modified_ns: file.modified_ns, id });
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
