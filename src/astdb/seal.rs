//! Sealing: AES-256-GCM under a key made for one value, bound to the place where the value stands.
//! Above: the reader and the writer. Below: nothing but arithmetic; chance comes in as an argument. The form is written down in [`super`].
//!
//! AES-GCM is lost as soon as one key sees one nonce twice, and 96 random bits are too few for stores that are copied, restored
//! and written by several processes for years. So the nonce here has 192 bits, and what AES-GCM gets as key and nonce is derived
//! from it and the family's key: even 2⁶⁴ values make a repetition less likely than 2⁻⁶⁴. And the 192 bits are not the random
//! ones as they came, but a hash under the family's key of these, the place and the value: should the system's random numbers
//! repeat (a machine restored from a snapshot), the same nonce comes up only for the same value at the same place, whose sealed
//! form is then the same too and tells nothing new.

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::value::Value;

/// The form that is written.
const FORM: u8 = 1;
/// Form and generation in front of each sealed value, in bytes.
const HEADER: usize = 5;
/// Bytes of a nonce.
pub(super) const NONCE: usize = 24;
const TAG: usize = 16;
/// Values are filled up to a multiple of this, so that a short one does not tell its length.
const BLOCK: usize = 16;
const KEY: usize = 32;

/// Thirty-two secret bytes that wipe themselves and do not print.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; KEY]>);

impl Key {
    pub(super) fn new(bytes: [u8; KEY]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// From bytes of the right number.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY]);
        key.copy_from_slice(bytes.get(..KEY).filter(|_| bytes.len() == KEY)?);
        Some(Self(key))
    }

    /// From a part of our own of 32 bytes.
    fn copied(part: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; KEY]);
        key.copy_from_slice(part);
        Self(key)
    }

    pub(super) fn expose(&self) -> &[u8; KEY] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Names a store among all stores; not secret.
pub(super) type StoreId = [u8; 16];

/// Chance for one sealing: 256 bits from the system.
pub(super) type Chance = [u8; 32];

/// Where a value stands: what it is bound to besides its store and generation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// What kind of value: one of families, or one of the store's own.
    pub(super) purpose: &'static str,
    pub(super) family: &'a str,
    pub(super) key: &'a str,
    /// The number of the change that wrote it.
    pub(super) version: i64,
}

impl<'a> Place<'a> {
    /// Where a value of a family stands.
    pub(super) fn value(family: &'a str, key: &'a str, version: i64) -> Self {
        Self { purpose: "family", family, key, version }
    }
}

/// A master key of one store and generation, ready for use.
pub(super) struct Vault {
    store: StoreId,
    generation: u32,
    /// Its pseudo-random key is the master key extracted with the store as salt.
    master: Hkdf<Sha256>,
}

impl Vault {
    pub(super) fn new(store: StoreId, generation: u32, master: &Key) -> Self {
        Self { store, generation, master: Hkdf::new(Some(&store), master.expose()) }
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// Seals a value for a place.
    pub(super) fn seal(&self, place: Place<'_>, value: &[u8], chance: &Chance) -> Vec<u8> {
        let (values, nonces) = self.family_keys(place);
        let bound = self.bound(place);
        let mut text = filled_up(value);
        let nonce = nonce(&nonces, chance, &[&bound, &text]);
        let (cipher, iv) = cipher(&values, &nonce);
        let mut sealed = Vec::with_capacity(HEADER + NONCE + text.len() + TAG);
        sealed.extend_from_slice(&self.header());
        sealed.extend_from_slice(&nonce);
        let tag = cipher.encrypt_inout_detached(&iv, &bound, text.as_mut_slice().into());
        let tag = tag.expect("AES-GCM takes 64 GiB, a value has 1 MiB at most");
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Opens a sealed value, if it is whole and stands where it was sealed for.
    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Option<Value> {
        let (header, rest) = sealed.split_at_checked(HEADER)?;
        if header != self.header() {
            return None;
        }
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let (values, _) = self.family_keys(place);
        let (cipher, iv) = cipher(&values, nonce.try_into().ok()?);
        let mut text = Zeroizing::new(text.to_vec());
        let tag = Tag::try_from(tag).ok()?;
        cipher.decrypt_inout_detached(&iv, &self.bound(place), text.as_mut_slice().into(), &tag).ok()?;
        // The filling: one byte 0x80, then zeros.
        let end = text.iter().rposition(|byte| *byte != 0).filter(|at| text.get(*at) == Some(&0x80))?;
        text.truncate(end);
        Some(Value::new(text))
    }

    fn header(&self) -> [u8; HEADER] {
        let [a, b, c, d] = self.generation.to_be_bytes();
        [FORM, a, b, c, d]
    }

    /// The key for a family's values and the key for their nonces.
    fn family_keys(&self, place: Place<'_>) -> (Key, Key) {
        let mut both = Zeroizing::new([0; 2 * KEY]);
        let info = [b"wirechief astdb 1 ", place.purpose.as_bytes(), b"\0", place.family.as_bytes()];
        self.master.expand_multi_info(&info, &mut *both).expect("HKDF gives 255 × 32 bytes (RFC 5869 §2.3)");
        let (values, nonces) = both.split_at(KEY);
        (Key::copied(values), Key::copied(nonces))
    }

    /// The associated data: everything the value is bound to, each part with its length.
    fn bound(&self, place: Place<'_>) -> Vec<u8> {
        let mut bound = Vec::with_capacity(64 + place.family.len() + place.key.len());
        bound.extend_from_slice(b"wirechief astdb value");
        bound.extend_from_slice(&self.header());
        bound.extend_from_slice(&self.store);
        bound.extend_from_slice(&place.version.to_be_bytes());
        for part in [place.purpose, place.family, place.key] {
            push_part(&mut bound, part.as_bytes());
        }
        bound
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.generation)
    }
}

/// The generation a sealed value names; `None`: not of our form.
pub(super) fn generation_of(sealed: &[u8]) -> Option<u32> {
    match sealed {
        [FORM, a, b, c, d, ..] if sealed.len() >= HEADER + NONCE + BLOCK + TAG => {
            Some(u32::from_be_bytes([*a, *b, *c, *d]))
        }
        _ => None,
    }
}

/// Bytes of a sealed value's text, filled up: what can be told without the key.
pub(super) fn sealed_len(sealed: usize) -> usize {
    sealed.saturating_sub(HEADER + NONCE + TAG)
}

/// A part with its length in front, so that no two lists of parts give the same bytes.
pub(super) fn push_part(to: &mut Vec<u8>, part: &[u8]) {
    // Names have 4 KiB at most.
    let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&len.to_be_bytes());
    to.extend_from_slice(part);
}

/// HMAC-SHA256 of parts that stand one behind the other.
pub(super) fn mac(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
    for part in parts {
        Mac::update(&mut mac, part);
    }
    mac.finalize().into_bytes().into()
}

/// The nonce of a value: a hash of chance, place and value under the family's key for nonces.
pub(super) fn nonce(key: &Key, chance: &Chance, parts: &[&[u8]; 2]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    let hash = mac(key, &[chance, parts[0], parts[1]]);
    for (to, from) in nonce.iter_mut().zip(hash) {
        *to = from;
    }
    nonce
}

/// The cipher of one value, and the nonce it is used with once.
fn cipher(values: &Key, nonce: &[u8; NONCE]) -> (Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>) {
    let mut both = Zeroizing::new([0; KEY + 12]);
    let family = Hkdf::<Sha256>::from_prk(values.expose()).expect("a pseudo-random key of 32 bytes is long enough");
    let info: [&[u8]; 2] = [b"wirechief astdb 1 value\0", nonce];
    family.expand_multi_info(&info, &mut *both).expect("HKDF gives 255 × 32 bytes (RFC 5869 §2.3)");
    let (key, iv) = both.split_at(KEY);
    let key = Key::copied(key);
    let mut nonce = Nonce::default();
    nonce.copy_from_slice(iv);
    (Aes256Gcm::new(key.expose().into()), nonce)
}

fn filled_up(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let len = (value.len() / BLOCK + 1) * BLOCK;
    let mut text = Zeroizing::new(Vec::with_capacity(len));
    text.extend_from_slice(value);
    text.push(0x80);
    text.resize(len, 0);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vault() -> Vault {
        Vault::new([7; 16], 1, &Key::new([1; 32]))
    }

    const PIN: Place<'static> = Place { purpose: "family", family: "pin", key: "100", version: 5 };

    #[test]
    fn a_sealed_value_opens_where_it_was_sealed_for() {
        let sealed = vault().seal(PIN, b"1234", &[9; 32]);
        assert_eq!(vault().open(PIN, &sealed).unwrap().expose(), b"1234");
        assert_eq!(generation_of(&sealed), Some(1));
        assert_eq!(sealed_len(sealed.len()), 16);
    }

    #[test]
    fn every_change_of_one_byte_is_seen() {
        let sealed = vault().seal(PIN, &[b'x'; 64], &[9; 32]);
        for at in 0..sealed.len() {
            for change in 1..=255 {
                let mut changed = sealed.clone();
                changed[at] ^= change;
                assert!(vault().open(PIN, &changed).is_none(), "byte {at}");
            }
        }
        for len in 0..sealed.len() {
            assert!(vault().open(PIN, &sealed[..len]).is_none(), "{len} bytes");
        }
    }

    #[test]
    fn another_place_version_store_generation_or_key_does_not_open() {
        let sealed = vault().seal(PIN, b"1234", &[9; 32]);
        let places = [
            Place { family: "pi", key: "n100", ..PIN },
            Place { family: "pin1", key: "00", ..PIN },
            Place { key: "101", ..PIN },
            Place { version: 4, ..PIN },
            Place { purpose: "names", ..PIN },
        ];
        for place in places {
            assert!(vault().open(place, &sealed).is_none(), "{place:?}");
        }
        for other in [
            Vault::new([8; 16], 1, &Key::new([1; 32])),
            Vault::new([7; 16], 2, &Key::new([1; 32])),
            Vault::new([7; 16], 1, &Key::new([2; 32])),
        ] {
            assert!(other.open(PIN, &sealed).is_none());
        }
        let slash = vault().seal(Place { family: "a/b", key: "c", ..PIN }, b"1", &[9; 32]);
        assert!(vault().open(Place { family: "a", key: "b/c", ..PIN }, &slash).is_none());
    }

    #[test]
    fn repeated_chance_repeats_a_nonce_only_for_the_same_value_at_the_same_place() {
        let nonce = |place, value: &[u8]| vault().seal(place, value, &[9; 32])[HEADER..HEADER + NONCE].to_vec();
        assert_eq!(nonce(PIN, b"1234"), nonce(PIN, b"1234"));
        assert_ne!(nonce(PIN, b"1234"), nonce(PIN, b"1235"));
        assert_ne!(nonce(PIN, b"1234"), nonce(Place { version: 6, ..PIN }, b"1234"));
        assert_ne!(nonce(PIN, b"1234"), nonce(Place { key: "101", ..PIN }, b"1234"));
    }

    #[test]
    fn equal_values_look_different() {
        let other = Place { key: "101", ..PIN };
        let (one, two) = (vault().seal(PIN, b"1234", &[1; 32]), vault().seal(other, b"1234", &[2; 32]));
        assert_ne!(one[HEADER..], two[HEADER..]);
        assert_eq!(one.len(), two.len());
    }

    /// `ASTDB_NONCES=10000000` makes the long run.
    #[test]
    fn no_nonce_is_drawn_twice_by_writers_side_by_side_nor_on_a_restored_copy() {
        let count = std::env::var("ASTDB_NONCES").ok().and_then(|count| count.parse().ok()).unwrap_or(40_000_usize);
        let drawn = move |seed: i64| -> Vec<[u8; NONCE]> {
            let place = Place { version: seed, ..PIN };
            let (_, nonces) = vault().family_keys(place);
            let bound = vault().bound(place);
            let chance = || super::super::key::random::<32>().unwrap();
            (0..count / 8).map(|_| nonce(&nonces, &chance(), &[&bound, b"1234"])).collect()
        };
        // All begin from the same store, as a copy restored beside the original does: half of them with the same version.
        let writers: Vec<_> = (0..8).map(|writer| std::thread::spawn(move || drawn(writer / 2))).collect();
        let mut seen = std::collections::HashSet::with_capacity(count);
        for writer in writers {
            assert!(writer.join().unwrap().into_iter().all(|nonce| seen.insert(nonce)));
        }
        assert_eq!(seen.len(), count / 8 * 8);
    }

    #[test]
    fn the_written_vectors_are_what_is_sealed_here() {
        let text = include_str!("../../tests/data/astdb/vectors.json");
        let vectors: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        let bytes = |digits: &str| -> Vec<u8> {
            (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect()
        };
        for vector in &vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let master = Key::of(&bytes(text("master"))).unwrap();
            let store = bytes(text("store")).try_into().unwrap();
            let generation = u32::try_from(vector["generation"].as_u64().unwrap()).unwrap();
            let place = Place::value(text("family"), text("key"), vector["version"].as_i64().unwrap());
            let chance: Chance = bytes(text("random")).try_into().unwrap();
            let sealed = Vault::new(store, generation, &master).seal(place, &bytes(text("value")), &chance);
            let digits: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digits, text("sealed"), "{place:?}");
        }
        assert!(vectors.len() >= 4);
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens_again(value: Vec<u8>, family: String, key: String, version: i64, chance: [u8; 32]) {
            let place = Place { purpose: "family", family: &family, key: &key, version };
            let sealed = vault().seal(place, &value, &chance);
            prop_assert_eq!(sealed_len(sealed.len()) % 16, 0);
            let opened = vault().open(place, &sealed).map(|value| value.expose().to_vec());
            prop_assert_eq!(opened, Some(value));
        }

        #[test]
        fn bytes_from_outside_never_panic(bytes: Vec<u8>) {
            prop_assert!(vault().open(PIN, &bytes).is_none());
        }
    }
}
