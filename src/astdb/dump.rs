//! Dumps: all entries as lines of JSON, sealed as they are or in clear; loading them again; copies of the whole file.
//! Above: `astdb dump`, `load`, `backup`. Below: the file and `change`.

use std::fs::OpenOptions;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::error::StoreError;
use super::key::Recipe;
use super::list::{Detail, Select};
use super::schema;
use super::seal::Place;
use super::store::Store;
use super::unlock::{Head, Keyed, NameMode, generations, head, unlock_generations};
use super::value::{Value, check_names, check_value};

/// The form of dumps that is written and read.
pub const DUMP_SCHEMA: &str = "astdb.dump/1";
/// Entries loaded in one commit.
const BATCH: usize = 1_000;

/// The first line of a dump.
#[derive(Debug, Serialize, Deserialize)]
struct Heading {
    schema: String,
    /// Values are as they stand in the store, to be opened with its key.
    sealed: bool,
    /// The store, in hexadecimal digits; only where values are sealed, as the rest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    store: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    generations: Vec<DumpedGeneration>,
}

#[derive(Debug, Serialize, Deserialize)]
struct DumpedGeneration {
    number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    #[serde(default)]
    memory_kib: u32,
    #[serde(default)]
    passes: u32,
    secrets: String,
}

/// Every other line: the value in exactly one form.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    family: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// A value that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
}

/// What a dump cannot be read for.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// A line that is not what it should be.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dump could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is done with the entries that are there when a dump is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// They stay, where the dump has no entry of that name.
    Merge,
    /// They go.
    Replace,
    /// Nothing is written; the dump is only read to its end.
    Try,
}

impl Store {
    /// Writes every entry as a line. [`Detail::Names`] leaves values sealed and needs no key where names are plain.
    ///
    /// # Errors
    /// The store cannot be read, a value is damaged, or `to` cannot be written.
    pub fn dump(&self, detail: Detail, to: &mut dyn io::Write) -> Result<u64, DumpError> {
        let path = &self.setup().path;
        let heading = match (detail, schema::open_reading(path, self.setup().patience)?) {
            (Detail::Names, Some(conn)) => self.heading(&conn)?,
            _ => Heading { schema: DUMP_SCHEMA.into(), sealed: false, store: String::new(), generations: Vec::new() },
        };
        json_line(to, &heading)?;
        let mut failed: Option<DumpError> = None;
        let each = &mut |entry: super::list::Entry| {
            let mut line = Line {
                family: entry.family,
                key: entry.key,
                value: None,
                value_hex: None,
                sealed: None,
                version: None,
            };
            match entry.value {
                Some(Ok(value)) => match std::str::from_utf8(value.expose()) {
                    Ok(text) => line.value = Some(text.to_owned()),
                    Err(_) => line.value_hex = Some(hex(value.expose())),
                },
                Some(Err(error)) => {
                    failed = Some(error.into());
                    return ControlFlow::Break(());
                }
                None => (line.sealed, line.version) = (entry.blob.as_deref().map(hex), Some(entry.version)),
            }
            match json_line(to, &line) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error.into());
                    ControlFlow::Break(())
                }
            }
        };
        let detail = if detail == Detail::Names { Detail::Sealed } else { detail };
        let count = self.list(&Select::All, detail, each)?;
        failed.map_or(Ok(count), Err)
    }

    fn heading(&self, conn: &Connection) -> Result<Heading, StoreError> {
        let sqlite = |error| StoreError::from_sqlite(&error, &self.setup().path);
        let of = head(conn).map_err(sqlite)?;
        if of.names == NameMode::Hidden {
            // Its names must be opened for the dump; so the key must be here.
            self.reader().keyed()?;
        }
        let dumped = |(number, recipe, secrets): (u32, Recipe, Vec<u8>)| match recipe {
            Recipe::Random => DumpedGeneration { number, salt: None, memory_kib: 0, passes: 0, secrets: hex(&secrets) },
            Recipe::Passphrase { salt, memory_kib, passes } => {
                DumpedGeneration { number, salt: Some(hex(&salt)), memory_kib, passes, secrets: hex(&secrets) }
            }
        };
        let generations = generations(conn).map_err(sqlite)?.into_iter().map(dumped).collect();
        let names = format!("{}:{}", hex(&of.id), of.names.word());
        Ok(Heading { schema: DUMP_SCHEMA.into(), sealed: true, store: names, generations })
    }

    /// Reads the lines of a dump and writes their entries; how many.
    ///
    /// # Errors
    /// A line is wrong or damaged: then nothing of it and of those behind it was written, and with [`Load::Replace`] nothing at all.
    pub fn load(&self, from: &mut dyn io::BufRead, load: Load) -> Result<u64, DumpError> {
        let mut lines = io::BufRead::lines(from).enumerate().map(|(index, line)| (index + 1, line));
        let wrong = |line: usize, what: &str| DumpError::Line { line, what: what.to_owned() };
        let first = lines.next().ok_or_else(|| wrong(1, "there is nothing"))?.1?;
        let heading: Heading = serde_json::from_str(&first).map_err(|_| wrong(1, "it is not the heading of a dump"))?;
        if heading.schema != DUMP_SCHEMA {
            return Err(wrong(1, "a dump of an unknown form"));
        }
        let keyed = if heading.sealed { Some(self.dumped_keys(&heading)?) } else { None };
        let (mut count, mut waiting) = (0, Vec::new());
        if load == Load::Replace {
            for family in self.families()? {
                waiting.push(Change::RemoveTree { family, prefix: None });
            }
        }
        for (number, line) in lines {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let line: Line = serde_json::from_str(&line).map_err(|_| wrong(number, "it is no entry of a dump"))?;
            waiting.push(put(line, keyed.as_ref()).map_err(|what| DumpError::Line { line: number, what })?);
            count += 1;
            match load {
                Load::Try => waiting.clear(),
                Load::Merge if waiting.len() >= BATCH => {
                    self.change_blocking(Change::All(std::mem::take(&mut waiting)))?;
                }
                Load::Merge | Load::Replace => {}
            }
        }
        if load != Load::Try && !waiting.is_empty() {
            self.change_blocking(Change::All(waiting))?;
        }
        Ok(count)
    }

    /// The keys of the store that a dump is from.
    fn dumped_keys(&self, heading: &Heading) -> Result<Keyed, DumpError> {
        let wrong = || DumpError::Line { line: 1, what: "its heading is damaged".to_owned() };
        let (id, names) = heading.store.split_once(':').ok_or_else(wrong)?;
        let id = unhex(id).and_then(|id| id.try_into().ok()).ok_or_else(wrong)?;
        let names = if names == "hidden" { NameMode::Hidden } else { NameMode::Plain };
        let newest = heading.generations.iter().map(|generation| generation.number).max().ok_or_else(wrong)?;
        let of = Head { id, names, generation: newest };
        let mut all = Vec::new();
        for generation in &heading.generations {
            let recipe = match &generation.salt {
                None => Recipe::Random,
                Some(salt) => Recipe::Passphrase {
                    salt: unhex(salt).and_then(|salt| salt.try_into().ok()).ok_or_else(wrong)?,
                    memory_kib: generation.memory_kib,
                    passes: generation.passes,
                },
            };
            all.push((generation.number, recipe, unhex(&generation.secrets).ok_or_else(wrong)?));
        }
        Ok(unlock_generations(of, all, (&self.setup().path, &self.setup().keys))?)
    }

    /// Copies the whole store to a new file, sealed as it is, while others read and write.
    ///
    /// # Errors
    /// There is no store, or the file cannot be written; no half copy is left under its name.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let path = &self.setup().path;
        let Some(from) = schema::open_reading(path, self.setup().patience)? else {
            return Err(StoreError::NotAStore { path: path.clone(), what: "it is not there" });
        };
        let failed = |source| StoreError::Io { path: to.to_owned(), source };
        if to.canonicalize().is_ok_and(|to| path.canonicalize().is_ok_and(|path| path == to)) {
            return Err(StoreError::Name("the copy would stand in the place of the store itself"));
        }
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let beside = to.with_file_name(name);
        // One of ours, left by a process of this number that was killed.
        let _ = std::fs::remove_file(&beside);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
        let copied = copy(&from, &beside).map_err(|error| StoreError::from_sqlite(&error, to));
        let done = copied.and_then(|()| {
            OpenOptions::new().read(true).open(&beside).and_then(|file| file.sync_all()).map_err(failed)?;
            fold_log(to, self.setup().patience)?;
            std::fs::rename(&beside, to).map_err(failed)?;
            super::files::sync_folder_of(to)
        });
        if done.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        done
    }
}

/// Folds in the log of a store that a copy will replace: left beside the copy, SQLite would take it for the copy's own.
fn fold_log(of: &Path, patience: Duration) -> Result<(), StoreError> {
    let mut log = of.as_os_str().to_owned();
    log.push("-wal");
    if !std::fs::metadata(&log).is_ok_and(|facts| facts.len() > 0) {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let folded = Connection::open_with_flags(of, flags).and_then(|conn| {
        conn.busy_timeout(patience)?;
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, i64>(0))
    });
    match folded.map_err(|error| StoreError::from_sqlite(&error, of))? {
        0 => Ok(()),
        _ => Err(StoreError::Busy { path: of.to_owned() }),
    }
}

fn copy(from: &Connection, to: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(to, flags)?;
    {
        let backup = Backup::new(from, &mut copy)?;
        backup.run_to_completion(4_096, Duration::from_millis(1), None)?;
    }
    // The copy is one file: its log is folded in. Opened as a store it gets one again.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.pragma_update(None, "journal_mode", "WAL")
}

fn put(line: Line, keyed: Option<&Keyed>) -> Result<Change, String> {
    let Line { family, key, value, value_hex, sealed, version } = line;
    check_names(&family, &key).map_err(|error| error.to_string())?;
    let value = match (value, value_hex, sealed, keyed) {
        (Some(text), None, None, _) => Value::from(text),
        (None, Some(digits), None, _) => Value::new(unhex(&digits).ok_or("its value is not hexadecimal")?),
        (None, None, Some(digits), Some(keyed)) => {
            let blob = unhex(&digits).ok_or("its value is not hexadecimal")?;
            let place = Place::value(&family, &key, version.ok_or("it has no version")?);
            keyed.open(place, &blob).map_err(|what| format!("/{family}/{key}: the value is damaged: {what}"))?
        }
        _ => return Err("it has no value, or more than one".to_owned()),
    };
    check_value(&value).map_err(|error| error.to_string())?;
    Ok(Change::Put { family, key, value })
}

fn json_line(to: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(value)?;
    if text.chars().any(char::is_control) {
        // JSON lets some pass that a terminal obeys; they stand within its strings only, where it has an escape for them.
        let escaped = |c: char| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
        text = text.chars().map(escaped).collect();
    }
    text.push('\n');
    to.write_all(text.as_bytes())
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.as_bytes().chunks_exact(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}
