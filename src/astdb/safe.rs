//! The key of a store whose server is given it while it runs: in memory only, taken out again after a while.
//! Above: the server holds and forgets, [`KeySource::Safe`] asks. Below: `key`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::StoreError;
use super::key::{KeySource, Recipe, stretched};
use super::seal::Key;
use crate::config::Secret;

/// A place for a key, empty at first. Its copies are the same place.
#[derive(Clone, Default)]
pub struct KeySafe(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    source: Option<KeySource>,
    /// What passphrases gave, by their salt: making a key of one takes a tenth of a second.
    made: Vec<([u8; 16], Key)>,
    /// Counts every change, so that who has opened a store with the key notices.
    epoch: u64,
}

impl KeySafe {
    /// Puts a key in, in the place of what is there.
    pub fn hold(&self, source: KeySource) {
        let mut inside = self.lock();
        *inside = Inside { source: Some(source), made: Vec::new(), epoch: inside.epoch + 1 };
    }

    /// Wipes the key; whether there was one. What was opened with it is wiped by [`super::Store::forget_key`].
    pub fn forget(&self) -> bool {
        let mut inside = self.lock();
        let held = inside.source.is_some();
        *inside = Inside { epoch: inside.epoch + 1, ..Inside::default() };
        held
    }

    /// Whether there is a key.
    pub fn is_open(&self) -> bool {
        self.lock().source.is_some()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    pub(super) fn source(&self) -> Result<KeySource, StoreError> {
        self.lock().source.clone().ok_or(StoreError::Locked)
    }

    /// [`KeySource::masters`] of a passphrase, made once.
    pub(super) fn made_of(&self, words: &Secret, recipe: &Recipe) -> Result<Vec<Key>, StoreError> {
        let Recipe::Passphrase { salt, memory_kib, passes } = recipe else { return Ok(Vec::new()) };
        let (known, epoch) = {
            let inside = self.lock();
            (inside.made.iter().find(|(of, _)| of == salt).map(|(_, key)| key.clone()), inside.epoch)
        };
        if let Some(key) = known {
            return Ok(vec![key]);
        }
        let key = stretched(words, salt, (*memory_kib, *passes))?;
        let mut inside = self.lock();
        if inside.epoch == epoch {
            inside.made.push((*salt, key.clone()));
        }
        Ok(vec![key])
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for KeySafe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_open() { "KeySafe(held)" } else { "KeySafe(empty)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::astdb::{Detail, KeyRing, Select, Setup, Store};
    use std::ops::ControlFlow;

    fn stored(folder: &std::path::Path, keys: KeySource) -> Store {
        Store::new(Setup { keys, ..Setup::new(folder.join("db"), folder.join("key"), "test") })
    }

    #[test]
    fn a_forgotten_key_opens_nothing_not_even_what_was_read_before() {
        let folder = tempfile::tempdir().unwrap();
        let safe = KeySafe::default();
        let store = stored(folder.path(), KeySource::Safe(safe.clone()));
        assert!(matches!(store.put_blocking("pin", "100", "1234"), Err(StoreError::Locked)));
        assert!(!folder.path().join("db").exists(), "a locked server makes no store");

        let ring = KeyRing::default().with(1).unwrap();
        safe.hold(KeySource::Held(ring.clone()));
        store.put_blocking("pin", "100", "1234").unwrap();
        assert!(store.get("pin", "100").unwrap().unwrap().is_same(b"1234"));

        assert!(safe.forget() && !safe.forget());
        assert!(matches!(store.get("pin", "100"), Err(StoreError::Locked)));
        assert!(matches!(store.put_blocking("pin", "100", "5"), Err(StoreError::Locked)));
        let names = store.list(&Select::All, Detail::Names, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(names, 1, "names in clear need no key");

        safe.hold(KeySource::Held(ring));
        assert!(store.get("pin", "100").unwrap().unwrap().is_same(b"1234"));
    }

    #[test]
    fn a_key_is_tried_before_it_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let words = |text: &str| KeySource::Passphrase(Secret::new(text.to_owned()));
        let store = stored(folder.path(), KeySource::None);
        assert!(!store.opens_with(&words("correct")).unwrap(), "there is no store yet");
        stored(folder.path(), words("correct")).put_blocking("a", "b", "c").unwrap();
        assert!(store.opens_with(&words("correct")).unwrap());
        assert!(matches!(store.opens_with(&words("wrong")), Err(StoreError::WrongKey { .. })));
        let other = KeySource::Held(KeyRing::default().with(1).unwrap());
        assert!(store.opens_with(&other).is_err());

        let safe = KeySafe::default();
        safe.hold(words("correct"));
        assert!(stored(folder.path(), KeySource::Safe(safe.clone())).get("a", "b").unwrap().is_some());
        assert_eq!(format!("{safe:?}"), "KeySafe(held)");
    }
}
