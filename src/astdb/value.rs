//! Names and values: what a caller hands in and gets back, and their limits.
//! Above: everybody. A value is a secret: it does not print, and wipes itself.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::StoreError;

/// Bytes of a value at most: 1 MiB.
pub const VALUE_LIMIT: usize = 1 << 20;
/// Bytes of a family or of a key at most.
pub const NAME_LIMIT: usize = 4_096;

/// A value read from the store: wiped from memory when the last copy of it is dropped.
#[derive(Clone)]
pub struct Value(Arc<Zeroizing<Vec<u8>>>);

impl Value {
    /// Takes over the bytes; copies made of them before are the caller's to wipe.
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self(Arc::new(bytes.into()))
    }

    /// The value itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Whether it is `other`, in a time that tells nothing about where they differ; only their lengths are compared openly.
    pub fn is_same(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(…)")
    }
}

/// Checks a family and a key before anything is done with them. The key may be empty, as Asterisk's `/pin/` is.
pub(super) fn check_names(family: &str, key: &str) -> Result<(), StoreError> {
    check_family(family)?;
    check_key(key)
}

pub(super) fn check_family(family: &str) -> Result<(), StoreError> {
    if family.is_empty() {
        return Err(StoreError::NoFamily);
    }
    check_key(family)
}

pub(super) fn check_key(key: &str) -> Result<(), StoreError> {
    if key.len() > NAME_LIMIT {
        return Err(StoreError::Name("a family or key has more than 4096 bytes"));
    }
    if key.contains('\0') {
        return Err(StoreError::Name("a family or key holds a zero byte"));
    }
    Ok(())
}

pub(super) fn check_value(value: &Value) -> Result<(), StoreError> {
    let size = value.expose().len();
    if size > VALUE_LIMIT { Err(StoreError::TooLarge { size, limit: VALUE_LIMIT }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_does_not_print() {
        assert_eq!(format!("{:?}", Value::from("1234")), "Value(…)");
    }

    #[test]
    fn values_are_the_same_only_as_a_whole() {
        let pin = Value::from("1234");
        assert!(pin.is_same(b"1234"));
        for other in ["", "123", "12345", "1235", "0234"] {
            assert!(!pin.is_same(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn only_a_family_must_have_a_name() {
        assert!(check_names("pin", "").is_ok());
        assert!(matches!(check_names("", "100"), Err(StoreError::NoFamily)));
        assert!(check_names("pin", &"k".repeat(NAME_LIMIT)).is_ok());
        assert!(check_names("pin", &"k".repeat(NAME_LIMIT + 1)).is_err());
        assert!(check_names("p\0n", "100").is_err());
        assert!(check_value(&Value::new(vec![0; VALUE_LIMIT])).is_ok());
        assert!(check_value(&Value::new(vec![0; VALUE_LIMIT + 1])).is_err());
    }
}
