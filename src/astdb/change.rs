//! Changes: what they do to the tables within one transaction, each with its record in the history.
//! Above: `writer`. Below: SQLite and [`Keyed`].

use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::key::random;
use super::seal::{Place, push_part};
use super::unlock::{Fault, Keyed, last_change};
use super::value::Value;

/// What to do with the value there is, as an [`Change::Update`] wants it: the new value, or `None` to leave all as it is.
pub(super) type Updater = Box<dyn Fn(Option<&Value>) -> Option<Value> + Send>;

/// A change somebody wants.
pub(super) enum Change {
    Put {
        family: String,
        key: String,
        value: Value,
    },
    /// Gives the old value; one that does not open is removed all the same.
    Remove {
        family: String,
        key: String,
    },
    /// A family, or the key `prefix` of it with all keys below `prefix/`.
    RemoveTree {
        family: String,
        prefix: Option<String>,
    },
    /// Reads and writes in one step; an old value that does not open is an error.
    Update {
        family: String,
        key: String,
        update: Updater,
    },
    /// All or none.
    All(Vec<Self>),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Changed {
    /// Entries written or removed.
    pub(super) count: u64,
    /// The value before, where it was asked for.
    pub(super) old: Option<Value>,
}

/// One open transaction.
pub(super) struct Txn<'a> {
    conn: &'a Connection,
    keyed: &'a Keyed,
    who: &'a str,
    at_ms: i64,
    last: (i64, Vec<u8>),
}

/// A row of `entries` as it is before a change.
struct Row {
    version: i64,
    value: Vec<u8>,
}

/// A row with its columns `key` and `name`.
type Named = (String, Option<Vec<u8>>, Row);

/// A change as the history keeps it, under the names that stand in the columns.
pub(super) struct Record<'a> {
    pub(super) sequence: i64,
    pub(super) at_ms: i64,
    pub(super) who: &'a str,
    pub(super) what: &'a str,
    pub(super) family: &'a str,
    pub(super) key: &'a str,
    /// The change that wrote the value which this one replaced; 0: there was none.
    pub(super) old_version: i64,
}

impl Record<'_> {
    /// The bytes the chain is made of. Values are not among them: each is bound to its change by its own seal.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.family.len() + self.key.len());
        for number in [self.sequence, self.at_ms, self.old_version] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for part in [self.who, self.what, self.family, self.key] {
            push_part(&mut bytes, part.as_bytes());
        }
        bytes
    }
}

impl<'a> Txn<'a> {
    /// Within a transaction that has been begun on `conn`.
    pub(super) fn new(conn: &'a Connection, keyed: &'a Keyed, who: &'a str, at_ms: i64) -> rusqlite::Result<Self> {
        Ok(Self { conn, keyed, who, at_ms, last: last_change(conn)? })
    }

    /// What comes now is wanted by `who`.
    pub(super) fn by(&mut self, who: &'a str) -> &mut Self {
        self.who = who;
        self
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<Changed, Fault> {
        match change {
            Change::Put { family, key, value } => self.put(family, key, value),
            Change::Remove { family, key } => self.remove(family, key),
            Change::RemoveTree { family, prefix } => self.remove_tree(family, prefix.as_deref()),
            Change::Update { family, key, update } => self.update(family, key, update),
            Change::All(changes) => {
                let mut count = 0;
                for change in changes {
                    count += self.apply(change)?.count;
                }
                Ok(Changed { count, old: None })
            }
        }
    }

    fn put(&mut self, family: &str, key: &str, value: &Value) -> Result<Changed, Fault> {
        let (family_column, key_column) = (self.keyed.family_column(family), self.keyed.key_column(family, key));
        let old = self.row(&family_column, &key_column)?;
        let name = self.keyed.sealed_name(family, key)?;
        let version = self.record("put", (&family_column, &key_column, name.as_deref()), old)?;
        let vault = self.keyed.vault().ok_or(StoreError::Closed)?;
        let sealed = vault.seal(Place::value(family, key, version), value.expose(), &random()?);
        let mut put = self.conn.prepare_cached(
            "INSERT INTO entries (family, key, version, value, name) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET version = ?3, value = ?4, name = ?5",
        )?;
        put.execute((&*family_column, &*key_column, version, sealed, name))?;
        Ok(Changed { count: 1, old: None })
    }

    fn remove(&mut self, family: &str, key: &str) -> Result<Changed, Fault> {
        let (family_column, key_column) = (self.keyed.family_column(family), self.keyed.key_column(family, key));
        let Some(row) = self.row(&family_column, &key_column)? else { return Ok(Changed::default()) };
        let old = self.keyed.open(Place::value(family, key, row.version), &row.value).ok();
        self.remove_row(&family_column, &key_column, row)?;
        Ok(Changed { count: 1, old })
    }

    fn remove_tree(&mut self, family: &str, prefix: Option<&str>) -> Result<Changed, Fault> {
        let family_column = self.keyed.family_column(family).into_owned();
        let mut count = 0;
        for (key_column, name, row) in self.rows(&family_column)? {
            // The key's own name is needed only where it decides.
            if let Some(prefix) = prefix {
                let (_, key) = self.keyed.names_of(&family_column, &key_column, name.as_deref())?;
                if !is_below(&key, prefix) {
                    continue;
                }
            }
            self.remove_row(&family_column, &key_column, row)?;
            count += 1;
        }
        Ok(Changed { count, old: None })
    }

    fn update(&mut self, family: &str, key: &str, update: &Updater) -> Result<Changed, Fault> {
        let (family_column, key_column) = (self.keyed.family_column(family), self.keyed.key_column(family, key));
        let old = match self.row(&family_column, &key_column)? {
            Some(row) => {
                let opened = self.keyed.open(Place::value(family, key, row.version), &row.value);
                let damaged = |what| StoreError::Damaged { family: family.to_owned(), key: key.to_owned(), what };
                Some(opened.map_err(damaged)?)
            }
            None => None,
        };
        let Some(new) = update(old.as_ref()) else { return Ok(Changed { count: 0, old }) };
        let changed = self.put(family, key, &new)?;
        Ok(Changed { old, ..changed })
    }

    fn row(&self, family: &str, key: &str) -> rusqlite::Result<Option<Row>> {
        let mut row = self.conn.prepare_cached("SELECT version, value FROM entries WHERE family = ?1 AND key = ?2")?;
        row.query_row((family, key), |row| Ok(Row { version: row.get(0)?, value: row.get(1)? })).optional()
    }

    fn rows(&self, family: &str) -> rusqlite::Result<Vec<Named>> {
        let mut rows = self.conn.prepare_cached("SELECT key, name, version, value FROM entries WHERE family = ?1")?;
        let rows = rows.query_map([family], |row| {
            Ok((row.get(0)?, row.get(1)?, Row { version: row.get(2)?, value: row.get(3)? }))
        })?;
        rows.collect()
    }

    fn remove_row(&mut self, family: &str, key: &str, row: Row) -> Result<(), Fault> {
        let mut name = self.conn.prepare_cached("SELECT name FROM entries WHERE family = ?1 AND key = ?2")?;
        let name: Option<Vec<u8>> = name.query_row((family, key), |row| row.get(0))?;
        self.record("del", (family, key, name.as_deref()), Some(row))?;
        let mut delete = self.conn.prepare_cached("DELETE FROM entries WHERE family = ?1 AND key = ?2")?;
        delete.execute((family, key))?;
        Ok(())
    }

    /// Adds a change to the history, with the value it replaces, and gives its number.
    fn record(
        &mut self,
        what: &str,
        (family, key, name): (&str, &str, Option<&[u8]>),
        old: Option<Row>,
    ) -> Result<i64, Fault> {
        let (old_version, old_value) = old.map_or((0, None), |row| (row.version, Some(row.value)));
        let sequence = self.last.0.saturating_add(1);
        let record = Record { sequence, at_ms: self.at_ms, who: self.who, what, family, key, old_version };
        let link = self.keyed.link(&self.last.1, &record.bytes());
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO history (sequence, at_ms, who, what, family, key, name, old_version, old_value, link)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        let values = (sequence, self.at_ms, self.who, what, family, key, name, old_version, old_value, link);
        insert.execute(values)?;
        self.last = (sequence, link.to_vec());
        Ok(sequence)
    }

    /// Adds a change that concerns the whole store, as a rotation of the key does.
    pub(super) fn note(&mut self, what: &str) -> Result<(), Fault> {
        self.record(what, ("", "", None), None).map(|_| ())
    }
}

/// Whether a key is `prefix` itself or below `prefix/`, as Asterisk's trees are.
pub(super) fn is_below(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_its_root_and_what_is_below_a_slash() {
        assert!(is_below("sub", "sub") && is_below("sub/7", "sub") && is_below("sub/", "sub"));
        assert!(!is_below("subx", "sub") && !is_below("su", "sub") && !is_below("x/sub", "sub"));
    }
}
