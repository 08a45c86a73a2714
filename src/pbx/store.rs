//! The store for those who ask by the control socket: the server seals and opens for them, and may be given the key while it runs.
//! Above: the desk. Below: `crate::astdb`; a key that was given is in a [`KeySafe`] and nowhere else, until its time is over.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::{sync::mpsc, task::AbortHandle};
use zeroize::Zeroizing;

use crate::{
    astdb::{
        Detail, KeyRing, KeySafe, KeySource, Logged, NameMode, Select, Setup, Store, StoreError, VALUE_LIMIT, Value,
    },
    config::{AstdbSettings, KeyChoice, Secret},
    control::{
        protocol::{
            Fault, FaultCode, KeyForm, StoreChange, StoreEntry, StoreGeneration, StoreKey, StoreList, StoreOrder,
            StoreSelect, StoreValue, StoreVerified, Unlock,
        },
        server::Identity,
    },
    dialplan::spymap,
};

use super::House;

/// The longest time a key is kept.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);
/// Items of a list that may wait for a slow reader.
const QUEUE: usize = 64;

/// Where the store's key is, if the server is given it while it runs.
#[derive(Default)]
pub(crate) struct KeyKeeper {
    safe: Option<KeySafe>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Counts the keys given, so that the end of one's time does not end that of the next.
    number: u64,
    until: Option<Timestamp>,
    timer: Option<AbortHandle>,
}

impl KeyKeeper {
    /// The store of the settings, and the keeper of its key; nothing is opened before it is used.
    pub(super) fn of(settings: &AstdbSettings, state: &Path) -> (Self, Store) {
        let safe = (settings.key == KeyChoice::Held).then(KeySafe::default);
        let setup = Setup::new(state.join(&settings.file), state.join(&settings.key_file), "pbx");
        let keys = safe.clone().map_or(setup.keys, KeySource::Safe);
        let names = if settings.hide_names { NameMode::Hidden } else { NameMode::Plain };
        (Self { safe, held: Mutex::default() }, Store::new(Setup { names, keys, ..setup }))
    }

    /// Whether the store waits for its key; `None`: the key is in a file.
    pub(super) fn is_locked(&self) -> Option<bool> {
        self.safe.as_ref().map(|safe| !safe.is_open())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl House {
    fn opened(&self) -> Result<&Store, Fault> {
        self.env.store().ok_or_else(|| Fault::new(FaultCode::NotFound, "this server has no store"))
    }

    /// The safe that `astdb unlock` fills.
    pub(super) fn safe(&self) -> Result<&KeySafe, Fault> {
        self.keys.safe.as_ref().ok_or_else(|| {
            let fault = Fault::new(FaultCode::Usage, "this server reads the store's key from a file");
            fault.hint("with `[astdb] key = \"held\"` in pbx.toml it is given by `astdb unlock`")
        })
    }

    /// Takes the key of the store for a while, if it opens it.
    pub(super) async fn unlock(
        self: &Arc<Self>,
        who: &Identity,
        how: Unlock,
        key: Zeroizing<Vec<u8>>,
    ) -> Result<StoreKey, Fault> {
        let (safe, store) = (self.safe()?.clone(), self.opened()?.clone());
        let ttl = Duration::try_from_secs_f64(how.ttl_s).ok().filter(|ttl| !ttl.is_zero() && *ttl <= LONGEST);
        let ttl = ttl.ok_or_else(|| Fault::new(FaultCode::Usage, "a key is kept for one second to 366 days"))?;
        let source = source_of(how.form, &key)?;
        drop(key);
        // On a thread of its own: a key is made of a passphrase slowly.
        let tried = in_background(move || {
            store.opens_with(&source)?;
            store.forget_key();
            safe.hold(source);
            // made of a passphrase here, not by the first call that needs it
            store.opens_with(&KeySource::Safe(safe))
        });
        if let Err(fault) = tried.await {
            self.exchange.journal.note("astdb.unlock_refused", json!({"uid": who.uid, "why": fault.message}));
            return Err(match fault.code {
                FaultCode::Denied => fault.hint("the key is another one; it was not taken"),
                _ => fault,
            });
        }
        self.keep_for(ttl);
        tracing::info!(uid = who.uid, account = who.account, ttl_s = ttl.as_secs(), "store unlocked");
        self.exchange.journal.note("astdb.unlocked", json!({"uid": who.uid, "ttl_s": ttl.as_secs()}));
        self.key_state().await
    }

    fn keep_for(self: &Arc<Self>, ttl: Duration) {
        let mut held = self.keys.held();
        held.number += 1;
        held.until = SignedDuration::try_from(ttl).ok().and_then(|ttl| Timestamp::now().checked_add(ttl).ok());
        let (number, house) = (held.number, Arc::downgrade(self));
        let timer = tokio::spawn(async move {
            tokio::time::sleep(ttl).await;
            expire(&house, number).await;
        });
        if let Some(before) = held.timer.replace(timer.abort_handle()) {
            before.abort();
        }
    }

    /// Forgets the key; whether there was one.
    async fn lock(&self, why: &'static str) -> Result<bool, Fault> {
        let (safe, store) = (self.safe()?.clone(), self.opened()?.clone());
        let timer = {
            let mut held = self.keys.held();
            held.until = None;
            held.timer.take()
        };
        let was_open = in_background(move || {
            let was_open = safe.forget();
            store.forget_key();
            Ok(was_open)
        });
        let was_open = was_open.await?;
        if was_open {
            tracing::info!(why, "store locked");
            self.exchange.journal.note("astdb.locked", json!({"why": why}));
        }
        // Last: this may be that timer's own task.
        if let Some(timer) = timer {
            timer.abort();
        }
        Ok(was_open)
    }

    async fn key_state(&self) -> Result<StoreKey, Fault> {
        let store = self.opened()?.clone();
        let until = self.keys.held().until;
        let locked = self.keys.is_locked();
        in_background(move || {
            let setup = store.setup();
            let file = match &setup.keys {
                KeySource::File(path) => Some(path.display().to_string()),
                _ => None,
            };
            let of = |generation: crate::astdb::Generation| StoreGeneration {
                number: generation.number,
                from_passphrase: generation.from_passphrase,
                current: generation.current,
                here: generation.here,
            };
            let generations: Vec<_> = store.generations()?.into_iter().map(of).collect();
            let (store, exists) = (setup.path.display().to_string(), setup.path.exists());
            Ok(StoreKey { store, exists, file, locked: locked.unwrap_or(false), until, generations })
        })
        .await
    }

    /// Does what an operator wants of the store; the history has his number.
    pub(super) async fn store_order(&self, who: &Identity, order: StoreOrder) -> Result<Json, Fault> {
        if !matches!(order, StoreOrder::Key) {
            tracing::info!(uid = who.uid, account = who.account, order = order.word(), "store request");
        }
        if let StoreOrder::Get { family, key } = &order
            && let Some(value) = self.of_calls(family, key)
        {
            return Ok(json(&value.map(|value| StoreValue::of(value.as_bytes()))));
        }
        let store = self.opened()?.written_by(&format!("astdb uid {} by the server", who.uid));
        match order {
            StoreOrder::Key => Ok(json(&self.key_state().await?)),
            StoreOrder::Lock => Ok(json(&self.lock("asked for").await?)),
            order => in_background(move || done(&store, order)).await,
        }
    }

    /// What the live calls say of an entry; the inner `None`: nothing, and it is not to be looked for in the store.
    pub(super) fn of_calls(&self, family: &str, key: &str) -> Option<Option<String>> {
        let value = self.env.spymap().get(&self.exchange.live, family, key);
        (value.is_some() || spymap::is_live(family, key)).then_some(value)
    }

    /// Lists entries or the history.
    pub(super) fn store_list(&self, list: StoreList) -> Result<mpsc::Receiver<Result<Json, Fault>>, Fault> {
        let store = self.opened()?.clone();
        let (items, listed) = mpsc::channel(QUEUE);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = send(&store, list, &items) {
                // Nobody listens any more, or he gets the error.
                let _ = items.blocking_send(Err(fault(&error)));
            }
        });
        Ok(listed)
    }
}

/// The end of a key's time, unless another one has been given since.
async fn expire(house: &Weak<House>, number: u64) {
    let Some(house) = house.upgrade() else { return };
    if house.keys.held().number != number {
        return;
    }
    let _ = house.lock("its time is over").await;
}

fn source_of(form: KeyForm, key: &[u8]) -> Result<KeySource, Fault> {
    let invalid = |what: &str| Fault::new(FaultCode::Invalid, format!("the key is none: {what}"));
    let text = std::str::from_utf8(key).map_err(|_| invalid("it is no text"))?;
    match form {
        KeyForm::File => KeyRing::parse(text).map(KeySource::Held).map_err(invalid),
        KeyForm::Passphrase if text.is_empty() => Err(invalid("it is empty")),
        KeyForm::Passphrase => Ok(KeySource::Passphrase(Secret::new(text.to_owned()))),
    }
}

/// Work on files, away from the calls.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Fault> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Fault::new(FaultCode::Failure, error.to_string()))?.map_err(|error| fault(&error))
}

fn done(store: &Store, order: StoreOrder) -> Result<Json, StoreError> {
    Ok(match order {
        StoreOrder::Get { family, key } => json(&store.get(&family, &key)?.map(|value| StoreValue::of(value.expose()))),
        StoreOrder::Put { family, key, value } => {
            store.put_blocking(&family, &key, bytes_of(value)?)?;
            Json::Bool(true)
        }
        StoreOrder::Del { family, key } => json(&store.del_blocking(&family, &key)?.existed),
        StoreOrder::Deltree { family, prefix } => json(&store.deltree_blocking(&family, prefix.as_deref())?),
        StoreOrder::Check { family, key, value } => {
            let entered = bytes_of(value)?;
            json(&store.get(&family, &key)?.map(|value| value.is_same(entered.expose())))
        }
        StoreOrder::Count { select } => json(&store.count(&select_of(select))?),
        StoreOrder::Verify => {
            let found = store.verify()?;
            let problems = found.problems.iter().map(ToString::to_string).collect();
            json(&StoreVerified { entries: found.entries, changes: found.changes, problems })
        }
        // Answered before.
        StoreOrder::Key | StoreOrder::Lock => Json::Null,
    })
}

fn send(store: &Store, list: StoreList, items: &mpsc::Sender<Result<Json, Fault>>) -> Result<(), StoreError> {
    let detail = |reveal: bool| if reveal { Detail::Values } else { Detail::Names };
    let give = |item: Json| match items.blocking_send(Ok(item)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    match list {
        StoreList::Entries { select, reveal } => {
            let each = &mut |entry: crate::astdb::Entry| {
                let value = entry.value.and_then(Result::ok).map(|value| StoreValue::of(value.expose()));
                let crate::astdb::Entry { family, key, sealed: sealed_bytes, version, .. } = entry;
                give(json(&StoreEntry { family, key, sealed_bytes, version, value }))
            };
            store.list(&select_of(select), detail(reveal), each).map(|_| ())
        }
        StoreList::Log { after, family, key, reveal } => {
            let each = &mut |change: Logged| {
                let replaced = change.old.is_some();
                let old = change.old.and_then(Result::ok).map(|value| StoreValue::of(value.expose()));
                let Logged { sequence, at_ms, who, what, family, key, .. } = change;
                give(json(&StoreChange { sequence, at_ms, who, what, family, key, replaced, old }))
            };
            store.log(after, (family.as_deref(), key.as_deref()), detail(reveal), each)
        }
    }
}

fn bytes_of(value: StoreValue) -> Result<Value, StoreError> {
    let bytes = value.into_bytes().ok_or(StoreError::Name("the value is not in hexadecimal digits"))?;
    if bytes.len() > VALUE_LIMIT {
        return Err(StoreError::TooLarge { size: bytes.len(), limit: VALUE_LIMIT });
    }
    Ok(Value::new(bytes))
}

fn select_of(select: StoreSelect) -> Select {
    match select {
        StoreSelect::All => Select::All,
        StoreSelect::Family(family) => Select::Family(family),
        StoreSelect::Tree(family, key) => Select::Tree(family, key),
        StoreSelect::Last(part) => Select::LastPart(part),
    }
}

/// Our own types always have a JSON form.
fn json(value: &impl Serialize) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}

/// What the store says, with the exit code of each thing that can go wrong, and what to do about it.
pub(crate) fn fault(error: &StoreError) -> Fault {
    let (code, hint) = verdict(error);
    let fault = Fault::new(code, error.to_string());
    match hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

fn verdict(error: &StoreError) -> (FaultCode, Option<String>) {
    match error {
        StoreError::NoFamily | StoreError::Name(_) | StoreError::TooLarge { .. } => (FaultCode::Usage, None),
        StoreError::NoKey { .. } => {
            (FaultCode::Denied, Some("--key-file names it; without it no value can be read, by anyone".into()))
        }
        StoreError::Locked => (FaultCode::Denied, Some("`astdb unlock` gives it the key".into())),
        StoreError::WrongKey { .. } => {
            (FaultCode::Denied, Some("it is the key of another store, or the passphrase is wrong".into()))
        }
        StoreError::KeyIsOpen { path, .. } => (FaultCode::Denied, Some(format!("chmod 600 {}", path.display()))),
        StoreError::ReadOnly { .. } => (FaultCode::Denied, None),
        StoreError::Io { source, .. }
            if matches!(
                source.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            (FaultCode::Denied, None)
        }
        StoreError::Busy { .. } => (FaultCode::TryAgain, Some("--timeout waits longer".into())),
        StoreError::NotAStore { what, .. } if what.contains("Asterisk") => {
            (FaultCode::Invalid, Some("`astdb import` takes its entries over".into()))
        }
        StoreError::Damaged { .. } => (FaultCode::Invalid, Some("`astdb verify` looks at everything".into())),
        StoreError::KeyFile { .. }
        | StoreError::History { .. }
        | StoreError::RolledBack { .. }
        | StoreError::NotAStore { .. }
        | StoreError::Future { .. }
        | StoreError::Broken { .. } => (FaultCode::Invalid, None),
        StoreError::Full { .. } | StoreError::Io { .. } | StoreError::Database { .. } | StoreError::Closed => {
            (FaultCode::Failure, None)
        }
    }
}
