//! The sealed head: which entry is the last one, kept beside the log, so that entries cut off at its end are missed.
//! Above: `tail` and `verify` compare the log with it, the writer replaces it with each batch.

use serde::Deserialize;

use super::seal::{Hash, Key, Purpose};

const BEFORE_SEAL: &[u8] = b",\"seal\":\"";
const AFTER_SEAL: &[u8] = b"\"}\n";

/// The end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The last entry; 0: there is none yet.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: Hash,
    /// Bytes of the log up to and with that entry.
    pub(super) size: u64,
}

#[derive(Deserialize)]
struct Said {
    seq: u64,
    size: u64,
    hash: String,
}

impl Head {
    /// That of a log without entries.
    pub(super) const START: Self = Self { seq: 0, hash: Hash::ZERO, size: 0 };

    /// The text of the head file.
    pub(super) fn sealed(&self, key: &Key) -> Vec<u8> {
        let Self { seq, hash, size } = self;
        let mut bytes = format!("{{\"seq\":{seq},\"size\":{size},\"hash\":\"{hash}\"").into_bytes();
        let seal = key.hash(Purpose::Head, &bytes);
        bytes.extend_from_slice(BEFORE_SEAL);
        bytes.extend_from_slice(seal.to_string().as_bytes());
        bytes.extend_from_slice(AFTER_SEAL);
        bytes
    }

    /// Reads that text; `None`: it was changed, or sealed with another key.
    pub(super) fn open(key: &Key, text: &[u8]) -> Option<Self> {
        let rest = text.strip_suffix(AFTER_SEAL)?;
        let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(Hash::DIGITS)?)?;
        let body = rest.strip_suffix(BEFORE_SEAL)?;
        if !key.verifies(Purpose::Head, body, &Hash::read(digits)?) {
            return None;
        }
        let said: Said = serde_json::from_slice(&[body, b"}"].concat()).ok()?;
        Some(Self { seq: said.seq, hash: Hash::read(said.hash.as_bytes())?, size: said.size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_back_and_any_change_of_it_is_seen() {
        let key = Key::of_test();
        let head = Head { seq: 12, hash: key.hash(Purpose::Entry, b"x"), size: 3_456 };
        let text = head.sealed(&key);
        assert_eq!(Head::open(&key, &text), Some(head));
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert_eq!(Head::open(&key, &changed), None, "byte {at}");
            assert_eq!(Head::open(&key, &text[..at]), None, "cut at {at}");
        }
    }
}
