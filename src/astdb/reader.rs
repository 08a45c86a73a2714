//! Reading: a connection of its own, and a memory of values that holds as long as nobody has written.
//! Above: [`super::Store`]. Below: SQLite and [`Keyed`].
//!
//! `PRAGMA data_version` tells whether any other connection, of this process or another, has committed since. If so, the history
//! tells which entries changed, and only those are forgotten; a commit without a record there was none of ours, and empties the memory.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::schema;
use super::seal::Place;
use super::store::Setup;
use super::unlock::{Keyed, NameMode, last_change, unlock};
use super::value::Value;

/// Entries remembered, and their bytes; beyond, all are forgotten.
const ENTRIES: usize = 65_536;
const BYTES: usize = 16 << 20;
/// After more changes than this, all is forgotten instead of looked up.
const CHANGES: i64 = 1_000;

/// The reading side of a store.
pub(super) struct Reader {
    setup: Arc<Setup>,
    open: Option<Open>,
}

struct Open {
    conn: Connection,
    keyed: Option<Arc<Keyed>>,
    /// [`super::KeySource::epoch`] when the key was asked for.
    epoch: u64,
    /// What `PRAGMA data_version` gave last.
    commits: i64,
    /// The last change taken note of.
    sequence: i64,
    memory: Memory,
}

#[derive(Default)]
struct Memory {
    families: HashMap<Box<str>, HashMap<Box<str>, Option<Value>>>,
    entries: usize,
    bytes: usize,
}

/// What the tables say about one entry.
struct Found {
    entry: Option<(i64, Vec<u8>)>,
    change: Option<(i64, String)>,
}

impl Reader {
    pub(super) fn new(setup: Arc<Setup>) -> Self {
        Self { setup, open: None }
    }

    pub(super) fn get(&mut self, family: &str, key: &str) -> Result<Option<Value>, StoreError> {
        self.setup.keys.check()?;
        let Some(open) = self.current()? else { return Ok(None) };
        if let Some(known) = open.memory.get(family, key) {
            return Ok(known);
        }
        let value = self.look_up(family, key)?;
        if let Some(open) = &mut self.open {
            open.memory.keep(family, key, value.clone());
        }
        Ok(value)
    }

    /// Wipes what was opened with the key.
    pub(super) fn forget(&mut self) {
        self.open = None;
    }

    /// The connection, brought up to date; `None`: there is no store yet.
    fn current(&mut self) -> Result<Option<&mut Open>, StoreError> {
        let epoch = self.setup.keys.epoch();
        if self.open.as_ref().is_none_or(|open| open.epoch != epoch) {
            self.open = None;
            let Some(conn) = schema::open_reading(&self.setup.path, self.setup.patience)? else { return Ok(None) };
            self.open = Some(Open { conn, keyed: None, epoch, commits: 0, sequence: 0, memory: Memory::default() });
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        if let Err(error) = open.refresh() {
            self.open = None;
            return Err(StoreError::from_sqlite(&error, &self.setup.path));
        }
        Ok(self.open.as_mut())
    }

    /// The key, opened at the first need.
    pub(super) fn keyed(&mut self) -> Result<Option<Arc<Keyed>>, StoreError> {
        let setup = Arc::clone(&self.setup);
        let Some(open) = self.current()? else { return Ok(None) };
        let keyed = match &open.keyed {
            Some(keyed) => Arc::clone(keyed),
            None => {
                let keyed = Arc::new(unlock(&open.conn, &setup.path, &setup.keys)?);
                open.keyed = Some(Arc::clone(&keyed));
                keyed
            }
        };
        Ok(Some(keyed))
    }

    fn look_up(&mut self, family: &str, key: &str) -> Result<Option<Value>, StoreError> {
        let Some(mut keyed) = self.keyed()? else { return Ok(None) };
        let Some(open) = &mut self.open else { return Ok(None) };
        let found = open.find(&keyed.family_column(family), &keyed.key_column(family, key));
        let found = found.map_err(|error| StoreError::from_sqlite(&error, &self.setup.path))?;
        if let Some((_, sealed)) = &found.entry
            && super::seal::generation_of(sealed).is_some_and(|generation| !keyed.has(generation))
        {
            // Somebody has changed the key since we opened it.
            keyed = Arc::new(unlock(&open.conn, &self.setup.path, &self.setup.keys)?);
            open.keyed = Some(Arc::clone(&keyed));
        }
        checked(&keyed, (family, key), &found)
    }
}

impl Open {
    fn refresh(&mut self) -> rusqlite::Result<()> {
        let commits = self.conn.prepare_cached("PRAGMA data_version")?.query_row((), |row| row.get(0))?;
        if commits == self.commits {
            return Ok(());
        }
        let (last, _) = last_change(&self.conn)?;
        let named = self.keyed.as_ref().is_some_and(|keyed| keyed.head.names == NameMode::Plain);
        let count = last.checked_sub(self.sequence);
        if named && count.is_some_and(|count| (1..=CHANGES).contains(&count)) {
            let mut rows = self.conn.prepare_cached("SELECT family, key FROM history WHERE sequence > ?1")?;
            let mut rows = rows.query([self.sequence])?;
            while let Some(row) = rows.next()? {
                self.memory.forget(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
            }
        } else {
            self.memory = Memory::default();
        }
        self.commits = commits;
        self.sequence = last;
        Ok(())
    }

    fn find(&mut self, family: &str, key: &str) -> rusqlite::Result<Found> {
        let mut find = self.conn.prepare_cached(
            "SELECT e.version, e.value, h.sequence, h.what FROM (SELECT 1)
             LEFT JOIN entries e ON e.family = ?1 AND e.key = ?2
             LEFT JOIN history h ON h.sequence =
               (SELECT sequence FROM history WHERE family = ?1 AND key = ?2 ORDER BY sequence DESC LIMIT 1)",
        )?;
        let found = find.query_row((family, key), |row| {
            let version: Option<i64> = row.get(0)?;
            let sequence: Option<i64> = row.get(2)?;
            Ok(Found {
                entry: version.map(|version| Ok::<_, rusqlite::Error>((version, row.get(1)?))).transpose()?,
                change: sequence.map(|sequence| Ok::<_, rusqlite::Error>((sequence, row.get(3)?))).transpose()?,
            })
        });
        Ok(found.optional()?.unwrap_or(Found { entry: None, change: None }))
    }
}

/// The value, if entry and history agree and the seal is whole.
fn checked(keyed: &Keyed, (family, key): (&str, &str), found: &Found) -> Result<Option<Value>, StoreError> {
    let damaged = |what| StoreError::Damaged { family: family.to_owned(), key: key.to_owned(), what };
    let written = found.change.as_ref().filter(|(_, what)| what == "put").map(|(sequence, _)| *sequence);
    match (&found.entry, written) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(damaged("it is gone, but nobody has removed it")),
        (Some((version, _)), written) if written != Some(*version) => {
            Err(damaged("it is not the one that was written last"))
        }
        (Some((version, sealed)), _) => {
            keyed.open(Place::value(family, key, *version), sealed).map(Some).map_err(damaged)
        }
    }
}

impl Memory {
    fn get(&self, family: &str, key: &str) -> Option<Option<Value>> {
        self.families.get(family)?.get(key).cloned()
    }

    fn keep(&mut self, family: &str, key: &str, value: Option<Value>) {
        let bytes = family.len() + key.len() + value.as_ref().map_or(0, |value| value.expose().len());
        if self.entries >= ENTRIES || self.bytes.saturating_add(bytes) > BYTES {
            *self = Self::default();
        }
        self.entries += 1;
        self.bytes += bytes;
        self.families.entry(family.into()).or_default().insert(key.into(), value);
    }

    fn forget(&mut self, family: &str, key: &str) {
        if let Some(keys) = self.families.get_mut(family) {
            keys.remove(key);
        }
    }
}
