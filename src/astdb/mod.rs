//! The encrypted store of families and keys, on SQLite.
//!
//! The way: [`Store`] → `reader` (the caller's thread, from memory while nobody writes) or `writer` (its thread, many changes in
//! one commit) → `change` → `unlock` and `seal` → SQLite.

mod change;
mod dump;
mod error;
mod files;
mod history;
mod import;
mod key;
mod list;
mod reader;
mod rotate;
mod schema;
mod seal;
mod store;
mod unlock;
mod value;
mod writer;

pub use dump::{DUMP_SCHEMA, DumpError, Load};
pub use error::StoreError;
pub use history::{Logged, Verified};
pub use import::{AesKey, Foreign, Verdict, judge, read_asterisk};
pub use key::{KeyRing, KeySource};
pub use list::{Detail, Each, Entry, Select};
pub use rotate::{Generation, Rotated};
pub use store::{Removed, Setup, Store};
pub use unlock::NameMode;
pub use value::{NAME_LIMIT, VALUE_LIMIT, Value};

#[cfg(test)]
mod tests;
