//! The handle: what everybody else holds of a store.
//! Above: the dialplan and the `astdb` program. Below: `reader` in the caller's thread, `writer` in its own or a caller's.

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::change::{Change, Changed};
use super::error::StoreError;
use super::key::KeySource;
use super::reader::Reader;
use super::schema;
use super::unlock::{NameMode, unlock};
use super::value::{Value, check_family, check_key, check_names, check_value};
use super::writer::{Desk, Request, Wanted, Writer};

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The file; made at the first put, if it is not there.
    pub path: PathBuf,
    /// Where the key is.
    pub keys: KeySource,
    /// Whether a store that is made hides its names; one that is there stays as it is.
    pub names: NameMode,
    /// Who writes, for the history: `pbx`, `astdb alice`.
    pub who: String,
    /// How long to wait for another program that writes.
    pub patience: Duration,
}

impl Setup {
    /// With a key file, plain names, five seconds of patience.
    pub fn new(path: PathBuf, key_file: PathBuf, who: &str) -> Self {
        let patience = Duration::from_secs(5);
        Self { path, keys: KeySource::File(key_file), names: NameMode::Plain, who: who.to_owned(), patience }
    }
}

/// A store: cheap to clone, usable from every thread. Nothing is opened before the first use.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// Who writes, where that is not [`Setup::who`].
    who: Option<Arc<str>>,
}

struct Inner {
    setup: Arc<Setup>,
    reader: Mutex<Reader>,
    desk: Arc<Desk>,
    /// Started by the first change that is not committed in its caller's thread.
    writer: Mutex<Option<Writer>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.inner.setup.path).finish()
    }
}

impl Store {
    /// A store with this setup; the file is looked at when it is needed.
    pub fn new(setup: Setup) -> Self {
        let setup = Arc::new(setup);
        let reader = Mutex::new(Reader::new(Arc::clone(&setup)));
        let desk = Arc::new(Desk::new(Arc::clone(&setup)));
        Self { inner: Arc::new(Inner { setup, reader, desk, writer: Mutex::default() }), who: None }
    }

    /// The same store, whose changes from here stand in the history as made by `who`.
    #[must_use]
    pub fn written_by(&self, who: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), who: Some(who.into()) }
    }

    /// What it was opened with.
    pub fn setup(&self) -> &Setup {
        &self.inner.setup
    }

    /// A value; `None`: there is no such entry.
    ///
    /// # Errors
    /// The key is missing or wrong, or the entry is damaged: changed, moved, brought back from the past, or taken away.
    pub fn get(&self, family: &str, key: &str) -> Result<Option<Value>, StoreError> {
        check_names(family, key)?;
        self.reader().get(family, key)
    }

    /// Writes a value; it is on the disk when this returns.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn put(&self, family: &str, key: &str, value: impl Into<Value>) -> Result<(), StoreError> {
        let put = put(family, key, value.into())?;
        self.change(put).await.map(|_| ())
    }

    /// [`Store::put`] for code that may wait.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put_blocking(&self, family: &str, key: &str, value: impl Into<Value>) -> Result<(), StoreError> {
        let put = put(family, key, value.into())?;
        self.change_blocking(put).map(|_| ())
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// Nothing was removed.
    pub async fn del(&self, family: &str, key: &str) -> Result<Removed, StoreError> {
        let remove = remove(family, key)?;
        self.change(remove).await.map(Removed::of)
    }

    /// [`Store::del`] for code that may wait.
    ///
    /// # Errors
    /// As [`Store::del`].
    pub fn del_blocking(&self, family: &str, key: &str) -> Result<Removed, StoreError> {
        let remove = remove(family, key)?;
        self.change_blocking(remove).map(Removed::of)
    }

    /// Removes a family, or its key `prefix` and all keys below `prefix/`; how many entries that were.
    ///
    /// # Errors
    /// Nothing was removed.
    pub async fn deltree(&self, family: &str, prefix: Option<&str>) -> Result<u64, StoreError> {
        let remove = remove_tree(family, prefix)?;
        self.change(remove).await.map(|changed| changed.count)
    }

    /// [`Store::deltree`] for code that may wait.
    ///
    /// # Errors
    /// As [`Store::deltree`].
    pub fn deltree_blocking(&self, family: &str, prefix: Option<&str>) -> Result<u64, StoreError> {
        let remove = remove_tree(family, prefix)?;
        self.change_blocking(remove).map(|changed| changed.count)
    }

    /// Reads and writes an entry in one step: `update` gets the value there is, and gives the new one, or `None` to leave it. It
    /// may be called again when a commit fails. Returns the value before.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn update(
        &self,
        family: &str,
        key: &str,
        update: impl Fn(Option<&Value>) -> Option<Value> + Send + 'static,
    ) -> Result<Option<Value>, StoreError> {
        check_names(family, key)?;
        let update = Change::Update { family: family.to_owned(), key: key.to_owned(), update: Box::new(update) };
        self.change(update).await.map(|changed| changed.old)
    }

    /// [`Store::update`] for code that may wait.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn update_blocking(
        &self,
        family: &str,
        key: &str,
        update: impl Fn(Option<&Value>) -> Option<Value> + Send + 'static,
    ) -> Result<Option<Value>, StoreError> {
        check_names(family, key)?;
        let update = Change::Update { family: family.to_owned(), key: key.to_owned(), update: Box::new(update) };
        self.change_blocking(update).map(|changed| changed.old)
    }

    /// Makes the key file, before the first put would.
    ///
    /// # Errors
    /// It cannot be written; or the key is kept in no file.
    pub fn make_key(&self) -> Result<(), StoreError> {
        self.inner.setup.keys.first().map(|_| ())
    }

    /// Whether this key opens the store; false: there is no store yet, so any key would do.
    ///
    /// # Errors
    /// It does not, or the file cannot be read.
    pub fn opens_with(&self, keys: &KeySource) -> Result<bool, StoreError> {
        let path = &self.setup().path;
        let Some(conn) = schema::open_reading(path, self.setup().patience)? else { return Ok(false) };
        unlock(&conn, path, keys).map(|_| true)
    }

    /// Wipes all that was opened with the key, values that were read included. Waits for changes that are being made.
    pub fn forget_key(&self) {
        self.reader().forget();
        // Dropped outside of the lock: its thread ends when it has done what it was sent.
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(writer);
        self.inner.desk.forget();
    }

    pub(super) fn reader(&self) -> MutexGuard<'_, Reader> {
        // A panic in the middle of a read leaves nothing half changed.
        self.inner.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn change(&self, change: Change) -> Result<Changed, StoreError> {
        let (answer, answered) = oneshot::channel();
        // Nobody waits any more where the receiver is gone; the change is made all the same.
        self.send(Request { wanted: self.wanted(change), answer: Box::new(move |done| drop(answer.send(done))) })?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) fn change_blocking(&self, change: Change) -> Result<Changed, StoreError> {
        let wanted = self.wanted(change);
        if let Some(done) = self.inner.desk.alone(&wanted) {
            return done;
        }
        let (answer, answered) = sync_channel(1);
        self.send(Request { wanted, answer: Box::new(move |done| drop(answer.send(done))) })?;
        answered.recv().map_err(|_| StoreError::Closed)?
    }

    fn wanted(&self, change: Change) -> Wanted {
        Wanted { change, who: self.who.clone() }
    }

    fn send(&self, request: Request) -> Result<(), StoreError> {
        let mut writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = match &mut *writer {
            Some(writer) => writer,
            none => {
                let started = Writer::start(Arc::clone(&self.inner.desk));
                none.insert(started.map_err(|source| StoreError::Io { path: self.setup().path.clone(), source })?)
            }
        };
        writer.send(request)
    }
}

/// What a removal found.
#[derive(Clone, Debug, Default)]
pub struct Removed {
    /// Whether there was an entry.
    pub existed: bool,
    /// Its value, where it could still be read.
    pub old: Option<Value>,
}

impl Removed {
    fn of(changed: Changed) -> Self {
        Self { existed: changed.count > 0, old: changed.old }
    }
}

fn put(family: &str, key: &str, value: Value) -> Result<Change, StoreError> {
    check_names(family, key)?;
    check_value(&value)?;
    Ok(Change::Put { family: family.to_owned(), key: key.to_owned(), value })
}

fn remove(family: &str, key: &str) -> Result<Change, StoreError> {
    check_names(family, key)?;
    Ok(Change::Remove { family: family.to_owned(), key: key.to_owned() })
}

fn remove_tree(family: &str, prefix: Option<&str>) -> Result<Change, StoreError> {
    check_family(family)?;
    if let Some(prefix) = prefix {
        check_key(prefix)?;
    }
    Ok(Change::RemoveTree { family: family.to_owned(), prefix: prefix.map(str::to_owned) })
}
