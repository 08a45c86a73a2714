//! Reads entries one by one, for lists; whether they are genuine is for `verify` to say.

use std::fs::File;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::Record;
use super::error::EvidenceError;
use super::lines::Lines;

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// Only of that time or later.
    pub since: Option<Timestamp>,
    /// Only of that session.
    pub session: Option<String>,
    /// Only of that supervisor.
    pub who: Option<String>,
}

impl Wanted {
    fn admits(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        self.since.is_none_or(|since| record.time >= since)
            && is(&self.session, &record.entry.session)
            && is(&self.who, &record.entry.who)
    }
}

/// Calls `each` with every wanted entry, the oldest first, until it returns false. Returns how many lines were no entries.
///
/// # Errors
/// There is no log, or it cannot be read.
pub fn read(path: &Path, wanted: &Wanted, mut each: impl FnMut(Record) -> bool) -> Result<u64, EvidenceError> {
    let reading = EvidenceError::io("reading", path);
    let file = open(path)?;
    let mut lines = Lines::from(&file, 0).map_err(&reading)?;
    let mut unread = 0;
    while let Some(raw) = lines.next().map_err(&reading)? {
        match serde_json::from_slice::<Record>(&raw.bytes) {
            Ok(record) if !wanted.admits(&record) => {}
            Ok(record) => {
                if !each(record) {
                    break;
                }
            }
            Err(_) if raw.whole => unread += 1,
            // Half a line is one that is just being written.
            Err(_) => {}
        }
    }
    Ok(unread)
}

/// Opens a log for reading.
pub(super) fn open(path: &Path) -> Result<File, EvidenceError> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => EvidenceError::Missing { path: path.to_owned() },
        _ => EvidenceError::io("opening", path)(error),
    })
}
