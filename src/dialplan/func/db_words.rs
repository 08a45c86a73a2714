//! `db(word/family/key)`: the words of FreeSWITCH's `db`, so that its dialplans' `${db(select/spymap/1001)}` reads the store.

use super::db::{Map, failed, live, note_secrecy, secrecy, store};
use super::{Func, FuncError, Later, ReadLater, Setting};
use crate::astdb::{Select, Store};
use crate::dialplan::piece::Piece;
use crate::dialplan::settle::Secrecy;
use crate::dialplan::spymap::{is_live, is_live_family};
use crate::dialplan::vars::Scope;

pub(super) struct DbWords;

impl Func for DbWords {
    fn name(&self) -> &'static str {
        "db"
    }

    fn syntax(&self) -> &'static str {
        "select|exists|delete|insert|count|list[/family[/key[/value]]]"
    }

    fn synopsis(&self) -> &'static str {
        "The store in FreeSWITCH's words: db(select/spymap/1001), db(insert/family/key/value), db(list/family)."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let parts = parts(scope, &args);
        if let Some(answer) = of_calls(scope, &parts) {
            return Ok(answer);
        }
        let store = store(scope)?;
        if let Some(family) = parts.get(1) {
            note_secrecy(scope, family);
        }
        answer(&store, &parts)
    }

    fn reading(&self) -> Setting {
        Setting::TakesTime
    }

    fn read_later(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Later<ReadLater> {
        let parts = parts(scope, &args);
        if let Some(value) = of_calls(scope, &parts) {
            return Box::pin(async { Ok(ReadLater { value, variables: Vec::new(), secrecy: Secrecy::Open }) });
        }
        let wanted = store(scope).map(|store| (store, parts));
        let family = wanted.as_ref().ok().and_then(|(_, parts)| parts.get(1));
        let secrecy = family.map_or(Secrecy::Open, |family| secrecy(scope, family));
        Box::pin(async move {
            let (store, parts) = wanted?;
            let value = answer_later(store, parts).await?;
            Ok(ReadLater { value, variables: Vec::new(), secrecy })
        })
    }
}

/// What the live calls answer, where it is about who is in which call.
pub(crate) fn of_calls(scope: &mut dyn Scope, parts: &[String]) -> Option<String> {
    let map = Map::of(scope)?;
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["select", family, key] => live(scope, (family, key)).map(Option::unwrap_or_default),
        ["exists", family, key] => live(scope, (family, key)).map(|value| value.is_some().to_string()),
        ["insert", family, key, value] if is_live(family, key) => {
            map.note((family, key), value);
            Some("+OK".to_owned())
        }
        ["delete", family, key] if is_live(family, key) => {
            map.forget(key);
            Some("+OK".to_owned())
        }
        ["count", family] if is_live_family(family) => Some(map.keys().len().to_string()),
        ["list", family] if is_live_family(family) => Some(map.keys().join(",")),
        _ => None,
    }
}

/// [`answer`] for who can wait: a change is waited for where nobody else has to.
pub(crate) async fn answer_later(store: Store, parts: Vec<String>) -> Result<String, FuncError> {
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["delete", family, key] => store.del(family, key).await.map(|_| "+OK".to_owned()).map_err(|e| failed(&e)),
        ["insert", family, key, value] => {
            store.put(family, key, *value).await.map(|()| "+OK".to_owned()).map_err(|error| failed(&error))
        }
        _ => answer(&store, &parts),
    }
}

/// The word, the family, the key and the value, each with what its own variables hold.
pub(crate) fn parts(scope: &mut dyn Scope, args: &Piece<'_>) -> Vec<String> {
    let written = args.written(scope);
    let mut parts = Vec::new();
    let mut rest = Some(written.piece());
    // The last part keeps its slashes: the key, or the value of `insert`.
    let most = if written.piece().literal().is_some_and(|text| !text.starts_with("insert/")) { 3 } else { 4 };
    while let Some(piece) = rest.take() {
        match piece.split_once('/') {
            Some((part, more)) if parts.len() + 1 < most => {
                parts.push(part.value(scope));
                rest = Some(more);
            }
            _ => parts.push(piece.value(scope)),
        }
    }
    parts
}

/// Does what the word says; a change is on the disk when this returns.
///
/// # Errors
/// The word is none, something is missing behind it, or what the store says.
pub(crate) fn answer(store: &Store, parts: &[String]) -> Result<String, FuncError> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let answer = match parts.as_slice() {
        ["select", family, key] => {
            store.get(family, key).map(|value| value.map(|value| value.text().into_owned()).unwrap_or_default())
        }
        ["exists", family, key] => store.get(family, key).map(|value| value.is_some().to_string()),
        ["delete", family, key] => store.del_blocking(family, key).map(|_| "+OK".to_owned()),
        ["insert", family, key, value] => store.put_blocking(family, key, *value).map(|()| "+OK".to_owned()),
        ["count", family] => store.count(&Select::Family((*family).to_owned())).map(|count| count.to_string()),
        ["list"] | ["list", ""] => store.families().map(|families| families.join(",")),
        ["list", family] => store.keys(family).map(|keys| keys.join(",")),
        [word @ ("select" | "exists" | "delete" | "insert" | "count"), ..] => {
            return Err(FuncError::Wrong(format!("`{word}` wants family and key, each after a `/`")));
        }
        parts => return Err(FuncError::Argument(parts.first().copied().unwrap_or_default().to_owned())),
    };
    answer.map_err(|error| failed(&error))
}
