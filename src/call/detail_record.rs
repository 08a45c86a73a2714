//! Detail records: one JSON line for every call that ended, appended to `[records] file`.
//! Above: `inbound` and `originate` hand a finished call over. Below: a writer thread that owns the file.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One leg's part in a [`DetailRecord`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LegRecord {
    /// The leg's UUID.
    pub uuid: String,
    /// The configured user whose phone it was.
    pub user: Option<String>,
    /// The number it was called by or calls from.
    pub number: String,
    /// `in` or `out`, seen from the server.
    pub direction: String,
    /// The peer's media address.
    pub address: Option<String>,
    /// The codec in use at the end.
    pub codec: Option<String>,
    /// When it was answered.
    pub answered: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// Q.850 cause.
    pub cause: u8,
    /// RTP packets received from the peer.
    pub packets_in: u64,
    /// RTP packets sent to the peer.
    pub packets_out: u64,
    /// Packets of the peer that never came.
    pub packets_lost: u64,
    /// Interarrival jitter at the end, ms (RFC 3550 §6.4.1).
    pub jitter_ms: f64,
}

/// What remains of a call: who, when, how long, why it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DetailRecord {
    /// The calling leg's UUID.
    pub uuid: String,
    /// The calling number.
    pub from: String,
    /// The caller's name.
    pub from_name: String,
    /// The dialled number.
    pub to: String,
    /// The context in which it was dialled.
    pub context: String,
    /// When the call came in.
    pub started: Timestamp,
    /// When the calling leg was answered.
    pub answered: Option<Timestamp>,
    /// When the calling leg ended.
    pub ended: Timestamp,
    /// From start to end, seconds, by a clock that nobody can set.
    pub duration_s: f64,
    /// From answer to end, seconds; 0 where it was never answered.
    pub billable_s: f64,
    /// `ANSWERED`, `NO ANSWER`, `BUSY` or `FAILED`.
    pub disposition: String,
    /// Q.850 cause.
    pub cause: u8,
    /// The cause in words.
    pub cause_text: String,
    /// Who is charged, where the dialplan said so: `CHANNEL(accountcode)`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// Free text of the dialplan: `CDR(userfield)`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_field: String,
    /// Fields of the dialplan's own, `CDR(anything)`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Both legs, the calling one first, then those that answered.
    pub legs: Vec<LegRecord>,
    /// The ids of its recordings: each is in the outbox by then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recorded: Vec<String>,
}

/// Hands records to the writer thread; the thread ends when the last handle is gone.
#[derive(Clone)]
pub struct Records {
    path: PathBuf,
    queue: mpsc::Sender<Job>,
}

enum Job {
    Write(Box<DetailRecord>),
    Flush(mpsc::Sender<()>),
}

impl Records {
    /// Opens (or makes, 0600) the file at `path` and starts the writer.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        mend_last_line(path, &file)?;
        let (queue, jobs) = mpsc::channel();
        thread::Builder::new().name("records".into()).spawn(move || write_all(&file, &jobs))?;
        Ok(Self { path: path.to_owned(), queue })
    }

    /// Queues one record; it is on its way to the disk in the order given.
    pub fn write(&self, record: DetailRecord) {
        if self.queue.send(Job::Write(Box::new(record))).is_err() {
            tracing::error!("detail record lost: the writer thread is gone");
        }
    }

    /// Returns once everything queued so far is in the file.
    pub fn flush(&self) {
        let (done, wait) = mpsc::channel();
        if self.queue.send(Job::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }

    /// The last `limit` records that ended at or after `since`, oldest first; a damaged line is skipped.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, since: Option<Timestamp>, limit: usize) -> io::Result<Vec<serde_json::Value>> {
        self.flush();
        read_file(&self.path, since, limit)
    }
}

/// As [`Records::read`], of a file whose server may not be running.
///
/// # Errors
/// The file cannot be read.
pub fn read_file(path: &Path, since: Option<Timestamp>, limit: usize) -> io::Result<Vec<serde_json::Value>> {
    let mut kept = std::collections::VecDeque::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(&line?) else { continue };
        let ended = value.get("ended").and_then(|v| v.as_str()).and_then(|v| v.parse::<Timestamp>().ok());
        if since.is_some_and(|since| ended.is_none_or(|ended| ended < since)) {
            continue;
        }
        kept.push_back(value);
        if kept.len() > limit {
            kept.pop_front();
        }
    }
    Ok(kept.into())
}

/// A killed writer may have left half a line: the next record starts on a line of its own.
fn mend_last_line(path: &Path, file: &File) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0u8; 1];
    let mut reader = File::open(path)?;
    reader.seek(SeekFrom::End(-1))?;
    reader.read_exact(&mut last)?;
    if last != *b"\n" {
        let mut file = file;
        file.write_all(b"\n")?;
    }
    Ok(())
}

fn write_all(mut file: &File, jobs: &mpsc::Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Write(record) => {
                let Ok(mut line) = serde_json::to_vec(&record) else { continue };
                line.push(b'\n');
                if let Err(error) = file.write_all(&line) {
                    tracing::error!(uuid = record.uuid, %error, "detail record not written");
                }
            }
            Job::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(uuid: &str, ended: &str) -> DetailRecord {
        let ended: Timestamp = ended.parse().unwrap();
        DetailRecord {
            uuid: uuid.into(),
            from: "1001".into(),
            from_name: "Alice".into(),
            to: "1002".into(),
            context: "internal".into(),
            started: ended,
            answered: None,
            ended,
            duration_s: 0.0,
            billable_s: 0.0,
            disposition: "NO ANSWER".into(),
            cause: 19,
            cause_text: "No answer from user".into(),
            account: String::new(),
            user_field: String::new(),
            fields: BTreeMap::new(),
            legs: Vec::new(),
            recorded: Vec::new(),
        }
    }

    #[test]
    fn records_are_read_back_in_order_and_by_time() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(&folder.path().join("calls.jsonl")).unwrap();
        records.write(record("one", "2026-11-20T10:00:00Z"));
        records.write(record("two", "2026-11-20T11:00:00Z"));
        let all = records.read(None, 10).unwrap();
        assert_eq!(all.iter().map(|r| r["uuid"].as_str().unwrap()).collect::<Vec<_>>(), ["one", "two"]);
        let late = records.read(Some("2026-11-20T10:30:00Z".parse().unwrap()), 10).unwrap();
        assert_eq!(late.len(), 1);
        assert_eq!(records.read(None, 1).unwrap()[0]["uuid"], "two");
    }

    #[test]
    fn half_a_line_of_a_killed_server_spoils_no_other_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.jsonl");
        std::fs::write(&path, b"{\"uuid\":\"half").unwrap();
        let records = Records::open(&path).unwrap();
        records.write(record("whole", "2026-11-20T10:00:00Z"));
        assert_eq!(records.read(None, 10).unwrap().len(), 1);
    }
}
