//! Listing: families, keys, and whole entries, streamed in the order Asterisk prints them.
//! Above: `astdb show` and the dialplan's DB_KEYS. Below: a connection of its own, so that a slow reader holds up nobody.

use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::Connection;

use super::change::is_below;
use super::error::StoreError;
use super::schema;
use super::seal::{Place, sealed_len};
use super::store::Store;
use super::unlock::{Fault, Keyed, NameMode, head, unlock};
use super::value::Value;

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Select {
    /// All.
    #[default]
    All,
    /// Those of a family.
    Family(String),
    /// A key of a family, and all keys below it: `sub`, `sub/7`.
    Tree(String, String),
    /// Those of any family whose key is this, or ends in `/` and this.
    LastPart(String),
}

/// What is wanted of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Its names, and how much is sealed.
    Names,
    /// Also its value as it is sealed.
    Sealed,
    /// Also its value; needs the key.
    Values,
}

/// One entry of a list.
#[derive(Debug)]
pub struct Entry {
    /// The family; a hash of it, where names are hidden and the key is not there.
    pub family: String,
    /// The key, likewise.
    pub key: String,
    /// Bytes sealed, filled up to a multiple of 16.
    pub sealed: usize,
    /// The number of the change that wrote it.
    pub version: i64,
    /// Its value, where it was asked for.
    pub value: Option<Result<Value, StoreError>>,
    /// Its value as it is sealed, where that was asked for.
    pub blob: Option<Vec<u8>>,
}

/// What to do with each entry: [`ControlFlow::Break`] ends the list.
pub type Each<'a> = &'a mut dyn FnMut(Entry) -> ControlFlow<()>;

impl Store {
    /// Gives every selected entry to `each`, by family and then key; how many those were.
    ///
    /// # Errors
    /// The file cannot be read, or the key is needed and missing. A damaged value is an error of its entry only.
    pub fn list(&self, select: &Select, detail: Detail, each: Each<'_>) -> Result<u64, StoreError> {
        let path = &self.setup().path;
        let Some(conn) = schema::open_reading(path, self.setup().patience)? else { return Ok(0) };
        let keyed = match unlock(&conn, path, &self.setup().keys) {
            Ok(keyed) => Some(Arc::new(keyed)),
            // Names alone can be listed without.
            Err(_) if detail != Detail::Values => None,
            Err(error) => return Err(error),
        };
        let list = List { conn: &conn, keyed: keyed.as_deref(), select, detail };
        let sqlite = |error| StoreError::from_sqlite(&error, path);
        // One transaction: the list is of one moment.
        conn.execute_batch("BEGIN").map_err(sqlite)?;
        let mode = head(&conn).map_err(sqlite)?.names;
        let listed = match mode {
            NameMode::Plain => list.plain(each),
            NameMode::Hidden => list.hidden(each),
        };
        listed.map_err(|fault| fault.at(path))
    }

    /// All families, sorted.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub fn families(&self) -> Result<Vec<String>, StoreError> {
        let path = &self.setup().path;
        let Some(conn) = schema::open_reading(path, self.setup().patience)? else { return Ok(Vec::new()) };
        let sqlite = |error| StoreError::from_sqlite(&error, path);
        if head(&conn).map_err(sqlite)?.names == NameMode::Plain {
            return families(&conn).map_err(sqlite);
        }
        drop(conn);
        let mut found = Vec::new();
        self.list(&Select::All, Detail::Names, &mut |entry| {
            if found.last() != Some(&entry.family) {
                found.push(entry.family);
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// All keys of a family, sorted.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub fn keys(&self, family: &str) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        self.list(&Select::Family(family.to_owned()), Detail::Names, &mut |entry| {
            found.push(entry.key);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// How many entries are selected.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub fn count(&self, select: &Select) -> Result<u64, StoreError> {
        self.list(select, Detail::Names, &mut |_| ControlFlow::Continue(()))
    }
}

/// A list in the making.
struct List<'a> {
    conn: &'a Connection,
    keyed: Option<&'a Keyed>,
    select: &'a Select,
    detail: Detail,
}

/// A row of the table: the columns `family`, `key` and `name`.
type Names = (String, String, Option<Vec<u8>>);

impl List<'_> {
    fn plain(&self, each: Each<'_>) -> Result<u64, Fault> {
        let families = match self.select {
            Select::Family(family) | Select::Tree(family, _) => vec![family.clone()],
            Select::All | Select::LastPart(_) => families(self.conn)?,
        };
        let mut count = 0;
        for family in families {
            let mut rows = self.conn.prepare_cached(
                "SELECT e.key, e.version, length(e.value), iif(?2, e.value, NULL),
                   iif(?2, (SELECT max(sequence) FROM history h WHERE h.family = ?1 AND h.key = e.key), 0)
                 FROM entries e WHERE e.family = ?1 ORDER BY e.key",
            )?;
            let mut rows = rows.query((&family, self.detail != Detail::Names))?;
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                if !self.wants(&key) {
                    continue;
                }
                let entry = Entry { family: family.clone(), key, ..self.entry(row)? };
                count += 1;
                if each(self.opened(entry, row)?).is_break() {
                    return Ok(count);
                }
            }
        }
        Ok(count)
    }

    /// Hidden names are in no order in the file, so all are opened first.
    fn hidden(&self, each: Each<'_>) -> Result<u64, Fault> {
        let mut names = Vec::new();
        for (family_column, key_column, name) in self.names()? {
            let (family, key) = match self.keyed {
                Some(keyed) => keyed.names_of(&family_column, &key_column, name.as_deref())?,
                None => (family_column.clone(), key_column.clone()),
            };
            if self.wants(&key) {
                names.push((family, key, family_column, key_column));
            }
        }
        names.sort();
        let mut count = 0;
        for (family, key, family_column, key_column) in names {
            let mut row = self.conn.prepare_cached(
                "SELECT e.key, e.version, length(e.value), iif(?3, e.value, NULL),
                   iif(?3, (SELECT max(sequence) FROM history h WHERE h.family = ?1 AND h.key = ?2), 0)
                 FROM entries e WHERE e.family = ?1 AND e.key = ?2",
            )?;
            let mut rows = row.query((&family_column, &key_column, self.detail != Detail::Names))?;
            let Some(row) = rows.next()? else { continue };
            let entry = Entry { family, key, ..self.entry(row)? };
            count += 1;
            if each(self.opened(entry, row)?).is_break() {
                break;
            }
        }
        Ok(count)
    }

    fn names(&self) -> Result<Vec<Names>, Fault> {
        let (sql, family) = match self.select {
            Select::Family(family) | Select::Tree(family, _) => {
                let column =
                    self.keyed.map_or_else(|| family.clone(), |keyed| keyed.family_column(family).into_owned());
                ("SELECT family, key, name FROM entries WHERE family = ?1", Some(column))
            }
            Select::All | Select::LastPart(_) => ("SELECT family, key, name FROM entries", None),
        };
        let mut rows = self.conn.prepare(sql)?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let names = match family {
            Some(family) => rows.query_map([family], read)?.collect::<rusqlite::Result<_>>()?,
            None => rows.query_map((), read)?.collect::<rusqlite::Result<_>>()?,
        };
        Ok(names)
    }

    fn wants(&self, key: &str) -> bool {
        match self.select {
            Select::All | Select::Family(_) => true,
            Select::Tree(_, prefix) => is_below(key, prefix),
            Select::LastPart(part) => {
                key.strip_suffix(part.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
            }
        }
    }

    /// What a row tells besides its names.
    fn entry(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
        let (version, len) = (row.get(1)?, row.get::<_, i64>(2)?);
        let sealed = sealed_len(usize::try_from(len).unwrap_or_default());
        Ok(Entry { family: String::new(), key: String::new(), sealed, version, value: None, blob: None })
    }

    /// The entry with its value, where that is wanted.
    fn opened(&self, entry: Entry, row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
        if self.detail == Detail::Sealed {
            return Ok(Entry { blob: row.get(3)?, ..entry });
        }
        let Some(keyed) = self.keyed.filter(|_| self.detail == Detail::Values) else { return Ok(entry) };
        let (sealed, last) = (row.get_ref(3)?.as_blob().unwrap_or_default(), row.get::<_, Option<i64>>(4)?);
        let value = if last == Some(entry.version) {
            keyed.open(Place::value(&entry.family, &entry.key, entry.version), sealed)
        } else {
            Err("it is not the one that was written last")
        };
        let damaged = |what| StoreError::Damaged { family: entry.family.clone(), key: entry.key.clone(), what };
        let value = value.map_err(damaged);
        Ok(Entry { value: Some(value), ..entry })
    }
}

/// The families in the order of `/family/`, as a listing of whole names has them. Looks each up by its index, not row by row.
fn families(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut rows = conn.prepare(
        "WITH RECURSIVE f(name) AS (
           SELECT min(family) FROM entries
           UNION ALL SELECT (SELECT min(family) FROM entries WHERE family > f.name) FROM f WHERE f.name IS NOT NULL
         ) SELECT name FROM f WHERE name IS NOT NULL ORDER BY name || '/'",
    )?;
    let rows = rows.query_map((), |row| row.get(0))?;
    rows.collect()
}
