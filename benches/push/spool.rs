//! The recordings that are delivered: a spool filled once, and made undelivered again before each run.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;
use wirechief::outbox::{Manifest, Outbox};

use crate::PARALLEL;
use crate::receiver::Receiver;

/// A spool full of recordings.
pub(crate) struct Recordings {
    folder: PathBuf,
    queue: Connection,
    /// By key, which for a recording of one file is its id.
    files: HashMap<String, PathBuf>,
    bytes: u64,
}

impl Recordings {
    /// Makes a spool with so many recordings of so many bytes, none of them delivered.
    pub(crate) fn fill(folder: &Path, count: u64, bytes: u64) -> anyhow::Result<Self> {
        let spool = folder.join("spool");
        let outbox = Outbox::open(&spool)?;
        outbox.set_remotes(&["crm"])?;
        let mut files = HashMap::new();
        for nth in 0..count {
            let begun = outbox.begin(&Manifest {
                from: "1001".into(),
                from_name: "Alice".into(),
                to: format!("+4178575{nth:04}"),
                call: format!("call-{nth}"),
                leg: format!("leg-{nth}"),
                ..Manifest::new(&format!("day/call-{nth}.wav"), Timestamp::now())
            })?;
            let path = outbox.spool().path_of(&begun.file)?;
            write(&path, nth, bytes)?;
            let finished = outbox.finish(begun)?;
            files.insert(finished.id.to_string(), path);
        }
        let queue = Connection::open(spool.join("outbox.sqlite3"))?;
        Ok(Self { folder: folder.to_owned(), queue, files, bytes: bytes * count })
    }

    pub(crate) fn len(&self) -> u64 {
        self.files.len() as u64
    }

    /// Of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file of a key.
    pub(crate) fn file(&self, key: &str) -> Option<&Path> {
        self.files.get(key).map(PathBuf::as_path)
    }

    /// A place for a file beside the spool.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the settings by which they go to this receiver.
    pub(crate) fn settings(&self, receiver: &Receiver) -> anyhow::Result<PathBuf> {
        let authority = receiver.authority().map_or(String::new(), |path| format!("ca_file = {path:?}\n"));
        let spool = self.folder.join("spool");
        let settings = format!(
            "[recording]\nspool = {spool:?}\n\n[remotes.crm]\nmethod = \"PUT\"\nurl = \"{}/{{{{ id }}}}\"\n\
             parallel = {PARALLEL}\n{authority}",
            receiver.url()
        );
        let path = self.beside("pbx.toml");
        fs::write(&path, settings)?;
        Ok(path)
    }

    /// As if nothing had been sent yet.
    pub(crate) fn undeliver(&self) -> anyhow::Result<()> {
        self.queue.execute(
            "UPDATE deliveries SET state = 'pending', attempts = 0, due_ms = 0, receipt = NULL, delivered_ms = NULL",
            (),
        )?;
        Ok(())
    }

    /// How many receipts are kept.
    pub(crate) fn delivered(&self) -> anyhow::Result<u64> {
        let sql = "SELECT count(*) FROM deliveries WHERE state = 'delivered' AND receipt IS NOT NULL";
        Ok(u64::try_from(self.queue.query_row(sql, (), |row| row.get::<_, i64>(0))?)?)
    }
}

/// Bytes of no pattern, other ones in each file.
fn write(path: &Path, seed: u64, bytes: u64) -> anyhow::Result<()> {
    let mut file = fs::File::create(path)?;
    let (mut state, mut left) = (seed + 1, usize::try_from(bytes)?);
    let mut piece = Vec::with_capacity(64 * 1_024);
    while left > 0 {
        piece.clear();
        while piece.len() < piece.capacity() {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            piece.extend_from_slice(&state.to_le_bytes());
        }
        let part = piece.len().min(left);
        file.write_all(&piece[..part])?;
        left -= part;
    }
    Ok(())
}
