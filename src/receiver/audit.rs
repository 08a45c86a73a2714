//! Who took which recording, and who was refused: one line of JSON each, on the disk before a byte of audio leaves.
//! Above: every answer of the server. Below: a file that is opened anew for each line, so that it may be moved away.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

/// As much of what was asked for is put on record, in bytes.
const ASKED_LIMIT: usize = 512;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    /// A recording was asked for by a person or a program that logs in.
    Download,
    /// A recording was asked for by a signed link.
    Link,
    /// The list was looked at.
    List,
    /// A recording was delivered here.
    Delivery,
    /// A notice was received, and its recording fetched.
    Notice,
    /// A remote says that it has a recording.
    Receipt,
    /// A login failed.
    Login,
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line<'a> {
    /// What happened.
    pub(super) event: Event,
    /// The user; empty: nobody who is known.
    pub(super) who: &'a str,
    /// The address it came from.
    pub(super) from: IpAddr,
    /// What was asked for, as it was asked.
    pub(super) what: &'a str,
    /// The recording's id, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// Status of the answer.
    pub(super) status: u16,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'a str>,
}

#[derive(Serialize)]
struct Dated<'a> {
    time: Timestamp,
    #[serde(flatten)]
    line: &'a Line<'a>,
}

/// The file of lines.
#[derive(Debug)]
pub(super) struct Audit {
    path: PathBuf,
    /// One line at a time: a long one would be written in parts.
    writing: Mutex<()>,
}

impl Audit {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, writing: Mutex::new(()) }
    }

    /// Appends a line; blocks for the disk.
    ///
    /// # Errors
    /// It could not be written.
    pub(super) fn write(&self, line: &Line<'_>) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(&Dated { time: Timestamp::now(), line }).map_err(io::Error::from)?;
        bytes.push(b'\n');
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?.write_all(&bytes)
    }
}

/// The beginning of a text, as much as is put on record.
pub(super) fn shortened(text: &str) -> &str {
    let end = (0..=ASKED_LIMIT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line_whatever_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("downloads.jsonl");
        let audit = Audit::new(path.clone());
        let from = IpAddr::from([127, 0, 0, 1]);
        let line =
            Line { event: Event::Download, who: "a\nb", from, what: "../x\r\n{\"", id: None, status: 404, why: None };
        audit.write(&line).unwrap();
        audit.write(&Line { why: Some("liar"), ..line }).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let read: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((read.len(), &read[0]["who"], &read[1]["why"]), (2, &"a\nb".into(), &"liar".into()));
        assert!(read[0]["time"].as_str().unwrap().ends_with('Z'));
    }
}
