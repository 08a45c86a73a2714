//! Rotation: a new master key, under which every value is sealed anew, a few at a time.
//! Above: `astdb key rotate`. Below: `unlock`, `seal`, the file.
//!
//! The order makes a kill at any moment harmless. The new key is on the disk before the store names it; from then on both keys are
//! needed and known, new values take the new one, and each batch of old values is one transaction. Only when no value is left under
//! an old key does the store forget that key. Run again, it goes on where it was.

use rusqlite::{Connection, TransactionBehavior};

use super::change::Txn;
use super::error::StoreError;
use super::key::{self, KeySource, Recipe, random};
use super::schema;
use super::seal::{Key, Place};
use super::store::Store;
use super::unlock::{Fault, Keyed, generations, head, unlock, write_generation};

/// Values sealed anew in one transaction: others wait no longer than that takes.
const BATCH: usize = 256;

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The generation now in use.
    pub generation: u32,
    /// Values sealed anew, those of the history with them.
    pub values: u64,
}

/// A generation of the master key, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u32,
    /// Whether it is made from a passphrase.
    pub from_passphrase: bool,
    /// Whether new values are sealed with it.
    pub current: bool,
    /// Whether its key is here.
    pub here: bool,
}

impl Store {
    /// Seals everything with a new key: the next of the key file, or the one that `to` gives. With a rotation that was broken off,
    /// goes on with that one.
    ///
    /// # Errors
    /// The keys are not here, or the file cannot be written; what was done so far stays and is whole.
    pub fn rotate(&self, to: Option<&KeySource>) -> Result<Rotated, StoreError> {
        let setup = self.setup();
        let at = |fault: Fault| fault.at(&setup.path);
        let mut conn = schema::open_writing(&setup.path, &setup.keys, setup.names, setup.patience)?;
        let keys = match to {
            Some(to) => KeySource::Several(vec![to.clone(), setup.keys.clone()]),
            None => setup.keys.clone(),
        };
        if !is_under_way(&conn).map_err(|error| at(error.into()))? {
            begin(&mut conn, self, to).map_err(at)?;
        }
        let keyed = unlock(&conn, &setup.path, &keys)?;
        let (mut values, mut done) = (0, Done::default());
        while let Some(count) = batch(&mut conn, &keyed, &mut done).map_err(at)? {
            values += count;
        }
        finish(&mut conn, &keyed).map_err(at)?;
        Ok(Rotated { generation: keyed.head.generation, values })
    }

    /// Removes the keys before `generation` from the key file. Copies of the store made before cannot be read any more.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget_old_keys(&self, generation: u32) -> Result<(), StoreError> {
        let KeySource::File(path) = &self.setup().keys else { return Ok(()) };
        match key::read_file(path)? {
            Some(ring) if ring.get(generation).is_some() => key::replace_file(path, &ring.since(generation)),
            _ => Ok(()),
        }
    }

    /// The generations of the master key that values may be sealed with.
    ///
    /// # Errors
    /// The file cannot be read, or the key is that of another store.
    pub fn generations(&self) -> Result<Vec<Generation>, StoreError> {
        let path = &self.setup().path;
        let Some(conn) = schema::open_reading(path, self.setup().patience)? else { return Ok(Vec::new()) };
        let sqlite = |error| StoreError::from_sqlite(&error, path);
        let current = head(&conn).map_err(sqlite)?.generation;
        let keyed = match unlock(&conn, path, &self.setup().keys) {
            Ok(keyed) => Some(keyed),
            Err(StoreError::NoKey { .. } | StoreError::Locked) => None,
            Err(error) => return Err(error),
        };
        let all = generations(&conn).map_err(sqlite)?;
        let shown = |(number, recipe, _): (u32, Recipe, Vec<u8>)| Generation {
            number,
            from_passphrase: recipe != Recipe::Random,
            current: number == current,
            here: keyed.as_ref().is_some_and(|keyed| keyed.has(number)),
        };
        Ok(all.into_iter().map(shown).collect())
    }
}

fn is_under_way(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(generations(conn)?.len() > 1)
}

/// Makes the new key and names it in the store. All within one transaction, so that two rotations at once make one key.
fn begin(conn: &mut Connection, store: &Store, to: Option<&KeySource>) -> Result<(), Fault> {
    let setup = store.setup();
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_under_way(&tx)? {
        return Ok(());
    }
    let keyed = unlock(&tx, &setup.path, &setup.keys)?;
    let (recipe, master) = next_key(to.unwrap_or(&setup.keys), keyed.head.generation)?;
    let generation = keyed.head.generation.saturating_add(1);
    write_generation(&tx, &keyed.head, (generation, &recipe, &master), &keyed.secrets())?;
    tx.execute("UPDATE store SET generation = ?1", [generation])?;
    Txn::new(&tx, &keyed, &setup.who, jiff::Timestamp::now().as_millisecond())?.note("rotate")?;
    tx.commit()?;
    Ok(())
}

/// The key after `current`: from a file one that is there already, as a rotation left it that was killed here, or a new one.
fn next_key(source: &KeySource, current: u32) -> Result<(Recipe, Key), StoreError> {
    match source {
        KeySource::File(path) => {
            let mut ring = match key::read_file(path)? {
                Some(ring) => ring,
                None => key::make_file(path)?,
            };
            let next = current.saturating_add(1);
            if ring.get(next).is_none() {
                ring = ring.with(next)?;
                key::replace_file(path, &ring)?;
            } else {
                ring = key::synced(path, ring)?;
            }
            ring.get(next).map(|key| (Recipe::Random, key.clone())).ok_or_else(|| source.missing())
        }
        KeySource::Passphrase(_) => {
            let (_, recipe, key) = source.first()?;
            Ok((recipe, key))
        }
        KeySource::Held(_) | KeySource::Safe(_) | KeySource::Several(_) | KeySource::None => {
            Err(StoreError::Name("a new key needs a key file or a passphrase to be kept in"))
        }
    }
}

/// How far a pass over the tables has come.
#[derive(Default)]
struct Done {
    /// The last entry: family and key, as they stand in the columns.
    entry: (String, String),
    /// The last change of the history.
    change: i64,
    /// Nothing under an old key is left in `entries`.
    entries: bool,
}

/// Seals some values anew, of the entries and then of the history; how many, `None`: there were none left.
fn batch(conn: &mut Connection, keyed: &Keyed, done: &mut Done) -> Result<Option<u64>, Fault> {
    let vault = keyed.vault().ok_or(StoreError::Closed)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = stale(&tx, vault.generation(), done)?;
    let mut count = 0;
    for row in &rows {
        let (family, key) = keyed.names_of(&row.family, &row.key, row.name.as_deref())?;
        let name = keyed.sealed_name(&family, &key)?;
        let place = Place::value(&family, &key, row.version);
        let damaged = |what| StoreError::Damaged { family: family.clone(), key: key.clone(), what };
        let value = row.sealed.as_ref().map(|sealed| keyed.open(place, sealed).map_err(damaged)).transpose()?;
        let sealed = match &value {
            Some(value) => Some(vault.seal(place, value.expose(), &random()?)),
            None => None,
        };
        let mut update = tx.prepare_cached(match row.sequence {
            None => "UPDATE entries SET value = ?3, name = ?4 WHERE family = ?1 AND key = ?2",
            Some(_) => "UPDATE history SET old_value = ?3, name = ?4 WHERE family = ?1 AND key = ?2 AND sequence = ?5",
        })?;
        match row.sequence {
            None => update.execute((&row.family, &row.key, sealed, name))?,
            Some(sequence) => update.execute((&row.family, &row.key, sealed, name, sequence))?,
        };
        count += 1;
    }
    tx.commit()?;
    match rows.into_iter().last() {
        Some(Stale { sequence: Some(sequence), .. }) => done.change = sequence,
        Some(last) => done.entry = (last.family, last.key),
        None if done.entries => return Ok(None),
        None => done.entries = true,
    }
    Ok(Some(count))
}

/// A value under an old key.
struct Stale {
    /// In the history: the number of its change.
    sequence: Option<i64>,
    family: String,
    key: String,
    name: Option<Vec<u8>>,
    version: i64,
    /// A change that replaced no value may still have a hidden name.
    sealed: Option<Vec<u8>>,
}

/// Some values or names under another key than the current one, behind what has been done.
fn stale(conn: &Connection, current: u32, done: &Done) -> rusqlite::Result<Vec<Stale>> {
    // Form and generation are the first five bytes of whatever is sealed.
    let [a, b, c, d] = current.to_be_bytes();
    let (header, limit) = ([1, a, b, c, d], i64::try_from(BATCH).unwrap_or(i64::MAX));
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Stale {
            sequence: row.get(0)?,
            family: row.get(1)?,
            key: row.get(2)?,
            name: row.get(3)?,
            version: row.get(4)?,
            sealed: row.get(5)?,
        })
    };
    if !done.entries {
        let mut rows = conn.prepare_cached(
            "SELECT NULL, family, key, name, version, value FROM entries
             WHERE (family, key) > (?1, ?2) AND substr(value, 1, 5) <> ?3 ORDER BY family, key LIMIT ?4",
        )?;
        return rows.query_map((&done.entry.0, &done.entry.1, header, limit), read)?.collect();
    }
    let mut rows = conn.prepare_cached(
        "SELECT sequence, family, key, name, old_version, old_value FROM history
         WHERE sequence > ?1 AND (substr(old_value, 1, 5) <> ?2 OR substr(name, 1, 5) <> ?2) ORDER BY sequence LIMIT ?3",
    )?;
    rows.query_map((done.change, header, limit), read)?.collect()
}

/// Forgets the generations that nothing is sealed with any more.
fn finish(conn: &mut Connection, keyed: &Keyed) -> Result<(), Fault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let current = keyed.head.generation;
    for done in [Done::default(), Done { entries: true, ..Done::default() }] {
        if !stale(&tx, current, &done)?.is_empty() {
            return Err(StoreError::Name("values under the old key have come back; rotate again").into());
        }
    }
    tx.execute("DELETE FROM generations WHERE generation < ?1", [current])?;
    tx.commit()?;
    Ok(())
}
