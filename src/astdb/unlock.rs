//! From the master key to what reads and writes need: the vaults of all generations, the key of hidden names, the chain's key.
//! Above: the reader and the writer. Below: `key` gives master keys, `seal` opens what they wrap.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use zeroize::Zeroizing;

use super::error::StoreError;
use super::key::{KeySource, Recipe, random};
use super::seal::{Key, Place, StoreId, Vault, generation_of, mac, push_part};
use super::value::Value;

/// Whether the file shows the names of families and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameMode {
    /// In clear: the store can be listed without its key.
    #[default]
    Plain,
    /// Only hashes of them, under a key.
    Hidden,
}

impl NameMode {
    /// As written in the settings and in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Hidden => "hidden",
        }
    }
}

/// An error of SQLite, whose file the caller knows, or one of ours.
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl Fault {
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Sqlite(error) => StoreError::from_sqlite(&error, path),
            Self::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What the file tells without a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) id: StoreId,
    pub(super) names: NameMode,
    /// The generation new values are sealed under.
    pub(super) generation: u32,
}

pub(super) fn head(conn: &Connection) -> rusqlite::Result<Head> {
    let mut row = conn.prepare_cached("SELECT id, names, generation FROM store")?;
    row.query_row((), |row| {
        let names: String = row.get(1)?;
        let names = if names == "hidden" { NameMode::Hidden } else { NameMode::Plain };
        Ok(Head { id: row.get(0)?, names, generation: row.get(2)? })
    })
}

/// All that the master key opens.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) head: Head,
    vaults: BTreeMap<u32, Vault>,
    names: Key,
    chain: Key,
}

/// Opens a store's keys with what the source has.
pub(super) fn unlock(conn: &Connection, path: &Path, source: &KeySource) -> Result<Keyed, StoreError> {
    let at = |error| StoreError::from_sqlite(&error, path);
    let head = head(conn).map_err(at)?;
    unlock_generations(head, generations(conn).map_err(at)?, (path, source))
}

/// A generation: its number, how its key is made, and the store's secrets wrapped under it.
pub(super) type Wrapped = (u32, Recipe, Vec<u8>);

/// Opens the keys of a store at `path`, or of a dump, with what the source has.
pub(super) fn unlock_generations(
    head: Head,
    all: Vec<Wrapped>,
    (path, source): (&Path, &KeySource),
) -> Result<Keyed, StoreError> {
    let ring = source.ring()?;
    let mut keyed: Option<Keyed> = None;
    for (generation, recipe, secrets) in all {
        let masters = source.masters(generation, &recipe, ring.as_ref())?;
        if masters.is_empty() {
            continue;
        }
        let mut vaults = masters.iter().map(|master| Vault::new(head.id, generation, master));
        let opened = vaults.find_map(|vault| open_secrets(&vault, &head, &secrets).map(|secrets| (vault, secrets)));
        let Some((vault, (names, chain))) = opened else {
            return Err(StoreError::WrongKey { path: path.to_owned() });
        };
        let keyed = keyed.get_or_insert_with(|| Keyed { head, vaults: BTreeMap::new(), names, chain });
        keyed.vaults.insert(generation, vault);
    }
    match keyed {
        Some(keyed) if keyed.vaults.contains_key(&head.generation) => Ok(keyed),
        // A file with keys, but not these: the key of some other store.
        _ if ring.is_some() => Err(StoreError::WrongKey { path: path.to_owned() }),
        _ => Err(source.missing()),
    }
}

/// The generations that values may be sealed under.
pub(super) fn generations(conn: &Connection) -> rusqlite::Result<Vec<Wrapped>> {
    let mut rows =
        conn.prepare("SELECT generation, salt, memory_kib, passes, secrets FROM generations ORDER BY generation")?;
    let rows = rows.query_map((), |row| {
        let salt: Option<[u8; 16]> = row.get(1)?;
        let recipe = match salt {
            Some(salt) => Recipe::Passphrase { salt, memory_kib: row.get(2)?, passes: row.get(3)? },
            None => Recipe::Random,
        };
        Ok((row.get(0)?, recipe, row.get(4)?))
    })?;
    rows.collect()
}

/// Adds a generation: its number, recipe and master key, with the store's secrets wrapped under it.
pub(super) fn write_generation(
    conn: &Connection,
    head: &Head,
    (generation, recipe, master): (u32, &Recipe, &Key),
    secrets: &[Key; 2],
) -> Result<(), Fault> {
    let vault = Vault::new(head.id, generation, master);
    let [names, chain] = secrets;
    let mut both = Zeroizing::new(Vec::with_capacity(64));
    both.extend_from_slice(names.expose());
    both.extend_from_slice(chain.expose());
    let wrapped = vault.seal(secrets_place(head, generation), &both, &random()?);
    let (salt, memory, passes) = match recipe {
        Recipe::Random => (None, None, None),
        Recipe::Passphrase { salt, memory_kib, passes } => (Some(*salt), Some(*memory_kib), Some(*passes)),
    };
    conn.execute(
        "INSERT INTO generations (generation, salt, memory_kib, passes, secrets) VALUES (?1, ?2, ?3, ?4, ?5)",
        (generation, salt, memory, passes, wrapped),
    )?;
    Ok(())
}

fn secrets_place(head: &Head, generation: u32) -> Place<'static> {
    Place { purpose: "store", family: "secrets", key: head.names.word(), version: i64::from(generation) }
}

fn open_secrets(vault: &Vault, head: &Head, wrapped: &[u8]) -> Option<(Key, Key)> {
    let both = vault.open(secrets_place(head, vault.generation()), wrapped)?;
    let (names, chain) = both.expose().split_at_checked(32)?;
    Some((Key::of(names)?, Key::of(chain)?))
}

impl Keyed {
    /// The vault new values go to.
    pub(super) fn vault(&self) -> Option<&Vault> {
        self.vaults.get(&self.head.generation)
    }

    /// Whether there is a key for values of that generation.
    pub(super) fn has(&self, generation: u32) -> bool {
        self.vaults.contains_key(&generation)
    }

    pub(super) fn secrets(&self) -> [Key; 2] {
        [self.names.clone(), self.chain.clone()]
    }

    /// Opens a value at its place, or says why not.
    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Value, &'static str> {
        let generation = generation_of(sealed).ok_or("it is cut or of an unknown form")?;
        let vault = self.vaults.get(&generation).ok_or("the key it is sealed with is not here")?;
        vault.open(place, sealed).ok_or("it was changed, or belongs somewhere else")
    }

    /// What stands in the column `family`.
    pub(super) fn family_column<'a>(&self, family: &'a str) -> Cow<'a, str> {
        match self.head.names {
            NameMode::Plain => Cow::Borrowed(family),
            NameMode::Hidden => Cow::Owned(self.hashed(&[b"family", family.as_bytes()])),
        }
    }

    /// What stands in the column `key`.
    pub(super) fn key_column<'a>(&self, family: &str, key: &'a str) -> Cow<'a, str> {
        match self.head.names {
            NameMode::Plain => Cow::Borrowed(key),
            NameMode::Hidden => Cow::Owned(self.hashed(&[b"key", family.as_bytes(), key.as_bytes()])),
        }
    }

    fn hashed(&self, parts: &[&[u8]]) -> String {
        let mut text = Vec::new();
        for part in parts {
            push_part(&mut text, part);
        }
        let hash = mac(&self.names, &[&text]);
        hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The names, sealed, for a store that hides them.
    pub(super) fn sealed_name(&self, family: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if self.head.names == NameMode::Plain {
            return Ok(None);
        }
        let (family_column, key_column) = (self.family_column(family), self.key_column(family, key));
        let mut both = Vec::with_capacity(8 + family.len() + key.len());
        push_part(&mut both, family.as_bytes());
        push_part(&mut both, key.as_bytes());
        let place = Place { purpose: "names", family: &family_column, key: &key_column, version: 0 };
        let vault = self.vault().ok_or(StoreError::Closed)?;
        Ok(Some(vault.seal(place, &both, &random()?)))
    }

    /// The names of a row: its columns, or what is sealed beside them.
    pub(super) fn names_of(
        &self,
        family: &str,
        key: &str,
        name: Option<&[u8]>,
    ) -> Result<(String, String), StoreError> {
        if self.head.names == NameMode::Plain {
            return Ok((family.to_owned(), key.to_owned()));
        }
        let place = Place { purpose: "names", family, key, version: 0 };
        let damaged = |what| StoreError::Damaged { family: family.to_owned(), key: key.to_owned(), what };
        let both = self.open(place, name.ok_or_else(|| damaged("its name is gone"))?).map_err(damaged)?;
        split_names(both.expose()).ok_or_else(|| damaged("its name is of an unknown form"))
    }

    /// The link of a change in the chain of the history.
    pub(super) fn link(&self, before: &[u8], change: &[u8]) -> [u8; 32] {
        mac(&self.chain, &[before, change])
    }
}

fn split_names(both: &[u8]) -> Option<(String, String)> {
    let part = |bytes: &[u8]| -> Option<(String, usize)> {
        let (len, rest) = bytes.split_at_checked(4)?;
        let len = usize::try_from(u32::from_be_bytes(len.try_into().ok()?)).ok()?;
        Some((String::from_utf8(rest.get(..len)?.to_vec()).ok()?, 4 + len))
    };
    let (family, end) = part(both)?;
    let (key, _) = part(both.get(end..)?)?;
    Some((family, key))
}

/// The last change of the history: its number and link; nothing before the first.
pub(super) fn last_change(conn: &Connection) -> rusqlite::Result<(i64, Vec<u8>)> {
    let mut row = conn.prepare_cached("SELECT sequence, link FROM history ORDER BY sequence DESC LIMIT 1")?;
    let last = row.query_row((), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(last.unwrap_or((0, vec![0; 32])))
}
