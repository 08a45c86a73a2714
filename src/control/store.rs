//! What is said on the control socket about the store of families and keys: the server seals and opens, its key stays with it.
//! Above: `server` and `client`. The one thing that goes to the server outside of JSON is a key: [`Unlock`].

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something to be done with the store, answered at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum StoreOrder {
    /// → `Option<`[`StoreValue`]`>`.
    Get {
        /// The family.
        family: String,
        /// The key.
        key: String,
    },
    /// → `true`.
    Put {
        /// The family.
        family: String,
        /// The key.
        key: String,
        /// What to write.
        value: StoreValue,
    },
    /// → whether it was there.
    Del {
        /// The family.
        family: String,
        /// The key.
        key: String,
    },
    /// → how many entries.
    Deltree {
        /// The family.
        family: String,
        /// Only this key of it, and all below.
        prefix: Option<String>,
    },
    /// Compares in constant time → whether it is the same, `null` where there is none.
    Check {
        /// The family.
        family: String,
        /// The key.
        key: String,
        /// What was entered.
        value: StoreValue,
    },
    /// → how many entries.
    Count {
        /// Which.
        select: StoreSelect,
    },
    /// → [`StoreVerified`].
    Verify,
    /// → [`StoreKey`].
    Key,
    /// Forgets the key that [`Unlock`] gave → whether there was one.
    Lock,
}

impl StoreOrder {
    /// What it is called, for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Get { .. } => "get",
            Self::Put { .. } => "put",
            Self::Del { .. } => "del",
            Self::Deltree { .. } => "deltree",
            Self::Check { .. } => "check",
            Self::Count { .. } => "count",
            Self::Verify => "verify",
            Self::Key => "key",
            Self::Lock => "lock",
        }
    }
}

/// Something to be read from the store, item by item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum StoreList {
    /// → [`StoreEntry`] each.
    Entries {
        /// Which.
        select: StoreSelect,
        /// With their values.
        reveal: bool,
    },
    /// → [`StoreChange`] each.
    Log {
        /// Only changes after this number.
        after: i64,
        /// Only of this family.
        family: Option<String>,
        /// Only of this key.
        key: Option<String>,
        /// With the values that were replaced.
        reveal: bool,
    },
}

/// Which entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreSelect {
    /// All.
    All,
    /// Those of a family.
    Family(String),
    /// A key of a family, and all below it.
    Tree(String, String),
    /// Those whose key ends so, in any family.
    Last(String),
}

/// A value: text, or where it is none the hexadecimal digits of its bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreValue {
    /// UTF-8.
    Text(String),
    /// Two digits a byte.
    Hex(String),
}

impl StoreValue {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }

    /// Its bytes; `None`: these are no hexadecimal digits.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        let hex = match self {
            Self::Text(text) => return Some(text.into_bytes()),
            Self::Hex(hex) => hex,
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = hex.as_bytes().chunks(2);
        pairs.map(|pair| if let [high, low] = pair { Some(digit(*high)? << 4 | digit(*low)?) } else { None }).collect()
    }
}

impl fmt::Debug for StoreValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreValue(…)")
    }
}

/// One entry of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEntry {
    /// The family.
    pub family: String,
    /// The key.
    pub key: String,
    /// Bytes sealed.
    pub sealed_bytes: usize,
    /// The change that wrote it.
    pub version: i64,
    /// Its value, where that was wanted; absent then too when it is damaged.
    pub value: Option<StoreValue>,
}

/// One change of the store's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreChange {
    /// Its number.
    pub sequence: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub who: String,
    /// `put`, `del` or `rotate`.
    pub what: String,
    /// The family.
    pub family: String,
    /// The key.
    pub key: String,
    /// Whether it replaced a value, and that was wanted.
    pub replaced: bool,
    /// The value replaced; absent also when it is damaged.
    pub old: Option<StoreValue>,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreVerified {
    /// Entries looked at.
    pub entries: u64,
    /// Changes of the history looked at.
    pub changes: u64,
    /// One sentence a problem.
    pub problems: Vec<String>,
}

/// How it is with the key of the server's store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreKey {
    /// The store.
    pub store: String,
    /// Whether there is a store yet.
    pub exists: bool,
    /// The server's key file; absent: it is given its key by `astdb unlock`.
    pub file: Option<String>,
    /// Values cannot be read: nobody has given the key, or its time is over.
    pub locked: bool,
    /// When a given key will be forgotten.
    pub until: Option<Timestamp>,
    /// The keys that values may be sealed with.
    pub generations: Vec<StoreGeneration>,
}

/// A key that values may be sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreGeneration {
    /// Its number.
    pub number: u32,
    /// Made from a passphrase, not at random.
    pub from_passphrase: bool,
    /// The one new values are sealed with.
    pub current: bool,
    /// The server has it.
    pub here: bool,
}

/// Gives the server the key of its store. The server says `true` when it is ready, and then the key follows as a frame of its own
/// kind, which both ends keep in memory that is wiped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unlock {
    /// How long to keep it, in seconds.
    pub ttl_s: f64,
    /// What the key is made of.
    pub form: KeyForm,
}

/// What a key that is given to the server is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyForm {
    /// The text of a key file.
    File,
    /// A passphrase.
    Passphrase,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_does_not_print_with_the_order_it_is_part_of() {
        let order = StoreOrder::Put { family: "pin".into(), key: "1".into(), value: StoreValue::of(b"1234") };
        assert!(!format!("{order:?}").contains("1234"));
    }

    #[test]
    fn digits_that_are_none_are_no_value() {
        for text in ["0", "0g", "zz", "é"] {
            assert_eq!(StoreValue::Hex(text.into()).into_bytes(), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_value_and_come_back(bytes: Vec<u8>) {
            let json = serde_json::to_string(&StoreValue::of(&bytes)).unwrap();
            prop_assert_eq!(serde_json::from_str::<StoreValue>(&json).unwrap().into_bytes(), Some(bytes));
        }
    }
}
