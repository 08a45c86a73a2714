//! Where a command's work is done: on the store's file with a key that is here, or by the running server, which has the key.

use std::cell::RefCell;
use std::ops::ControlFlow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use crate::astdb::{Detail, Each, Entry, Logged, Select, Store, StoreError, Value};
use crate::cli::common::Context;
use crate::cli::exit::Failure;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{
    Fault, FaultCode, StoreChange, StoreEntry, StoreKey, StoreList, StoreOrder, StoreSelect, StoreValue, StoreVerified,
    method,
};

/// Who does it.
pub(super) enum Desk {
    /// This process.
    Here(Store),
    /// The server; the file is read here where that needs no key.
    There(Box<Server>, Store),
}

/// The connection to a server, for commands that wait for each answer.
pub(super) struct Server {
    runtime: Runtime,
    client: RefCell<Client>,
    context: Context,
}

impl Server {
    pub(super) fn connect(context: &Context) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::new(FaultCode::Failure, format!("starting: {error}")))?;
        let client = RefCell::new(runtime.block_on(context.connect())?);
        Ok(Self { runtime, client, context: context.clone() })
    }

    pub(super) fn order<T: DeserializeOwned>(&self, order: &StoreOrder) -> Result<T, Failure> {
        self.asked(async |client| client.request(method::STORE, order).await)
    }

    /// Asks something, within the time that an answer may take.
    pub(super) fn asked<T>(
        &self,
        question: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let mut client = self.client.borrow_mut();
        Ok(self.runtime.block_on(self.context.in_time(question(&mut client)))?)
    }

    /// A list may be long; whoever reads it decides how long it takes.
    fn listed<T: DeserializeOwned>(
        &self,
        list: &(impl Serialize + Sync),
        each: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let mut client = self.client.borrow_mut();
        Ok(self.runtime.block_on(client.each((method::STORE_LIST, list), each))?)
    }
}

impl Desk {
    /// The store's file, for what needs no key, or brings one.
    pub(super) fn file(&self) -> &Store {
        match self {
            Self::Here(store) | Self::There(_, store) => store,
        }
    }

    pub(super) fn get(&self, family: &str, key: &str) -> Result<Option<Value>, Failure> {
        match self {
            Self::Here(store) => Ok(store.get(family, key)?),
            Self::There(server, _) => {
                let (family, key) = (family.to_owned(), key.to_owned());
                let value: Option<StoreValue> = server.order(&StoreOrder::Get { family, key })?;
                value.map(value_of).transpose()
            }
        }
    }

    pub(super) fn put(&self, family: &str, key: &str, value: Value) -> Result<(), Failure> {
        match self {
            Self::Here(store) => Ok(store.put_blocking(family, key, value)?),
            Self::There(server, _) => {
                let (family, key, value) = (family.to_owned(), key.to_owned(), StoreValue::of(value.expose()));
                server.order::<bool>(&StoreOrder::Put { family, key, value }).map(|_| ())
            }
        }
    }

    /// Whether it was there.
    pub(super) fn del(&self, family: &str, key: &str) -> Result<bool, Failure> {
        match self {
            Self::Here(store) => Ok(store.del_blocking(family, key)?.existed),
            Self::There(server, _) => server.order(&StoreOrder::Del { family: family.to_owned(), key: key.to_owned() }),
        }
    }

    pub(super) fn deltree(&self, family: &str, prefix: Option<&str>) -> Result<u64, Failure> {
        match self {
            Self::Here(store) => Ok(store.deltree_blocking(family, prefix)?),
            Self::There(server, _) => {
                let (family, prefix) = (family.to_owned(), prefix.map(str::to_owned));
                server.order(&StoreOrder::Deltree { family, prefix })
            }
        }
    }

    /// Whether the value is this, compared where the key is; `None`: there is none.
    pub(super) fn check(&self, family: &str, key: &str, entered: &Value) -> Result<Option<bool>, Failure> {
        match self {
            Self::Here(store) => Ok(store.get(family, key)?.map(|value| value.is_same(entered.expose()))),
            Self::There(server, _) => {
                let (family, key, value) = (family.to_owned(), key.to_owned(), StoreValue::of(entered.expose()));
                server.order(&StoreOrder::Check { family, key, value })
            }
        }
    }

    pub(super) fn count(&self, select: &Select) -> Result<u64, Failure> {
        match self {
            Self::Here(store) => Ok(store.count(select)?),
            Self::There(server, _) => server.order(&StoreOrder::Count { select: select_of(select) }),
        }
    }

    pub(super) fn list(&self, select: &Select, detail: Detail, each: Each<'_>) -> Result<(), Failure> {
        let server = match self {
            Self::Here(store) => return Ok(store.list(select, detail, each).map(|_| ())?),
            Self::There(server, _) => server,
        };
        let reveal = detail == Detail::Values;
        server.listed(&StoreList::Entries { select: select_of(select), reveal }, &mut |entry: StoreEntry| {
            let StoreEntry { family, key, sealed_bytes: sealed, version, value } = entry;
            let value = reveal.then(|| opened((&family, &key), value));
            each(Entry { family, key, sealed, version, value, blob: None })
        })
    }

    pub(super) fn log(
        &self,
        of: (Option<&str>, Option<&str>),
        detail: Detail,
        each: &mut dyn FnMut(Logged) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let server = match self {
            Self::Here(store) => return Ok(store.log(0, of, detail, each)?),
            Self::There(server, _) => server,
        };
        let (family, key) = (of.0.map(str::to_owned), of.1.map(str::to_owned));
        let list = StoreList::Log { after: 0, family, key, reveal: detail == Detail::Values };
        server.listed(&list, &mut |change: StoreChange| {
            let StoreChange { sequence, at_ms, who, what, family, key, replaced, old } = change;
            let old = replaced.then(|| opened((&family, &key), old));
            each(Logged { sequence, at_ms, who, what, family, key, old })
        })
    }

    pub(super) fn verify(&self) -> Result<StoreVerified, Failure> {
        match self {
            Self::Here(store) => {
                let found = store.verify()?;
                let problems = found.problems.iter().map(ToString::to_string).collect();
                Ok(StoreVerified { entries: found.entries, changes: found.changes, problems })
            }
            Self::There(server, _) => server.order(&StoreOrder::Verify),
        }
    }

    /// What the server says of its key; `None`: it is not asked.
    pub(super) fn server_key(&self) -> Result<Option<StoreKey>, Failure> {
        match self {
            Self::Here(_) => Ok(None),
            Self::There(server, _) => server.order(&StoreOrder::Key).map(Some),
        }
    }
}

fn opened((family, key): (&str, &str), value: Option<StoreValue>) -> Result<Value, StoreError> {
    let value = value.and_then(StoreValue::into_bytes).map(Value::new);
    value.ok_or_else(|| StoreError::Damaged {
        family: family.to_owned(),
        key: key.to_owned(),
        what: "the server cannot open it",
    })
}

fn value_of(value: StoreValue) -> Result<Value, Failure> {
    let garbled = || Fault::new(FaultCode::Failure, "the server's answer is not understood: not a value");
    Ok(Value::new(value.into_bytes().ok_or_else(garbled)?))
}

fn select_of(select: &Select) -> StoreSelect {
    match select.clone() {
        Select::All => StoreSelect::All,
        Select::Family(family) => StoreSelect::Family(family),
        Select::Tree(family, key) => StoreSelect::Tree(family, key),
        Select::LastPart(part) => StoreSelect::Last(part),
    }
}
