//! `PIN_CHECK(family/key,entered[,attempts])`: compares a PIN with the store and fails closed.
//!
//! What a dialplan forgets is done here: nothing entered and nothing stored are never equal, the comparison takes the same time
//! wherever the PINs differ, and after so many wrong ones in a row the key is locked for a while, whoever tries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::db::{Names, failed, names, store};
use super::{Func, FuncError};
use crate::astdb::{Store, StoreError, Value};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct PinCheck;

/// The family in which wrong attempts are counted.
const ATTEMPTS: &str = "pin-attempts";
/// Wrong attempts in a row before the key is locked, where the third argument says nothing.
const USUAL_ATTEMPTS: u32 = 5;
/// How long it is locked, in seconds from the last attempt.
const LOCK_S: u64 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Wrong,
    Locked,
}

impl Verdict {
    /// As `PIN_STATUS` has it; `FAILED` where the store could not be asked.
    fn word(self) -> &'static str {
        match self {
            Self::Right => "RIGHT",
            Self::Wrong => "WRONG",
            Self::Locked => "LOCKED",
        }
    }
}

impl Func for PinCheck {
    fn name(&self) -> &'static str {
        "PIN_CHECK"
    }

    fn syntax(&self) -> &'static str {
        "family/key,entered[,attempts]"
    }

    fn synopsis(&self) -> &'static str {
        "1 if the store's value is what was entered, else 0; after 5 wrong attempts locked for 5 minutes. PIN_STATUS says why."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let parts = args.arguments(3);
        let first = parts.first().ok_or(CheckError::Missing("family/key"))?;
        super::db::check_names(first)?;
        parts.get(1).map(|_| ()).ok_or(CheckError::Missing("what was entered"))
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        scope.set_variable("PIN_STATUS", Verdict::Wrong.word().to_owned());
        let parts = args.arguments(3);
        let [at, entered, rest @ ..] = parts.as_slice() else { return Ok("0".to_owned()) };
        let names = names(scope, at)?;
        let entered = entered.value(scope);
        let attempts = rest.first().map(|piece| piece.value(scope));
        let attempts = attempts.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL_ATTEMPTS).max(1);
        let verdict = judged(&store(scope)?, &names, (&entered, attempts));
        let verdict = verdict.map_err(|error| {
            scope.set_variable("PIN_STATUS", "FAILED".to_owned());
            failed(&error)
        })?;
        scope.set_variable("PIN_STATUS", verdict.word().to_owned());
        Ok(u8::from(verdict == Verdict::Right).to_string())
    }
}

/// Counts the attempt first, in one step with the look at the lock, so that no two callers share one.
fn judged(store: &Store, names: &Names, (entered, attempts): (&str, u32)) -> Result<Verdict, StoreError> {
    let counted_at = format!("{}/{}", names.family, names.key);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let locked = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&locked);
    store.update_blocking(ATTEMPTS, &counted_at, move |old| {
        let (count, last) = old.map_or((0, 0), counted);
        let count = if now.saturating_sub(last) >= LOCK_S { 0 } else { count };
        let is_locked = count >= attempts;
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = is_locked;
        (!is_locked).then(|| Value::from(format!("{} {now}", count + 1)))
    })?;
    if *locked.lock().unwrap_or_else(PoisonError::into_inner) {
        return Ok(Verdict::Locked);
    }
    let stored = store.get(&names.family, &names.key)?;
    let right = stored.is_some_and(|stored| !stored.expose().is_empty() && stored.is_same(entered.as_bytes()));
    if !right {
        return Ok(Verdict::Wrong);
    }
    store.del_blocking(ATTEMPTS, &counted_at)?;
    Ok(Verdict::Right)
}

/// Attempts and the time of the last, in seconds since 1970.
fn counted(value: &Value) -> (u32, u64) {
    let text = value.text();
    let (count, last) = text.split_once(' ').unwrap_or((&text, "0"));
    (count.parse().unwrap_or(u32::MAX), last.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::astdb::Setup;

    #[test]
    fn an_empty_or_absent_pin_is_never_right_and_guessing_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let store = Store::new(Setup::new(path("db"), path("key"), "test"));
        store.put_blocking("pin", "100", "1234").unwrap();
        store.put_blocking("pin", "empty", "").unwrap();
        let check = |key: &str, entered: &str| {
            judged(&store, &Names { family: "pin".into(), key: key.into() }, (entered, 3)).unwrap()
        };
        assert_eq!(check("100", "1234"), Verdict::Right);
        assert_eq!(check("empty", ""), Verdict::Wrong);
        assert_eq!(check("absent", ""), Verdict::Wrong);
        for wrong in ["", "123", "12345"] {
            assert_eq!(check("100", wrong), Verdict::Wrong);
        }
        assert_eq!(check("100", "1234"), Verdict::Locked);
        assert_eq!(check("other", "1"), Verdict::Wrong);
    }
}
