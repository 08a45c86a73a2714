//! The queue's file: its tables, its form number, and how a connection to it is opened.
//! Above: `queue`. Below: SQLite.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::OutboxError;
use crate::sqlite::{Head, moment, write_ahead};

/// `PRAGMA application_id` of our files: "wCOB".
const APPLICATION: i64 = 0x7743_4F42;

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// How each form is made from the one before; `PRAGMA user_version` is the number of steps taken.
///
/// Times are milliseconds since 1970. `recordings.wanted`, `delivered`, `parked` count the rows of `deliveries`, so that listing
/// touches one table. `concerns` says whose recordings they are, so that somebody who may see only some need not look at all.
/// `recordings.writer` is who writes an open one, `moves` the files that are still to be renamed. `deliveries.failed_ms` is when `due_ms` was set: a clock that is before it has been put back, and waiting
/// for `due_ms` could take for ever.
/// `counted_recordings` and `counted_deliveries` say how many there are of each kind, so that a hundred thousand that are delivered need
/// not be counted by who only asks what waits.
const STEPS: &[&str] = &["
CREATE TABLE recordings (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  file TEXT,
  stem TEXT UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('open', 'finished', 'interrupted', 'gone')),
  writer TEXT,
  moves TEXT,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  finished_ms INTEGER,
  duration_ms INTEGER NOT NULL DEFAULT 0,
  call TEXT NOT NULL,
  leg TEXT NOT NULL,
  uniqueid TEXT NOT NULL,
  from_number TEXT NOT NULL,
  from_name TEXT NOT NULL,
  to_number TEXT NOT NULL,
  direction TEXT NOT NULL,
  agent TEXT,
  trunk TEXT,
  room TEXT,
  bytes INTEGER NOT NULL DEFAULT 0,
  sha256 TEXT NOT NULL DEFAULT '',
  sealed INTEGER NOT NULL DEFAULT 0,
  wanted INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0,
  parked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX recordings_by_start ON recordings (started_ms, number);
CREATE INDEX recordings_of_call ON recordings (call);
CREATE INDEX recordings_of_leg ON recordings (leg);
CREATE INDEX recordings_of_uniqueid ON recordings (uniqueid);
CREATE INDEX recordings_open ON recordings (writer) WHERE state = 'open';
CREATE INDEX recordings_moving ON recordings (id) WHERE moves IS NOT NULL;
CREATE INDEX recordings_going ON recordings (id) WHERE state = 'gone' AND file IS NOT NULL;
CREATE INDEX recordings_unsent ON recordings (started_ms, number) WHERE delivered < wanted;
CREATE TABLE manifests (
  number INTEGER PRIMARY KEY REFERENCES recordings,
  json TEXT NOT NULL
);
CREATE TABLE deliveries (
  number INTEGER NOT NULL REFERENCES recordings,
  part INTEGER NOT NULL,
  remote TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'uploading', 'delivered', 'parked')),
  attempts INTEGER NOT NULL DEFAULT 0,
  first_failed_ms INTEGER,
  failed_ms INTEGER,
  due_ms INTEGER NOT NULL DEFAULT 0,
  position INTEGER NOT NULL DEFAULT 0,
  token TEXT,
  reason TEXT,
  error TEXT,
  receipt TEXT,
  delivered_ms INTEGER,
  PRIMARY KEY (number, part, remote)
) WITHOUT ROWID;
CREATE INDEX deliveries_waiting ON deliveries (remote, due_ms, number) WHERE state IN ('pending', 'uploading');
CREATE INDEX deliveries_parked ON deliveries (remote, number) WHERE state = 'parked';
CREATE TABLE remotes (
  name TEXT PRIMARY KEY,
  in_force INTEGER NOT NULL,
  since_ms INTEGER NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0,
  failed_ms INTEGER,
  closed_until_ms INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  delivered_ms INTEGER
) WITHOUT ROWID;
CREATE TRIGGER delivery_added AFTER INSERT ON deliveries BEGIN
  UPDATE recordings SET wanted = wanted + 1, delivered = delivered + (NEW.state = 'delivered'),
    parked = parked + (NEW.state = 'parked') WHERE number = NEW.number;
END;
CREATE TRIGGER delivery_removed AFTER DELETE ON deliveries BEGIN
  UPDATE recordings SET wanted = wanted - 1, delivered = delivered - (OLD.state = 'delivered'),
    parked = parked - (OLD.state = 'parked') WHERE number = OLD.number;
END;
CREATE TRIGGER delivery_changed AFTER UPDATE OF state ON deliveries WHEN NEW.state != OLD.state BEGIN
  UPDATE recordings SET delivered = delivered + (NEW.state = 'delivered') - (OLD.state = 'delivered'),
    parked = parked + (NEW.state = 'parked') - (OLD.state = 'parked') WHERE number = NEW.number;
END;
", "
CREATE TABLE concerns (
  kind TEXT NOT NULL CHECK (kind IN ('user', 'trunk')),
  name TEXT NOT NULL,
  number INTEGER NOT NULL REFERENCES recordings,
  PRIMARY KEY (kind, name, number)
) WITHOUT ROWID;
CREATE INDEX concerns_of ON concerns (number);
CREATE INDEX recordings_by_last_name ON recordings (replace(stem, rtrim(stem, replace(stem, '/', '')), '')) WHERE stem IS NOT NULL;
INSERT OR IGNORE INTO concerns SELECT 'user', agent, number FROM recordings WHERE agent IS NOT NULL;
INSERT OR IGNORE INTO concerns SELECT 'trunk', trunk, number FROM recordings WHERE trunk IS NOT NULL;
INSERT OR IGNORE INTO concerns SELECT 'user', json_extract(party.value, '$.user'), manifests.number
  FROM manifests, json_each(CASE WHEN json_valid(manifests.json) THEN manifests.json ELSE '{}' END, '$.parties') AS party
  WHERE party.type = 'object' AND json_type(party.value, '$.user') = 'text';
", "
CREATE TABLE counted_recordings (
  state TEXT PRIMARY KEY,
  many INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE counted_deliveries (
  remote TEXT NOT NULL,
  state TEXT NOT NULL,
  many INTEGER NOT NULL,
  PRIMARY KEY (remote, state)
) WITHOUT ROWID;
INSERT INTO counted_recordings SELECT state, count(*) FROM recordings GROUP BY state;
INSERT INTO counted_deliveries SELECT remote, state, count(*) FROM deliveries GROUP BY remote, state;
CREATE TRIGGER recording_counted AFTER INSERT ON recordings BEGIN
  INSERT OR IGNORE INTO counted_recordings VALUES (NEW.state, 0);
  UPDATE counted_recordings SET many = many + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER recording_uncounted AFTER DELETE ON recordings BEGIN
  UPDATE counted_recordings SET many = many - 1 WHERE state = OLD.state;
END;
CREATE TRIGGER recording_recounted AFTER UPDATE OF state ON recordings WHEN NEW.state != OLD.state BEGIN
  INSERT OR IGNORE INTO counted_recordings VALUES (NEW.state, 0);
  UPDATE counted_recordings SET many = many + iif(state = NEW.state, 1, -1) WHERE state IN (NEW.state, OLD.state);
END;
CREATE TRIGGER delivery_counted AFTER INSERT ON deliveries BEGIN
  INSERT OR IGNORE INTO counted_deliveries VALUES (NEW.remote, NEW.state, 0);
  UPDATE counted_deliveries SET many = many + 1 WHERE remote = NEW.remote AND state = NEW.state;
END;
CREATE TRIGGER delivery_uncounted AFTER DELETE ON deliveries BEGIN
  UPDATE counted_deliveries SET many = many - 1 WHERE remote = OLD.remote AND state = OLD.state;
END;
CREATE TRIGGER delivery_recounted AFTER UPDATE OF state ON deliveries WHEN NEW.state != OLD.state BEGIN
  INSERT OR IGNORE INTO counted_deliveries VALUES (NEW.remote, NEW.state, 0);
  UPDATE counted_deliveries SET many = many + iif(state = NEW.state, 1, -1)
    WHERE remote = NEW.remote AND state IN (NEW.state, OLD.state);
END;
"];

/// The newest form known here.
fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Opens the queue's file; makes it, for its owner alone, where it is not there.
pub(super) fn open(path: &Path) -> Result<Connection, OutboxError> {
    let fault = |error| of_sqlite("opening", path, error);
    make_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut conn = Connection::open_with_flags(real(path)?, flags).map_err(fault)?;
    conn.busy_timeout(PATIENCE).map_err(fault)?;
    if form(&conn, path)? < newest() {
        write_ahead(&conn, PATIENCE).map_err(fault)?;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
        // Another process may have been faster.
        let taken = usize::try_from(form(&tx, path)?).unwrap_or_default();
        for step in STEPS.get(taken..).unwrap_or_default() {
            tx.execute_batch(step).map_err(fault)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION).map_err(fault)?;
        tx.pragma_update(None, "user_version", newest()).map_err(fault)?;
        tx.commit().map_err(fault)?;
    }
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// What SQLite's complaint means.
pub(super) fn of_sqlite(doing: &'static str, path: &Path, source: rusqlite::Error) -> OutboxError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OutboxError::Damaged { path, what: source.to_string() }
        }
        _ => OutboxError::Database { doing, path, source },
    }
}

/// SQLite follows no link at all with `SQLITE_OPEN_NOFOLLOW`, not even above the spool, where that is the owner's business.
fn real(path: &Path) -> Result<std::path::PathBuf, OutboxError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let folder = folder.canonicalize().map_err(OutboxError::io("looking for", folder))?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

/// The form of the file, after a look at whose it is; 0: nothing yet.
fn form(conn: &Connection, path: &Path) -> Result<i64, OutboxError> {
    let read = || {
        let _moment = moment(conn)?;
        Head::read(conn)
    };
    let head = read().map_err(|error| of_sqlite("reading", path, error))?;
    match (head.application, head.form, head.tables) {
        (0, 0, 0) => Ok(0),
        (APPLICATION, found, _) if found > newest() => {
            Err(OutboxError::Future { path: path.to_owned(), found, known: newest() })
        }
        (APPLICATION, found, _) if found > 0 => Ok(found),
        _ => Err(OutboxError::Damaged { path: path.to_owned(), what: "a database of some other program".to_owned() }),
    }
}

/// Makes the file readable by its owner alone; SQLite gives the files beside it the same mode.
fn make_file(path: &Path) -> Result<(), OutboxError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop).map_err(OutboxError::io("making", path)),
    }
}
