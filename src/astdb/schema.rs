//! The file: its tables, its form number, and how a connection to it is opened.
//! Above: the reader and the writer. Below: SQLite.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::{StoreError, is_full};
use super::key::{KeySource, random, random_key};
use super::seal::Key;
use super::unlock::{Head, NameMode, write_generation};
use crate::sqlite::{self, moment, write_ahead};

/// `PRAGMA application_id` of our files: "wCDB".
const APPLICATION: i64 = 0x7743_4442;

/// How each form is made from the one before; `PRAGMA user_version` is the number of steps taken.
const STEPS: &[&str] = &["
CREATE TABLE store (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  id BLOB NOT NULL,
  names TEXT NOT NULL CHECK (names IN ('plain', 'hidden')),
  generation INTEGER NOT NULL
);
CREATE TABLE generations (
  generation INTEGER PRIMARY KEY,
  salt BLOB,
  memory_kib INTEGER,
  passes INTEGER,
  secrets BLOB NOT NULL
);
CREATE TABLE entries (
  family TEXT NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  value BLOB NOT NULL,
  name BLOB,
  PRIMARY KEY (family, key)
) WITHOUT ROWID;
CREATE TABLE history (
  sequence INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  who TEXT NOT NULL,
  what TEXT NOT NULL,
  family TEXT NOT NULL,
  key TEXT NOT NULL,
  name BLOB,
  old_version INTEGER NOT NULL,
  old_value BLOB,
  link BLOB NOT NULL
);
CREATE INDEX history_of ON history (family, key, sequence);
"];

/// The newest form known here.
fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// What a file turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing yet: no file, or an empty one.
    Nothing,
    /// A store.
    Store,
}

/// Opens a store for reading; `None`: there is none.
pub(super) fn open_reading(path: &Path, patience: Duration) -> Result<Option<Connection>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let fault = |error: &rusqlite::Error| StoreError::from_sqlite(error, path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|conn| {
        conn.busy_timeout(patience)?;
        Ok((examine(&conn)?, conn))
    });
    let (facts, conn) = match opened {
        Ok(opened) => opened,
        Err(error) if has_no_room_beside(&error) => frozen(path)?,
        Err(error) => return Err(fault(&error)),
    };
    match verdict(&facts, path)? {
        Found::Nothing => Ok(None),
        Found::Store => Ok(Some(conn)),
    }
}

/// Whether the files that SQLite reads a log with cannot be made: the disk cannot be written, or is full.
fn has_no_room_beside(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) || is_full(error)
}

/// Opens a file on a disk that cannot be written, where SQLite cannot make the files beside it that it reads a log with.
fn frozen(path: &Path) -> Result<(Facts, Connection), StoreError> {
    let fault = |error: &rusqlite::Error| StoreError::from_sqlite(error, path);
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(&log).is_ok_and(|facts| facts.len() > 0) {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    let mut uri = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(uri, flags).map_err(|error| fault(&error))?;
    let facts = examine(&conn).map_err(|error| fault(&error))?;
    Ok((facts, conn))
}

/// Opens a store for writing; makes it, and its key, where there is none.
pub(super) fn open_writing(
    path: &Path,
    source: &KeySource,
    names: NameMode,
    patience: Duration,
) -> Result<Connection, StoreError> {
    let fault = |error: &rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) if !is_writable(path) => StoreError::ReadOnly { path: path.to_owned() },
        _ => StoreError::from_sqlite(error, path),
    };
    source.check()?;
    make_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(|error| fault(&error))?;
    conn.busy_timeout(patience).map_err(|error| fault(&error))?;
    let facts = examine(&conn).map_err(|error| fault(&error))?;
    if verdict(&facts, path)? == Found::Nothing {
        // The key first: a store without its key is lost, a key without a store is not.
        let first = source.first()?;
        write_ahead(&conn, patience).map_err(|error| fault(&error))?;
        create(&mut conn, path, names, &first)?;
    }
    // An acknowledged change is on the disk: the log is synced at each commit.
    conn.pragma_update(None, "synchronous", "FULL").map_err(|error| fault(&error))?;
    Ok(conn)
}

/// Whether the file, and the folder for the files beside it, may be written.
fn is_writable(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    [path, folder].iter().all(|place| rustix::fs::access(*place, rustix::fs::Access::WRITE_OK).is_ok())
}

/// Makes the file readable by its owner alone; SQLite gives the files beside it the same mode.
fn make_file(path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        super::files::make_folder(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => super::files::sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Err(StoreError::ReadOnly { path: path.to_owned() })
        }
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(StoreError::Full { path: path.to_owned() }),
        Err(error) => Err(failed(error)),
    }
}

fn create(
    conn: &mut Connection,
    path: &Path,
    names: NameMode,
    first: &(u32, super::key::Recipe, Key),
) -> Result<(), StoreError> {
    let fault = |error: &rusqlite::Error| StoreError::from_sqlite(error, path);
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| fault(&error))?;
    // Another process may have been faster.
    if verdict(&examine(&tx).map_err(|error| fault(&error))?, path)? == Found::Store {
        return Ok(());
    }
    for step in STEPS {
        tx.execute_batch(step).map_err(|error| fault(&error))?;
    }
    let head = Head { id: random()?, names, generation: first.0 };
    tx.execute(
        "INSERT INTO store (only, id, names, generation) VALUES (1, ?1, ?2, ?3)",
        (head.id, names.word(), head.generation),
    )
    .map_err(|error| fault(&error))?;
    let secrets = [random_key()?, random_key()?];
    write_generation(&tx, &head, (first.0, &first.1, &first.2), &secrets)
        .and_then(|()| Ok(tx.pragma_update(None, "application_id", APPLICATION)?))
        .and_then(|()| Ok(tx.pragma_update(None, "user_version", newest())?))
        .and_then(|()| Ok(tx.commit()?))
        .map_err(|error| error.at(path))
}

/// What a file says about itself.
struct Facts {
    head: sqlite::Head,
    is_asterisks: bool,
}

fn examine(conn: &Connection) -> rusqlite::Result<Facts> {
    let _moment = moment(conn)?;
    let named = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'astdb'";
    let asterisks: i64 = conn.query_row(named, (), |row| row.get(0))?;
    Ok(Facts { head: sqlite::Head::read(conn)?, is_asterisks: asterisks > 0 })
}

fn verdict(facts: &Facts, path: &Path) -> Result<Found, StoreError> {
    let path = || path.to_owned();
    if facts.head.application == 0 && facts.head.form == 0 && facts.head.tables == 0 {
        return Ok(Found::Nothing);
    }
    if facts.head.application != APPLICATION {
        let what = if facts.is_asterisks { "a database of Asterisk" } else { "a database of some other program" };
        return Err(StoreError::NotAStore { path: path(), what });
    }
    if facts.head.form > newest() {
        return Err(StoreError::Future { path: path(), found: facts.head.form, known: newest() });
    }
    if facts.head.form < newest() {
        return Err(StoreError::NotAStore { path: path(), what: "of no form that was ever written" });
    }
    Ok(Found::Store)
}
