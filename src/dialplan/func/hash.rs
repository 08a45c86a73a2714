//! `HASH(name,key)`, `HASHKEYS(name)`: values by key under one name.
//!
//! Each value is a variable of its own, and one more keeps the keys, the latest first: a key is one whatever it holds.

use super::{Func, FuncError, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::{self, MAX_VALUE_BYTES, Scope, ValueWarning};

pub(super) struct Hash;

impl Func for Hash {
    fn name(&self) -> &'static str {
        "HASH"
    }

    fn syntax(&self) -> &'static str {
        "name[,key]"
    }

    fn synopsis(&self) -> &'static str {
        "The value under a key, or all values; can be set, also as _name or __name for the channels it calls."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let mut pieces =
            slots::slots(&args, 2).into_iter().map(|piece| piece.value(scope)).collect::<Vec<_>>().into_iter();
        let name = escaped(&pieces.next().unwrap_or_default());
        if let Some(key) = pieces.next() {
            return Ok(scope.variable(&variable(&name, &key)).unwrap_or_default());
        }
        let mut all = String::new();
        for (index, key) in keys(scope, &name).iter().enumerate() {
            if index > 0 {
                all.push(',');
            }
            all.push_str(&scope.variable(&variable(&name, key)).unwrap_or_default());
            if all.len() > MAX_VALUE_BYTES {
                break;
            }
        }
        Ok(vars::limit(all, scope))
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let mut pieces = slots::slots(&args, 2).into_iter();
        let name = pieces.next().unwrap_or_default().value(scope);
        // Asterisk then takes the keys from the last query of a database, which there is none of here
        let key = pieces.next().ok_or(FuncError::Missing("key"))?.value(scope);
        let marks = name.bytes().take(2).take_while(|byte| *byte == b'_').count();
        let (mark, name) = name.split_at_checked(marks).unwrap_or_default();
        let name = escaped(name);
        if !key.is_empty() {
            let mut list = listed(&key);
            for other in keys(scope, &name).iter().filter(|other| **other != key) {
                if list.len() + other.len() > MAX_VALUE_BYTES {
                    scope.warn(ValueWarning::Cut);
                    break;
                }
                list.push_str(&listed(other));
            }
            scope.set_variable(&format!("{mark}{}", index(&name)), list);
        }
        scope.set_variable(&format!("{mark}{}", variable(&name, &key)), value);
        Ok(())
    }
}

pub(super) struct HashKeys;

impl Func for HashKeys {
    fn name(&self) -> &'static str {
        "HASHKEYS"
    }

    fn syntax(&self) -> &'static str {
        "name"
    }

    fn synopsis(&self) -> &'static str {
        "The keys under which HASH(name,key) has values, the one set last first, with commas between them."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let name = escaped(&args.value(scope));
        Ok(keys(scope, &name).join(","))
    }
}

/// A name without `~`, so that no name and key together look like another name and key.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('~', "%7E")
}

/// The variable of a value.
fn variable(name: &str, key: &str) -> String {
    format!("~HASH~{name}~{key}~")
}

/// The variable of the keys.
fn index(name: &str) -> String {
    format!("~HASH~{name}")
}

/// A key in the list of keys: its length in bytes, a colon, and itself.
fn listed(key: &str) -> String {
    format!("{}:{key}", key.len())
}

fn keys(scope: &dyn Scope, name: &str) -> Vec<String> {
    let list = scope.variable(&index(name)).unwrap_or_default();
    let mut rest = list.as_str();
    std::iter::from_fn(|| {
        let (length, after) = rest.split_once(':')?;
        let (key, after) = after.split_at_checked(length.parse().ok()?)?;
        rest = after;
        Some(key.to_owned())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{set, value_in};
    use super::*;
    use crate::dialplan::vars::tests::Variables;

    #[test]
    fn values_are_found_by_name_and_key() {
        let mut scope = Variables::with(&[("K", "a,b~c:\"(")]);
        for (args, value) in [("x,a", "1"), ("x,b", "2"), ("y,a", "3"), ("x,${K}", "4"), ("x,a", "5")] {
            set(&mut scope, "HASH", args, value).unwrap();
        }
        let mut read = |text: &str| value_in(&mut scope, text);
        assert_eq!(read("${HASH(x,a)}|${HASH(x,b)}|${HASH(y,a)}|${HASH(x,${K})}|${HASH(x,c)}"), "5|2|3|4|");
        assert_eq!(read("${HASHKEYS(x)}"), "a,a,b~c:\"(,b");
        assert_eq!(read("${HASH(x)}"), "5,4,2");
        assert_eq!(read("${HASHKEYS(z)}|${HASH(z)}"), "|");
        assert_eq!(set(&mut scope, "HASH", "x", "1,2"), Err(FuncError::Missing("key")));
    }

    #[test]
    fn a_key_never_reaches_another_name() {
        let mut scope = Variables::with(&[("N", "a~b"), ("K", "b~c")]);
        set(&mut scope, "HASH", "${N},c", "theirs").unwrap();
        set(&mut scope, "HASH", "a,${K}", "ours").unwrap();
        assert_eq!(value_in(&mut scope, "${HASH(${N},c)} ${HASH(a,${K})}"), "theirs ours");
    }

    #[test]
    fn marks_for_inheritance_are_those_of_the_variables() {
        let mut scope = Variables::default();
        set(&mut scope, "HASH", "__x,k", "v").unwrap();
        assert_eq!(scope.all.get("__~HASH~x~k~").map(String::as_str), Some("v"));
    }

    proptest::proptest! {
        #[test]
        fn every_key_is_listed_once(keys in proptest::collection::vec("[a-c,:~0-9é]{1,4}", 0..12)) {
            let mut scope = Variables::default();
            for key in &keys {
                scope.all.insert("K".into(), key.clone());
                set(&mut scope, "HASH", "h,${K}", key).unwrap();
            }
            let mut expected: Vec<String> = Vec::new();
            for key in keys.iter().rev().filter(|key| !key.is_empty()) {
                if !expected.contains(key) {
                    expected.push(key.clone());
                }
            }
            proptest::prop_assert_eq!(super::keys(&scope, "h"), expected);
        }
    }
}
