//! The key, the hashes made with it, and the file it is kept in.
//! Above: entries and the head are hashed with it. Below: HMAC-SHA-256 and the disk.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::EvidenceError;

const KEY: usize = 32;
/// Key files longer than this, in bytes, are something else.
const FILE_LIMIT: u64 = 4_096;

/// What is hashed: so that the hash of one thing never passes for that of another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// A line of the log.
    Entry,
    /// The head file.
    Head,
}

impl Purpose {
    /// What is hashed in front of the bytes.
    fn words(self) -> &'static [u8] {
        match self {
            Self::Entry => b"wirechief evidence entry 1\n",
            Self::Head => b"wirechief evidence head 1\n",
        }
    }
}

/// An HMAC-SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    /// What stands for the hash before the first entry.
    pub(super) const ZERO: Self = Self([0; 32]);
    /// Length of its text.
    pub(super) const DIGITS: usize = 64;

    /// From 64 hexadecimal digits; letters are small ones, so that there is one way to write a hash.
    pub(super) fn read(digits: &[u8]) -> Option<Self> {
        Some(Self(*bytes_of(digits)?))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn bytes_of(digits: &[u8]) -> Option<Zeroizing<[u8; KEY]>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; KEY] = pairs.try_into().ok()?;
    let mut bytes = Zeroizing::new([0; KEY]);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Thirty-two secret bytes that wipe themselves and do not print.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; KEY]>);

impl Key {
    /// A new one.
    pub(super) fn random() -> Result<Self, EvidenceError> {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| EvidenceError::NoChance)?;
        Ok(Self(key))
    }

    pub(super) fn hash(&self, purpose: Purpose, bytes: &[u8]) -> Hash {
        Hash(self.mac(purpose, bytes).finalize().into_bytes().into())
    }

    pub(super) fn verifies(&self, purpose: Purpose, bytes: &[u8], hash: &Hash) -> bool {
        self.mac(purpose, bytes).verify_slice(&hash.0).is_ok()
    }

    fn mac(&self, purpose: Purpose, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_slice()).expect("HMAC takes keys of any length");
        mac.update(purpose.words());
        mac.update(bytes);
        mac
    }

    /// Reads a key file; `None`: it is not there.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, EvidenceError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EvidenceError::io("reading", path)(error)),
        };
        let mode = file.metadata().map_err(EvidenceError::io("reading", path))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(EvidenceError::KeyIsOpen { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_LIMIT as usize));
        file.take(FILE_LIMIT).read_to_end(&mut text).map_err(EvidenceError::io("reading", path))?;
        let key = bytes_of(text.strip_suffix(b"\n").unwrap_or(&text));
        key.map(|key| Some(Self(key))).ok_or_else(|| EvidenceError::KeyFile { path: path.to_owned() })
    }

    /// Writes it, for its owner alone, to a file that is not there yet, and to the disk.
    pub(super) fn save(&self, path: &Path) -> std::io::Result<()> {
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY + 1));
        for byte in self.0.iter() {
            // Writing into memory does not fail.
            let _ = fmt::Write::write_fmt(&mut *text, format_args!("{byte:02x}"));
        }
        text.push('\n');
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    #[cfg(test)]
    pub(super) fn of_test() -> Self {
        Self(Zeroizing::new(std::array::from_fn(|at| u8::try_from(at).unwrap_or_default())))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_kept_for_its_owner_alone_and_refused_when_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(Key::load(&path).unwrap().is_none());
        Key::of_test().save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let hash = |key: &Key| key.hash(Purpose::Entry, b"x");
        assert_eq!(hash(&Key::load(&path).unwrap().unwrap()), hash(&Key::of_test()));
        assert!(Key::random().unwrap().save(&path).is_err(), "a key is never replaced");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::load(&path), Err(EvidenceError::KeyIsOpen { mode: 0o640, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "no key\n").unwrap();
        assert!(matches!(Key::load(&path), Err(EvidenceError::KeyFile { .. })));
        assert_eq!(format!("{:?}", Key::of_test()), "Key(…)");
    }

    #[test]
    fn a_hash_has_one_way_to_be_written_and_one_purpose() {
        let key = Key::of_test();
        let hash = key.hash(Purpose::Entry, b"x");
        assert_eq!(Hash::read(hash.to_string().as_bytes()), Some(hash));
        assert_eq!(Hash::read(hash.to_string().to_uppercase().as_bytes()), None);
        assert!(!key.verifies(Purpose::Head, b"x", &hash));
    }
}
