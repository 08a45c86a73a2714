//! `DB(family/key)` and its like: the store of families and keys, as Asterisk's dialplans use it.
//! Above: the table. Below: `crate::astdb`.
//!
//! Family and key are the parts before and behind the first `/` that is written in the dialplan. A value put in for one of them
//! stays within it, whatever slashes it holds.

use std::sync::Arc;

use super::{Func, FuncError, Later, ReadLater, Setting};
use crate::astdb::{Select, Store, StoreError};
use crate::call::Exchange;
use crate::dialplan::app::CheckError;
use crate::dialplan::env::Env;
use crate::dialplan::piece::Piece;
use crate::dialplan::settle::Secrecy;
use crate::dialplan::spymap::{is_live, is_live_family};
use crate::dialplan::vars::Scope;

pub(super) struct Db;
pub(super) struct DbDelete;
pub(super) struct DbExists;
pub(super) struct DbKeyCount;
pub(super) struct DbKeys;

const FAMILY_AND_KEY: &str = "family/key";

/// A family and a key, each a part of its own.
pub(crate) struct Names {
    pub(crate) family: String,
    pub(crate) key: String,
}

/// Reads `family/key`. Where no slash is written at all, the whole is one value, and its own first slash counts.
pub(crate) fn names(scope: &mut dyn Scope, args: &Piece<'_>) -> Result<Names, FuncError> {
    let written = args.written(scope);
    if let Some((family, key)) = written.piece().split_once('/') {
        let family = family.value(scope);
        return Ok(Names { family, key: key.value(scope) });
    }
    let whole = args.value(scope);
    let (family, key) = whole.split_once('/').ok_or(FuncError::Missing("the key after `family/`"))?;
    Ok(Names { family: family.to_owned(), key: key.to_owned() })
}

/// Refuses arguments that are written without a key.
pub(crate) fn check_names(args: &Piece<'_>) -> Result<(), CheckError> {
    match args.literal() {
        Some(text) if !text.contains('/') => Err(CheckError::Missing("the key after `family/`")),
        Some(text) if text.starts_with('/') => Err(CheckError::Missing("the family before `/`")),
        _ => Ok(()),
    }
}

/// The server's store.
pub(crate) fn store(scope: &dyn Scope) -> Result<Store, FuncError> {
    let store = scope.env().and_then(|env| env.store()).cloned();
    store.ok_or_else(|| FuncError::Wrong("there is no store here".to_owned()))
}

/// What the store says, as a function says it.
pub(crate) fn failed(error: &StoreError) -> FuncError {
    match error {
        StoreError::Locked => FuncError::StoreLocked,
        error => FuncError::Wrong(error.to_string()),
    }
}

/// Whether `[dialplan] secrets` has the family: then what is computed from here on is secret.
pub(crate) fn secrecy(scope: &dyn Scope, family: &str) -> Secrecy {
    if scope.env().is_some_and(|env| env.settings().is_secret_family(family)) { Secrecy::Secret } else { Secrecy::Open }
}

/// Marks what is computed from here on as secret, if the family is.
pub(crate) fn note_secrecy(scope: &dyn Scope, family: &str) {
    if secrecy(scope, family) == Secrecy::Secret {
        scope.note_secret();
    }
}

fn is_secret(scope: &mut dyn Scope, args: &Piece<'_>) -> bool {
    names(scope, args).is_ok_and(|names| secrecy(scope, &names.family) == Secrecy::Secret)
}

/// Who is in which call: the live calls of this server.
pub(crate) struct Map {
    env: Arc<Env>,
    exchange: Arc<Exchange>,
}

impl Map {
    /// Where there are calls.
    pub(crate) fn of(scope: &mut dyn Scope) -> Option<Self> {
        Some(Self { env: Arc::clone(scope.env()?), exchange: Arc::clone(scope.channel()?.exchange()) })
    }

    pub(crate) fn get(&self, family: &str, key: &str) -> Option<String> {
        self.env.spymap().get(&self.exchange.live, family, key)
    }

    pub(crate) fn note(&self, names: (&str, &str), value: &str) {
        self.env.spymap().note(&self.exchange.live, names, value);
    }

    pub(crate) fn forget(&self, key: &str) {
        self.env.spymap().forget(key);
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.env.spymap().keys(&self.exchange.live)
    }
}

/// What was inserted into the map there is gone; what the live calls say is not theirs to remove.
pub(crate) fn forget(scope: &mut dyn Scope, names: &Names) {
    if let Some(map) = Map::of(scope).filter(|_| is_live(&names.family, &names.key)) {
        map.forget(&names.key);
    }
}

fn noted(scope: &mut dyn Scope, names: &Names, value: &str) {
    if let Some(map) = Map::of(scope) {
        map.note((&names.family, &names.key), value);
    }
}

/// What the live calls say; the inner `None`: there is nothing, and nothing is to be looked for in the store.
pub(crate) fn live(scope: &mut dyn Scope, (family, key): (&str, &str)) -> Option<Option<String>> {
    let value = Map::of(scope).and_then(|map| map.get(family, key));
    (value.is_some() || is_live(family, key)).then_some(value)
}

/// A value as text of the dialplan, left in `DB_RESULT` too.
fn found(scope: &mut dyn Scope, names: &Names) -> Result<Option<String>, FuncError> {
    note_secrecy(scope, &names.family);
    let value = match live(scope, (&names.family, &names.key)) {
        Some(value) => value,
        None => {
            let value = store(scope)?.get(&names.family, &names.key).map_err(|error| failed(&error))?;
            value.map(|value| value.text().into_owned())
        }
    };
    if let Some(value) = &value {
        scope.set_variable("DB_RESULT", value.clone());
    }
    Ok(value)
}

impl Func for Db {
    fn name(&self) -> &'static str {
        "DB"
    }

    fn syntax(&self) -> &'static str {
        FAMILY_AND_KEY
    }

    fn synopsis(&self) -> &'static str {
        "A value of the store, empty when there is none, left in DB_RESULT; can be set, and is on the disk then."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_names(args)
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let names = names(scope, &args)?;
        Ok(found(scope, &names)?.unwrap_or_default())
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let names = names(scope, &args)?;
        if is_live(&names.family, &names.key) {
            noted(scope, &names, &value);
            return Ok(());
        }
        store(scope)?.put_blocking(&names.family, &names.key, value).map_err(|error| failed(&error))
    }

    fn is_secret(&self, scope: &mut dyn Scope, args: &Piece<'_>) -> bool {
        is_secret(scope, args)
    }

    fn setting(&self) -> Setting {
        Setting::TakesTime
    }

    fn write_later(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Later {
        let wanted = names(scope, &args).and_then(|names| Ok((names, store(scope)?)));
        if let Ok((names, _)) = &wanted
            && is_live(&names.family, &names.key)
        {
            noted(scope, names, &value);
            return Box::pin(async { Ok(()) });
        }
        Box::pin(async move {
            let (names, store) = wanted?;
            store.put(&names.family, &names.key, value).await.map_err(|error| failed(&error))
        })
    }
}

impl Func for DbExists {
    fn name(&self) -> &'static str {
        "DB_EXISTS"
    }

    fn syntax(&self) -> &'static str {
        FAMILY_AND_KEY
    }

    fn synopsis(&self) -> &'static str {
        "1 if the store has the key, its value then in DB_RESULT; else 0."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_names(args)
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let names = names(scope, &args)?;
        Ok(u8::from(found(scope, &names)?.is_some()).to_string())
    }
}

impl Func for DbDelete {
    fn name(&self) -> &'static str {
        "DB_DELETE"
    }

    fn syntax(&self) -> &'static str {
        FAMILY_AND_KEY
    }

    fn synopsis(&self) -> &'static str {
        "Removes a key from the store; its value was this, left in DB_RESULT too. Set to anything, it only removes."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_names(args)
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let names = names(scope, &args)?;
        note_secrecy(scope, &names.family);
        forget(scope, &names);
        let removed = store(scope)?.del_blocking(&names.family, &names.key).map_err(|error| failed(&error))?;
        let old = removed.old.map(|old| old.text().into_owned()).unwrap_or_default();
        scope.set_variable("DB_RESULT", old.clone());
        Ok(old)
    }

    fn reading(&self) -> Setting {
        Setting::TakesTime
    }

    fn read_later(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Later<ReadLater> {
        let wanted = names(scope, &args).and_then(|names| {
            forget(scope, &names);
            Ok((secrecy(scope, &names.family), names, store(scope)?))
        });
        Box::pin(async move {
            let (secrecy, names, store) = wanted?;
            let removed = store.del(&names.family, &names.key).await.map_err(|error| failed(&error))?;
            let value = removed.old.map(|old| old.text().into_owned()).unwrap_or_default();
            Ok(ReadLater { variables: vec![("DB_RESULT", value.clone())], value, secrecy })
        })
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, _value: String) -> Result<(), FuncError> {
        self.read(scope, args).map(|_| ())
    }

    fn setting(&self) -> Setting {
        Setting::TakesTime
    }

    fn write_later(&self, scope: &mut dyn Scope, args: Piece<'_>, _value: String) -> Later {
        let wanted = names(scope, &args).and_then(|names| {
            forget(scope, &names);
            Ok((names, store(scope)?))
        });
        Box::pin(async move {
            let (names, store) = wanted?;
            store.del(&names.family, &names.key).await.map(|_| ()).map_err(|error| failed(&error))
        })
    }
}

/// What `DB_KEYS` and `DB_KEYCOUNT` look below: nothing, a family, or a key of it.
fn below(scope: &mut dyn Scope, args: &Piece<'_>) -> Select {
    let trimmed = |text: String| text.strip_suffix('/').map(str::to_owned).unwrap_or(text);
    let written = args.written(scope);
    let piece = written.piece();
    let Some((family, key)) = piece.split_once('/').filter(|(family, _)| !family.is_empty()) else {
        let whole = args.value(scope);
        let whole = whole.strip_prefix('/').unwrap_or(&whole);
        return match whole.split_once('/') {
            _ if whole.is_empty() => Select::All,
            None | Some((_, "")) => Select::Family(trimmed(whole.to_owned())),
            Some((family, key)) => Select::Tree(family.to_owned(), trimmed(key.to_owned())),
        };
    };
    let (family, key) = (family.value(scope), trimmed(key.value(scope)));
    if key.is_empty() { Select::Family(family) } else { Select::Tree(family, key) }
}

impl Func for DbKeys {
    fn name(&self) -> &'static str {
        "DB_KEYS"
    }

    fn syntax(&self) -> &'static str {
        "[family[/prefix]]"
    }

    fn synopsis(&self) -> &'static str {
        "The names one step below the prefix, with commas between: all families, the keys of a family."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let select = below(scope, &args);
        if let (Select::Family(family), Some(map)) = (&select, Map::of(scope))
            && is_live_family(family)
        {
            return Ok(map.keys().join(","));
        }
        let store = store(scope)?;
        let (keys, prefix) = match select {
            Select::All | Select::LastPart(_) => {
                return Ok(store.families().map_err(|error| failed(&error))?.join(","));
            }
            Select::Family(family) => (store.keys(&family), String::new()),
            Select::Tree(family, prefix) => (store.keys(&family), format!("{prefix}/")),
        };
        let keys = keys.map_err(|error| failed(&error))?;
        let mut steps: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix(&prefix)).collect();
        steps.iter_mut().for_each(|step| *step = step.split('/').next().unwrap_or_default());
        steps.retain(|step| !step.is_empty());
        steps.dedup();
        Ok(steps.join(","))
    }
}

impl Func for DbKeyCount {
    fn name(&self) -> &'static str {
        "DB_KEYCOUNT"
    }

    fn syntax(&self) -> &'static str {
        "[family[/prefix]]"
    }

    fn synopsis(&self) -> &'static str {
        "How many keys the store has below the prefix."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let select = below(scope, &args);
        if let (Select::Family(family), Some(map)) = (&select, Map::of(scope))
            && is_live_family(family)
        {
            return Ok(map.keys().len().to_string());
        }
        Ok(store(scope)?.count(&select).map_err(|error| failed(&error))?.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;
    use crate::dialplan::vars::tests::Variables;

    fn parts(text: &str, variables: &[(&str, &str)]) -> Result<(String, String), FuncError> {
        let template = Template::compile(text).unwrap();
        let mut scope = Variables::with(variables);
        names(&mut scope, &template.piece()).map(|names| (names.family, names.key))
    }

    #[test]
    fn a_value_stays_in_the_part_it_is_put_in() {
        let pair = |family: &str, key: &str| Ok((family.to_owned(), key.to_owned()));
        assert_eq!(parts("pin/100", &[]), pair("pin", "100"));
        assert_eq!(parts("pin/", &[]), pair("pin", ""));
        assert_eq!(parts("a/b/c", &[]), pair("a", "b/c"));
        assert_eq!(parts("name/${N}", &[("N", "../pin/100")]), pair("name", "../pin/100"));
        assert_eq!(parts("${N}/x", &[("N", "pin/100")]), pair("pin/100", "x"));
        assert_eq!(parts("${P}", &[("P", "pin/100")]), pair("pin", "100"));
        assert!(parts("${P}", &[("P", "pin")]).is_err());
    }

    #[test]
    fn what_is_written_without_a_key_is_refused_when_the_file_is_read() {
        assert!(Template::compile("${DB(pin)}").is_err());
        assert!(Template::compile("${DB(/pin)}").is_err());
        assert!(Template::compile("${DB(pin/100)}${DB(${X})}${DB(pin/)}").is_ok());
    }
}
