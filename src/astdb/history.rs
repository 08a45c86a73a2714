//! The history: who changed what when. Each change is chained to the one before by a keyed hash, so none can be left out or
//! changed unseen.
//! Above: `astdb log`, `watch` and `verify`. Below: the file.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::change::Record;
use super::error::StoreError;
use super::list::Detail;
use super::schema;
use super::seal::Place;
use super::store::Store;
use super::unlock::{Fault, Keyed, unlock};
use super::value::Value;

/// One change of the history.
#[derive(Debug)]
pub struct Logged {
    /// Its number; the first is 1.
    pub sequence: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who: the program, and the account where it was a command.
    pub who: String,
    /// `put`, `del` or `rotate`.
    pub what: String,
    /// The family; empty for what concerns the whole store.
    pub family: String,
    /// The key.
    pub key: String,
    /// The value it replaced or removed, where there was one and it was asked for.
    pub old: Option<Result<Value, StoreError>>,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Entries looked at.
    pub entries: u64,
    /// Changes of the history looked at.
    pub changes: u64,
    /// All that is wrong.
    pub problems: Vec<StoreError>,
}

/// Columns of `history` in the order that [`logged`] and the chain read them.
const COLUMNS: &str = "sequence, at_ms, who, what, family, key, name, old_version, old_value, link";

impl Store {
    /// Gives each change after number `since` to `each`, oldest first; `of` narrows it to a family, or a key of it.
    ///
    /// # Errors
    /// The file cannot be read, or old values are wanted without the key.
    pub fn log(
        &self,
        since: i64,
        of: (Option<&str>, Option<&str>),
        detail: Detail,
        each: &mut dyn FnMut(Logged) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let path = &self.setup().path;
        let Some(conn) = schema::open_reading(path, self.setup().patience)? else { return Ok(()) };
        let keyed = match unlock(&conn, path, &self.setup().keys) {
            Ok(keyed) => Some(keyed),
            Err(_) if detail == Detail::Names => None,
            Err(error) => return Err(error),
        };
        let mut read = || -> Result<(), Fault> {
            let (family, key) = columns(keyed.as_ref(), of);
            let mut rows = conn.prepare(&format!(
                "SELECT {COLUMNS} FROM history WHERE sequence > ?1
                   AND (?2 IS NULL OR family = ?2) AND (?3 IS NULL OR key = ?3) ORDER BY sequence"
            ))?;
            let mut rows = rows.query((since, family, key))?;
            while let Some(row) = rows.next()? {
                if each(logged(row, keyed.as_ref(), detail)?).is_break() {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|fault| fault.at(path))
    }

    /// The number of the last change; 0: none yet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_change(&self) -> Result<i64, StoreError> {
        let path = &self.setup().path;
        let Some(conn) = schema::open_reading(path, self.setup().patience)? else { return Ok(0) };
        let last = super::unlock::last_change(&conn).map_err(|error| StoreError::from_sqlite(&error, path))?;
        Ok(last.0)
    }

    /// Looks at everything: the file's structure, the chain of the history, every value there is and was, and that both agree.
    ///
    /// # Errors
    /// The file cannot be read, or the key is missing.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let path = &self.setup().path;
        let mut found = Verified::default();
        let Some(conn) = schema::open_reading(path, self.setup().patience)? else { return Ok(found) };
        let keyed = unlock(&conn, path, &self.setup().keys)?;
        let mut look = || -> Result<(), Fault> {
            conn.execute_batch("BEGIN")?;
            structure(&conn, path, &mut found)?;
            chain(&conn, &keyed, &mut found)?;
            entries(&conn, &keyed, &mut found)?;
            missing(&conn, &keyed, &mut found)
        };
        look().map_err(|fault| fault.at(path))?;
        Ok(found)
    }
}

/// What stands in the columns for these names.
fn columns(keyed: Option<&Keyed>, (family, key): (Option<&str>, Option<&str>)) -> (Option<String>, Option<String>) {
    let family_column =
        family.map(|family| keyed.map_or(family.into(), |keyed| keyed.family_column(family)).into_owned());
    let key_column =
        key.map(|key| keyed.map_or(key.into(), |keyed| keyed.key_column(family.unwrap_or_default(), key)).into_owned());
    (family_column, key_column)
}

fn logged(row: &Row<'_>, keyed: Option<&Keyed>, detail: Detail) -> Result<Logged, Fault> {
    let (family, key): (String, String) = (row.get(4)?, row.get(5)?);
    let name: Option<Vec<u8>> = row.get(6)?;
    let (family, key) = match keyed {
        Some(keyed) if !family.is_empty() => keyed.names_of(&family, &key, name.as_deref())?,
        _ => (family, key),
    };
    let mut old = None;
    if let (Some(keyed), Detail::Values, Some(sealed)) = (keyed, detail, row.get::<_, Option<Vec<u8>>>(8)?) {
        let damaged = |what| StoreError::Damaged { family: family.clone(), key: key.clone(), what };
        old = Some(keyed.open(Place::value(&family, &key, row.get(7)?), &sealed).map_err(damaged));
    }
    let (sequence, at_ms, who, what) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(Logged { sequence, at_ms, who, what, family, key, old })
}

fn structure(conn: &Connection, path: &Path, found: &mut Verified) -> Result<(), Fault> {
    let mut lines = conn.prepare("PRAGMA integrity_check(20)")?;
    for line in lines.query_map((), |row| row.get::<_, String>(0))? {
        let what = line?;
        if what != "ok" {
            found.problems.push(StoreError::Broken { path: path.to_owned(), what });
        }
    }
    Ok(())
}

/// Every change follows the one before, and the values they replaced are whole.
fn chain(conn: &Connection, keyed: &Keyed, found: &mut Verified) -> Result<(), Fault> {
    let mut rows = conn.prepare(&format!("SELECT {COLUMNS} FROM history ORDER BY sequence"))?;
    let mut rows = rows.query(())?;
    let (mut number, mut link) = (0_i64, vec![0; 32]);
    while let Some(row) = rows.next()? {
        let sequence: i64 = row.get(0)?;
        let wrong = |what| StoreError::History { sequence: u64::try_from(sequence).unwrap_or(0), what };
        let (who, what, family, key): (String, String, String, String) =
            (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        let (at_ms, old_version) = (row.get(1)?, row.get(7)?);
        let record = Record { sequence, at_ms, who: &who, what: &what, family: &family, key: &key, old_version };
        let written: Vec<u8> = row.get(9)?;
        let replaced = old_version != 0;
        if sequence != number.saturating_add(1) {
            found.problems.push(wrong("changes before it are gone"));
        } else if keyed.link(&link, &record.bytes()).as_slice() != written {
            found.problems.push(wrong("it was changed, or the one before it"));
        } else if replaced != (row.get_ref(8)? != rusqlite::types::ValueRef::Null) {
            // The chain holds the version of the value that was replaced, not the value.
            found.problems.push(wrong("the value that it replaced is gone, or there was none"));
        }
        match logged(row, Some(keyed), Detail::Values) {
            Ok(Logged { old: Some(Err(error)), .. }) | Err(Fault::Store(error)) => found.problems.push(error),
            Ok(_) => {}
            Err(fault) => return Err(fault),
        }
        found.changes += 1;
        (number, link) = (sequence, written);
    }
    Ok(())
}

/// Every entry is whole, under its own names, and the last that was written there.
fn entries(conn: &Connection, keyed: &Keyed, found: &mut Verified) -> Result<(), Fault> {
    let mut rows = conn.prepare(
        "SELECT family, key, name, version, value,
           (SELECT sequence FROM history h WHERE h.family = e.family AND h.key = e.key ORDER BY sequence DESC LIMIT 1)
         FROM entries e",
    )?;
    let mut rows = rows.query(())?;
    while let Some(row) = rows.next()? {
        found.entries += 1;
        let (family_column, key_column): (String, String) = (row.get(0)?, row.get(1)?);
        let name: Option<Vec<u8>> = row.get(2)?;
        let (family, key) = match keyed.names_of(&family_column, &key_column, name.as_deref()) {
            Ok(names) => names,
            Err(error) => {
                found.problems.push(error);
                continue;
            }
        };
        let (version, sealed): (i64, Vec<u8>) = (row.get(3)?, row.get(4)?);
        let opened = keyed.open(Place::value(&family, &key, version), &sealed);
        let last: Option<i64> = row.get(5)?;
        let at_home = keyed.family_column(&family) == family_column && keyed.key_column(&family, &key) == key_column;
        let problem = match opened {
            Err(what) => Some(what),
            Ok(_) if last != Some(version) => Some("it is not the one that was written last"),
            Ok(_) if !at_home => Some("its name belongs to another"),
            Ok(_) => None,
        };
        found.problems.extend(problem.map(|what| StoreError::Damaged { family, key, what }));
    }
    Ok(())
}

/// What was written last and not removed is there.
fn missing(conn: &Connection, keyed: &Keyed, found: &mut Verified) -> Result<(), Fault> {
    let mut rows = conn.prepare(
        "SELECT family, key, name FROM history h WHERE what = 'put'
           AND sequence = (SELECT max(sequence) FROM history l WHERE l.family = h.family AND l.key = h.key)
           AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.family = h.family AND e.key = h.key)",
    )?;
    let mut rows = rows.query(())?;
    while let Some(row) = rows.next()? {
        let (family, key): (String, String) = (row.get(0)?, row.get(1)?);
        let name: Option<Vec<u8>> = row.get(2)?;
        let (family, key) = keyed.names_of(&family, &key, name.as_deref()).unwrap_or((family, key));
        let what = "it is gone, but nobody has removed it";
        found.problems.push(StoreError::Damaged { family, key, what });
    }
    Ok(())
}
