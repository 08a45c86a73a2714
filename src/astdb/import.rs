//! Import of Asterisk's own database, `astdb.sqlite3`, also while Asterisk runs; and what its AES_ENCRYPT has done to values.
//! Above: `astdb import`. Below: SQLite, AES.
//!
//! Until 2016 Asterisk took the length of an encrypted value up to its first zero byte. What is stored then is cut there, and no
//! key brings it back. It shows in the length: blocks have 16 bytes, and a cut value has no multiple of that. (Of a text longer than
//! a block, a cut exactly between two blocks cannot be told from a shorter text.)

use std::path::Path;
use std::time::Duration;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use rusqlite::{Connection, OpenFlags};

use super::change::Change;
use super::error::StoreError;
use super::store::Store;
use super::value::{Value, check_names, check_value};

const BLOCK: usize = 16;

/// A row of Asterisk's database.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// The part before the second slash of its key.
    pub family: String,
    /// The part behind it.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// What a value is that AES_ENCRYPT may have made.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Not of its form.
    Plain,
    /// Whole blocks; opened, where the key was given and fits.
    Whole(Option<Value>),
    /// Cut to so many bytes, at a zero byte: lost.
    Cut(usize),
    /// Whole blocks that do not open with the key given.
    OtherKey,
}

/// Reads all rows of Asterisk's database at one moment, without disturbing Asterisk.
///
/// # Errors
/// The file is no such database, or is locked for longer than `patience`.
pub fn read_asterisk(path: &Path, patience: Duration) -> Result<Vec<Foreign>, StoreError> {
    if !path.exists() {
        return Err(StoreError::NotAStore { path: path.to_owned(), what: "it is not there" });
    }
    let rows = || -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(patience)?;
        let mut rows = conn.prepare("SELECT key, value FROM astdb ORDER BY key")?;
        let rows = rows.query_map((), |row| {
            let value = row.get_ref(1)?;
            Ok((row.get(0)?, value.as_bytes_or_null()?.unwrap_or_default().to_vec()))
        })?;
        rows.collect()
    };
    let rows = rows().map_err(|error| match StoreError::from_sqlite(&error, path) {
        StoreError::Database { path, .. } => {
            StoreError::NotAStore { path, what: "not Asterisk's database: it has no table `astdb`" }
        }
        other => other,
    })?;
    let mut entries = Vec::with_capacity(rows.len());
    for (name, value) in rows {
        let names = name.strip_prefix('/').and_then(|name| name.split_once('/'));
        let Some((family, key)) = names.filter(|(family, _)| !family.is_empty()) else {
            let what = "it has keys that are not /family/key";
            return Err(StoreError::NotAStore { path: path.to_owned(), what });
        };
        entries.push(Foreign { family: family.to_owned(), key: key.to_owned(), value: Value::new(value) });
    }
    Ok(entries)
}

/// The key that AES_ENCRYPT was given: exactly 16 bytes.
pub struct AesKey(Aes128);

impl AesKey {
    /// `None`: not 16 bytes.
    pub fn new(key: &[u8]) -> Option<Self> {
        Aes128::new_from_slice(key).ok().map(Self)
    }
}

impl std::fmt::Debug for AesKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AesKey(…)")
    }
}

/// What AES_ENCRYPT has left of a value, opened where the key is there.
pub fn judge(value: &Value, key: Option<&AesKey>) -> Verdict {
    let Some(mut bytes) = base64(value.expose()) else { return Verdict::Plain };
    if bytes.is_empty() || !bytes.len().is_multiple_of(BLOCK) {
        return Verdict::Cut(bytes.len());
    }
    let Some(AesKey(cipher)) = key else { return Verdict::Whole(None) };
    for block in bytes.chunks_exact_mut(BLOCK) {
        if let Ok(block) = block.try_into() {
            cipher.decrypt_block(block);
        }
    }
    // The last block was filled up with zeros; a text has none.
    let text = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let filled = bytes.len() - text;
    bytes.truncate(text);
    let is_text = std::str::from_utf8(&bytes).is_ok_and(|text| !text.chars().any(char::is_control));
    if is_text && text > 0 && filled < BLOCK { Verdict::Whole(Some(Value::new(bytes))) } else { Verdict::OtherKey }
}

impl Store {
    /// Writes entries from elsewhere, over those of the same name; how many.
    ///
    /// # Errors
    /// One of them cannot be kept here, or writing failed. Nothing was written.
    pub fn take_over(&self, entries: Vec<Foreign>) -> Result<u64, StoreError> {
        let mut changes = Vec::with_capacity(entries.len());
        for Foreign { family, key, value } in entries {
            check_names(&family, &key)?;
            check_value(&value)?;
            changes.push(Change::Put { family, key, value });
        }
        // One commit: an import that fails leaves nothing behind.
        self.change_blocking(Change::All(changes)).map(|changed| changed.count)
    }
}

/// Reads base64 as it is written: whole groups of four, filled with `=`, no bits left over. Anything else is none.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.len() / 4;
    if !text.len().is_multiple_of(4) {
        return None;
    }
    for (index, group) in text.chunks_exact(4).enumerate() {
        let fill = group.iter().rev().take_while(|c| **c == b'=').count();
        if fill > 2 || (fill > 0 && index + 1 < groups) {
            return None;
        }
        let mut bits = 0_u32;
        for c in group.iter().take(4 - fill) {
            bits = bits << 6 | u32::from(sextet(*c)?);
        }
        bits <<= 6 * fill;
        let [_, a, b, c] = bits.to_be_bytes();
        let all = [a, b, c];
        let (kept, over) = all.split_at(3 - fill);
        if over.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

fn sextet(c: u8) -> Option<u8> {
    match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aes::cipher::BlockCipherEncrypt;

    use super::*;

    const KEY: &[u8] = b"1234qwerasdfzxcv";

    fn encoded(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let mut all = [0; 3];
            all[..group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes([0, all[0], all[1], all[2]]);
            for at in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
                text.push(if at <= group.len() { char::from(digit) } else { '=' });
            }
        }
        text
    }

    /// What Asterisk before 2016 stored for a PIN, and whether it was cut.
    fn stored(pin: &str) -> (String, bool) {
        let mut block = [0; BLOCK];
        block[..pin.len()].copy_from_slice(pin.as_bytes());
        Aes128::new_from_slice(KEY).unwrap().encrypt_block((&mut block).into());
        let end = block.iter().position(|byte| *byte == 0).unwrap_or(BLOCK);
        (encoded(&block[..end]), end < BLOCK)
    }

    #[test]
    fn the_articles_value_opens() {
        let key = AesKey::new(KEY).unwrap();
        let Verdict::Whole(Some(pin)) = judge(&Value::from("Je2G/qyHuGVKgvvXDwXjHA=="), Some(&key)) else { panic!() };
        assert_eq!(pin.text(), "1234");
        assert_eq!(stored("1234"), ("Je2G/qyHuGVKgvvXDwXjHA==".to_owned(), false));
        let other = AesKey::new(b"0000000000000000").unwrap();
        assert!(matches!(judge(&Value::from("Je2G/qyHuGVKgvvXDwXjHA=="), Some(&other)), Verdict::OtherKey));
        assert!(AesKey::new(b"123").is_none());
    }

    #[test]
    fn exactly_the_damaged_pins_of_the_known_key_are_found() {
        let key = AesKey::new(KEY).unwrap();
        let mut damaged = 0;
        for pin in (0..10_000).map(|pin| format!("{pin:04}")) {
            let (value, was_cut) = stored(&pin);
            match judge(&Value::from(value.as_str()), Some(&key)) {
                Verdict::Cut(bytes) => {
                    assert!(was_cut && bytes < BLOCK, "{pin}");
                    damaged += 1;
                }
                Verdict::Whole(Some(found)) => assert!(!was_cut && found.text() == pin, "{pin}"),
                other => panic!("{pin}: {other:?}"),
            }
        }
        assert_eq!(damaged, 659);
    }

    #[test]
    fn what_is_no_base64_is_plain() {
        for text in ["hello", "12", "a=bc", "====", "ab=c", "AB==CDEF", "A===", "AAAB="] {
            assert!(matches!(judge(&Value::from(text), None), Verdict::Plain), "{text}");
        }
        assert!(matches!(judge(&Value::from("AB=="), None), Verdict::Plain), "bits are left over");
        assert!(matches!(judge(&Value::from(""), None), Verdict::Cut(0)));
        assert!(matches!(judge(&Value::from("JQ=="), None), Verdict::Cut(1)));
    }
}
