//! Master keys: where they come from, and the file they are kept in.
//! Above: `open` asks for the key of a generation. Below: files, and argon2id for passphrases.
//!
//! A key file is text of one line a generation, `NUMBER HEX`, with comments behind `#`. It is made at first use with mode 0600,
//! replaced whole when a key is added, and refused when others can read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::error::StoreError;
use super::safe::KeySafe;
use super::seal::Key;
use crate::config::Secret;

/// Key files longer than this, in bytes, are something else.
const FILE_LIMIT: u64 = 64 * 1024;
/// Argon2id's memory in KiB and its passes: the second choice of RFC 9106 §4, for machines without 2 GiB to spare.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// Where the master key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A key file; made with the store, if it is not there.
    File(PathBuf),
    /// A passphrase.
    Passphrase(Secret),
    /// Keys held in memory.
    Held(KeyRing),
    /// Whatever is in this safe now.
    Safe(KeySafe),
    /// Several: each key from whichever has it.
    Several(Vec<Self>),
    /// None: keys of entries can be listed, values cannot be read.
    None,
}

/// Master keys by generation.
#[derive(Clone, Default)]
pub struct KeyRing(Arc<BTreeMap<u32, Key>>);

impl KeyRing {
    /// Reads the text of a key file.
    ///
    /// # Errors
    /// What is wrong with it, without any of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut keys = BTreeMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (generation, hex) = line.split_once(' ').ok_or("a line is not `NUMBER HEX`")?;
            let generation = generation.parse().map_err(|_| "a line does not begin with the number of a generation")?;
            let key = key_of_hex(hex.trim()).ok_or("a key is not 64 hexadecimal digits")?;
            if keys.insert(generation, key).is_some() {
                return Err("a generation is there twice");
            }
        }
        if keys.is_empty() { Err("it holds no key") } else { Ok(Self(Arc::new(keys))) }
    }

    /// Reads a key file; `None`: it is not there.
    ///
    /// # Errors
    /// It can be read by others, or holds something else.
    pub fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        read_file(path)
    }

    /// The text of a key file with these keys.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(128 + 80 * self.0.len()));
        text.push_str(
            "# The key of a wirechief astdb store: whoever has it reads the store, and without it nobody does.\n",
        );
        for (generation, key) in self.0.iter() {
            // Writing into memory does not fail.
            let _ = write!(text, "{generation} ");
            for byte in key.expose() {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text
    }

    /// The generations there are keys for, oldest first.
    pub fn generations(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }

    /// With a new random key added for that generation.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn with(&self, generation: u32) -> Result<Self, StoreError> {
        let mut keys = (*self.0).clone();
        keys.insert(generation, random_key()?);
        Ok(Self(Arc::new(keys)))
    }

    /// Without the keys before `generation`.
    pub fn since(&self, generation: u32) -> Self {
        Self(Arc::new(self.0.range(generation..).map(|(number, key)| (*number, key.clone())).collect()))
    }

    /// With the keys of another one, ours first.
    fn and(&self, other: &Self) -> Self {
        let mut keys = (*other.0).clone();
        keys.extend(self.0.iter().map(|(number, key)| (*number, key.clone())));
        Self(Arc::new(keys))
    }

    pub(super) fn get(&self, generation: u32) -> Option<&Key> {
        self.0.get(&generation)
    }

    pub(super) fn newest(&self) -> Option<(u32, &Key)> {
        self.0.last_key_value().map(|(generation, key)| (*generation, key))
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How a generation's key is made from what the user has; stands in the store, in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Recipe {
    /// It is in a key file or held in memory.
    Random,
    /// Argon2id of a passphrase.
    Passphrase { salt: [u8; 16], memory_kib: u32, passes: u32 },
}

impl KeySource {
    /// The keys of a file or of memory; `None`: there are none, or they are made from a passphrase.
    pub(super) fn ring(&self) -> Result<Option<KeyRing>, StoreError> {
        match self {
            Self::File(path) => read_file(path),
            Self::Held(ring) => Ok(Some(ring.clone())),
            Self::Several(sources) => {
                let mut all: Option<KeyRing> = None;
                for source in sources {
                    all = match (all, source.ring()?) {
                        (Some(all), Some(ring)) => Some(all.and(&ring)),
                        (all, ring) => all.or(ring),
                    };
                }
                Ok(all)
            }
            Self::Safe(safe) => safe.source()?.ring(),
            Self::Passphrase(_) | Self::None => Ok(None),
        }
    }

    /// What may be the master key of a generation: one key, or one from each passphrase.
    pub(super) fn masters(
        &self,
        generation: u32,
        recipe: &Recipe,
        ring: Option<&KeyRing>,
    ) -> Result<Vec<Key>, StoreError> {
        match (self, recipe) {
            (Self::Safe(safe), _) => match safe.source()? {
                Self::Passphrase(words) => safe.made_of(&words, recipe),
                source => source.masters(generation, recipe, ring),
            },
            (Self::Passphrase(words), Recipe::Passphrase { salt, memory_kib, passes }) => {
                Ok(vec![stretched(words, salt, (*memory_kib, *passes))?])
            }
            (Self::Several(sources), Recipe::Passphrase { .. }) => {
                let mut all = Vec::new();
                for source in sources {
                    all.extend(source.masters(generation, recipe, None)?);
                }
                Ok(all)
            }
            (_, Recipe::Passphrase { .. }) => Ok(Vec::new()),
            (_, Recipe::Random) => Ok(ring.and_then(|ring| ring.get(generation)).cloned().into_iter().collect()),
        }
    }

    /// The key a new store is made with: the newest there is, or a new one.
    pub(super) fn first(&self) -> Result<(u32, Recipe, Key), StoreError> {
        match self {
            Self::Passphrase(words) => {
                let (salt, cost) = (random()?, (MEMORY_KIB, PASSES));
                let key = stretched(words, &salt, cost)?;
                Ok((1, Recipe::Passphrase { salt, memory_kib: cost.0, passes: cost.1 }, key))
            }
            Self::File(path) => {
                let ring = match read_file(path)? {
                    Some(ring) => synced(path, ring)?,
                    None => make_file(path)?,
                };
                ring.newest().map(|(number, key)| (number, Recipe::Random, key.clone())).ok_or_else(|| self.missing())
            }
            Self::Held(ring) => {
                ring.newest().map(|(number, key)| (number, Recipe::Random, key.clone())).ok_or_else(|| self.missing())
            }
            Self::Safe(safe) => safe.source()?.first(),
            Self::Several(_) | Self::None => Err(self.missing()),
        }
    }

    /// Whether there is anything to open a store with, or to make one.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Safe(safe) if !safe.is_open() => Err(StoreError::Locked),
            Self::None => Err(self.missing()),
            _ => Ok(()),
        }
    }

    /// Changes whenever what a safe holds does.
    pub(super) fn epoch(&self) -> u64 {
        match self {
            Self::Safe(safe) => safe.epoch(),
            _ => 0,
        }
    }

    /// That the key is not here.
    pub(super) fn missing(&self) -> StoreError {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Passphrase(_) => PathBuf::from("passphrase"),
            Self::Several(sources) => return sources.first().map_or(StoreError::Closed, Self::missing),
            Self::Safe(safe) => return safe.source().map_or_else(|locked| locked, |source| source.missing()),
            Self::Held(_) | Self::None => PathBuf::from("no key given"),
        };
        StoreError::NoKey { path }
    }
}

/// Reads a key file; `None`: it is not there.
///
/// # Errors
/// It can be read by others, or holds something else.
pub(super) fn read_file(path: &Path) -> Result<Option<KeyRing>, StoreError> {
    let failed = |source| StoreError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let facts = file.metadata().map_err(failed)?;
    let mode = facts.mode() & 0o777;
    if facts.is_file() && mode & 0o077 != 0 {
        return Err(StoreError::KeyIsOpen { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(4_096));
    let what = |what| StoreError::KeyFile { path: path.to_owned(), what };
    match file.take(FILE_LIMIT).read_to_string(&mut text) {
        Ok(_) => KeyRing::parse(&text).map(Some).map_err(what),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(what("it is no text")),
        Err(error) => Err(failed(error)),
    }
}

/// Makes a key file with a new key. Where another was faster, that one's key is taken.
pub(super) fn make_file(path: &Path) -> Result<KeyRing, StoreError> {
    let ring = KeyRing::default().with(1)?;
    let failed = |source| StoreError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        super::files::make_folder(folder)?;
    }
    let written = write_beside(path, &ring).map_err(failed)?;
    // A link, unlike a rename, never replaces a key that someone else has just made and sealed with.
    let linked = fs::hard_link(&written, path);
    let _ = fs::remove_file(&written);
    match linked {
        Ok(()) => super::files::sync_folder_of(path).map(|()| ring),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let ring = read_file(path)?.ok_or_else(|| StoreError::NoKey { path: path.to_owned() })?;
            synced(path, ring)
        }
        Err(error) => Err(failed(error)),
    }
}

/// A key that somebody has made, perhaps just now, and that something is about to be sealed with: its name is on the disk before.
pub(super) fn synced(path: &Path, ring: KeyRing) -> Result<KeyRing, StoreError> {
    match super::files::sync_folder_of(path) {
        // A key that may be read but whose folder may not was put there by someone else, long ago.
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => Ok(ring),
        done => done.map(|()| ring),
    }
}

/// Replaces a key file, whole or not at all.
pub(super) fn replace_file(path: &Path, ring: &KeyRing) -> Result<(), StoreError> {
    let failed = |source| StoreError::Io { path: path.to_owned(), source };
    let written = write_beside(path, ring).map_err(failed)?;
    if let Err(error) = fs::rename(&written, path) {
        let _ = fs::remove_file(&written);
        return Err(failed(error));
    }
    super::files::sync_folder_of(path)
}

fn write_beside(path: &Path, ring: &KeyRing) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    if let Err(error) = file.write_all(ring.text().as_bytes()).and_then(|()| file.sync_all()) {
        // Half a key is left nowhere.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    Ok(beside)
}

/// A master key from a passphrase; `cost` is the memory in KiB and the passes.
pub(super) fn stretched(words: &Secret, salt: &[u8], cost: (u32, u32)) -> Result<Key, StoreError> {
    let wrong = |_| StoreError::Name("the passphrase cannot be used");
    let params = Params::new(cost.0, cost.1, 1, Some(32)).map_err(wrong)?;
    let mut key = Zeroizing::new([0; 32]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(words.expose().as_bytes(), salt, &mut *key).map_err(wrong)?;
    Ok(Key::new(*key))
}

/// Random bytes from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Io {
        path: PathBuf::from("random numbers"),
        source: io::Error::other(error.to_string()),
    })?;
    Ok(bytes)
}

pub(super) fn random_key() -> Result<Key, StoreError> {
    random().map(Key::new)
}

fn key_of_hex(hex: &str) -> Option<Key> {
    let digits = hex.as_bytes();
    let mut key = Zeroizing::new([0; 32]);
    if digits.len() != 2 * key.len() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(Key::new(*key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets/astdb.key");
        let made = make_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = make_file(&path).unwrap();
        assert_eq!(made.get(1).unwrap().expose(), again.get(1).unwrap().expose());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("astdb.key");
        make_file(&path).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(read_file(&path), Err(StoreError::KeyIsOpen { .. })), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(read_file(&path).unwrap().is_some());
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_showing_it() {
        for text in ["", "# nothing\n", "1234\n", "1 abc\n", "x 00\n", "1\n"] {
            assert!(KeyRing::parse(text).is_err(), "{text:?}");
        }
        let line = format!("1 {}\n", "ab".repeat(32));
        assert!(KeyRing::parse(&line).is_ok());
        assert!(KeyRing::parse(&format!("{line}{line}")).is_err());
    }

    #[test]
    fn several_generations_are_kept_in_one_file() {
        let ring = KeyRing::default().with(1).unwrap().with(2).unwrap();
        let read = KeyRing::parse(&ring.text()).unwrap();
        assert_eq!(read.generations().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(read.get(2).unwrap().expose(), ring.get(2).unwrap().expose());
        assert_eq!(format!("{read:?}"), "{1, 2}");
    }

    #[test]
    fn a_passphrase_gives_the_same_key_with_the_same_salt_only() {
        let words = Secret::new("correct horse".to_owned());
        let key = |salt: &[u8; 16]| *stretched(&words, salt, (8, 1)).unwrap().expose();
        assert_eq!(key(&[1; 16]), key(&[1; 16]));
        assert_ne!(key(&[1; 16]), key(&[2; 16]));
    }
}
