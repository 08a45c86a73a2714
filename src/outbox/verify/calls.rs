//! The detail records, as far as they tell of recordings.
//! Above: `verify`. Below: the server's file of JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

/// A call that has ended.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// The calling leg's UUID.
    pub uuid: String,
    /// The calling number.
    #[serde(default)]
    pub from: String,
    /// The dialled number.
    #[serde(default)]
    pub to: String,
    /// When it came in.
    pub started: Timestamp,
    /// When it was answered; `None`: never.
    #[serde(default)]
    pub answered: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// From start to end, seconds, by a clock that nobody can set.
    #[serde(default)]
    pub duration_s: f64,
    /// Who took part.
    #[serde(default)]
    pub legs: Vec<CallLeg>,
    /// The ids of its recordings.
    #[serde(default)]
    pub recorded: Vec<String>,
}

impl Call {
    /// From start to end; `None`: nobody measured it, and the clock was put back over it.
    pub(super) fn lasted(&self) -> Option<Duration> {
        let measured = Duration::try_from_secs_f64(self.duration_s).ok().filter(|length| !length.is_zero());
        measured.or_else(|| Duration::try_from(self.ended.duration_since(self.started)).ok())
    }
}

/// A leg of a call that has ended.
#[derive(Clone, Debug, Deserialize)]
pub struct CallLeg {
    /// Its UUID.
    pub uuid: String,
    /// The configured user whose phone it was.
    #[serde(default)]
    pub user: Option<String>,
    /// The number it was called by or calls from.
    #[serde(default)]
    pub number: String,
    /// When it was answered.
    #[serde(default)]
    pub answered: Option<Timestamp>,
}

/// The longest line; what is longer is no record of ours.
const LINE_LIMIT: u64 = 1 << 20;

/// Reads the calls one by one; a line that is no record is told by its number. No file: no calls.
pub(super) fn each(path: &Path, take: &mut dyn FnMut(Result<Call, u64>)) -> io::Result<()> {
    let mut lines = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => BufReader::new(file?),
    };
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if io::Read::take(&mut lines, LINE_LIMIT).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        // One without its end is just being written.
        if !line.ends_with(b"\n") && (line.len() as u64) < LINE_LIMIT {
            return Ok(());
        }
        if !line.trim_ascii().is_empty() {
            take(serde_json::from_slice(&line).map_err(|_| number));
        }
    }
}
