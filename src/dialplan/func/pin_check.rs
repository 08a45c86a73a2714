//! `PIN_CHECK(family/key,entered[,attempts])`: compares a PIN with the store and fails closed.
//!
//! What a dialplan forgets is done here: nothing entered and nothing stored are never equal, the comparison takes the same time
//! wherever the PINs differ, and after so many wrong ones in a row the key is locked for a while, whoever tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::db::{Names, failed, names, store};
use super::{Func, FuncError, Later, ReadLater, Setting};
use crate::astdb::{Store, StoreError, Value};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::settle::Secrecy;
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
    fn digit(self) -> String {
        u8::from(self == Self::Right).to_string()
    }

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
        self.read_failed(scope);
        let asked = Asked::of(scope, &args)?;
        let store = store(scope)?;
        let verdict = || -> Result<Verdict, StoreError> {
            let (counting, locked) = asked.counting();
            store.update_blocking(ATTEMPTS, &asked.counted_at(), counting)?;
            let verdict = asked.verdict(&store, &locked)?;
            if verdict == Verdict::Right {
                store.del_blocking(ATTEMPTS, &asked.counted_at())?;
            }
            Ok(verdict)
        };
        let verdict = verdict().map_err(|error| failed(&error))?;
        scope.set_variable("PIN_STATUS", verdict.word().to_owned());
        Ok(verdict.digit())
    }

    fn reading(&self) -> Setting {
        Setting::TakesTime
    }

    fn read_later(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Later<ReadLater> {
        self.read_failed(scope);
        let wanted = Asked::of(scope, &args).and_then(|asked| Ok((asked, store(scope)?)));
        Box::pin(async move {
            let (asked, store) = wanted?;
            let verdict = asked.judged(&store).await.map_err(|error| failed(&error))?;
            let variables = vec![("PIN_STATUS", verdict.word().to_owned())];
            Ok(ReadLater { value: verdict.digit(), variables, secrecy: Secrecy::Open })
        })
    }

    fn read_failed(&self, scope: &mut dyn Scope) {
        scope.set_variable("PIN_STATUS", "FAILED".to_owned());
    }
}

/// What is to be compared.
struct Asked {
    names: Names,
    entered: Zeroizing<String>,
    attempts: u32,
}

/// Whether the key turned out to be locked.
type Locked = Arc<AtomicBool>;

impl Asked {
    fn of(scope: &mut dyn Scope, args: &Piece<'_>) -> Result<Self, FuncError> {
        let parts = args.arguments(3);
        let [at, entered, rest @ ..] = parts.as_slice() else { return Err(FuncError::Missing("what was entered")) };
        let names = names(scope, at)?;
        let entered = Zeroizing::new(entered.value(scope));
        let attempts = rest.first().map(|piece| piece.value(scope));
        let attempts = attempts.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL_ATTEMPTS).max(1);
        Ok(Self { names, entered, attempts })
    }

    fn counted_at(&self) -> String {
        format!("{}/{}", self.names.family, self.names.key)
    }

    /// Counts the attempt, in one step with the look at the lock, so that no two callers share one.
    fn counting(&self) -> (impl Fn(Option<&Value>) -> Option<Value> + Send + 'static, Locked) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (locked, attempts) = (Locked::default(), self.attempts);
        let seen = Arc::clone(&locked);
        let counting = move |old: Option<&Value>| {
            let (count, last) = old.map_or((0, 0), counted);
            let count = if now.saturating_sub(last) >= LOCK_S { 0 } else { count };
            let is_locked = count >= attempts;
            seen.store(is_locked, Ordering::Release);
            (!is_locked).then(|| Value::from(format!("{} {now}", count + 1)))
        };
        (counting, locked)
    }

    /// After the attempt was counted.
    fn verdict(&self, store: &Store, locked: &Locked) -> Result<Verdict, StoreError> {
        if locked.load(Ordering::Acquire) {
            return Ok(Verdict::Locked);
        }
        let stored = store.get(&self.names.family, &self.names.key)?;
        let is_right = |stored: Value| !stored.expose().is_empty() && stored.is_same(self.entered.as_bytes());
        Ok(if stored.is_some_and(is_right) { Verdict::Right } else { Verdict::Wrong })
    }

    async fn judged(&self, store: &Store) -> Result<Verdict, StoreError> {
        let (counting, locked) = self.counting();
        store.update(ATTEMPTS, &self.counted_at(), counting).await?;
        let verdict = self.verdict(store, &locked)?;
        if verdict == Verdict::Right {
            store.del(ATTEMPTS, &self.counted_at()).await?;
        }
        Ok(verdict)
    }
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

    #[tokio::test]
    async fn an_empty_or_absent_pin_is_never_right_and_guessing_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let store = Store::new(Setup::new(path("db"), path("key"), "test"));
        store.put_blocking("pin", "100", "1234").unwrap();
        store.put_blocking("pin", "empty", "").unwrap();
        let check = async |key: &str, entered: &str| {
            let names = Names { family: "pin".into(), key: key.into() };
            let asked = Asked { names, entered: Zeroizing::new(entered.into()), attempts: 3 };
            asked.judged(&store).await.unwrap()
        };
        assert_eq!(check("100", "1234").await, Verdict::Right);
        assert_eq!(check("empty", "").await, Verdict::Wrong);
        assert_eq!(check("absent", "").await, Verdict::Wrong);
        for wrong in ["", "123", "12345"] {
            assert_eq!(check("100", wrong).await, Verdict::Wrong);
        }
        assert_eq!(check("100", "1234").await, Verdict::Locked);
        assert_eq!(check("other", "1").await, Verdict::Wrong);
    }
}
