//! The encrypted store of families and keys, on SQLite.
//!
//! The way: [`Store`] → `reader` (the caller's thread, from memory while nobody writes) or `writer` (its thread, many changes in
//! one commit) → `change` → `unlock` and `seal` → SQLite.
//!
//! # The form of the file
//!
//! So that another program can read it; `tests/data/astdb/vectors.json` has values to try it on. An SQLite 3 database with
//! `application_id` 0x77434442 and `user_version` 1 (a higher one is a later form, not to be touched). All numbers in what is
//! sealed or hashed are big endian; *part(x)* is the length of x in 4 bytes, then x; ‖ puts one behind the other.
//!
//! | table | holds |
//! |---|---|
//! | `store` | one row: `id` (16 random bytes), `names` (`plain` or `hidden`), `generation` (of the master key new values are sealed with) |
//! | `generations` | one row a master key in use: `salt`, `memory_kib`, `passes` where it is made from a passphrase (argon2id 1.3, one lane, 32 bytes), else NULL; `secrets`, sealed: the names key and the chain key, 32 bytes each |
//! | `entries` | `family`, `key`, `version` (the number of the change that wrote it), `value` (sealed), `name` (sealed, where names are hidden) |
//! | `history` | one row a change: `sequence` from 1 without gaps, `at_ms` since 1970, `who`, `what` (`put`, `del`, `rotate`), `family`, `key`, `name`, `old_version` and `old_value` (what was replaced, as it stood; 0 and NULL: nothing), `link` |
//!
//! A **sealed** value is `01 ‖ generation (4) ‖ nonce (24) ‖ ciphertext ‖ tag (16)`. The text is the value, one byte 0x80, and zeros up
//! to a multiple of 16. With HKDF-SHA256 (RFC 5869):
//!
//! - PRK = Extract(salt = store id, master key)
//! - F ‖ N = Expand(PRK, "wirechief astdb 1 " ‖ purpose ‖ 00 ‖ family, 64)
//! - K ‖ IV = Expand(F, "wirechief astdb 1 value" ‖ 00 ‖ nonce, 32 + 12), for AES-256-GCM
//! - associated data = "wirechief astdb value" ‖ 01 ‖ generation ‖ store id ‖ version (8) ‖ part(purpose) ‖ part(family) ‖ part(key)
//! - nonce = the first 24 bytes of HMAC-SHA256(N, 32 random bytes ‖ associated data ‖ text); a reader takes it as it stands
//!
//! | what | purpose | family | key | version |
//! |---|---|---|---|---|
//! | a value | `family` | its family | its key | its version |
//! | a hidden name, text part(family) ‖ part(key) | `names` | column `family` | column `key` | 0 |
//! | `secrets` of a generation | `store` | `secrets` | `plain` or `hidden` | the generation |
//!
//! Where names are hidden, the columns hold the first 16 bytes, in hexadecimal digits, of HMAC-SHA256(names key,
//! part("family") ‖ part(family)) and of HMAC-SHA256(names key, part("key") ‖ part(family) ‖ part(key)).
//!
//! `link` = HMAC-SHA256(chain key, link before (32 zeros before the first) ‖ sequence (8) ‖ at_ms (8) ‖ old_version (8) ‖ part(who) ‖
//! part(what) ‖ part(family) ‖ part(key)), the last two as they stand in the columns.
//!
//! # What it guards against, and what not
//!
//! Who has the file but not the key learns the names (unless hidden), how many entries there are, when they changed, and sizes in
//! steps of 16 bytes; never a value, nor whether two are equal. A value that was changed, moved to another name, or brought back
//! from earlier, an entry taken away, and a history with gaps are found when they are read, at the latest by [`Store::verify`].
//! Who replaces the **whole file** by an older copy of itself is not found out: nothing outside the file remembers how far it was.
//! Nor is who undoes the last changes, newest first, as the history holds what they replaced: that is an older copy too. An entry
//! that was taken away with its whole history reads as absent, and is found by [`Store::verify`], as the history has a gap.
//! A copy that is put back must be the only file: `-wal` and `-shm` of the store it replaces belong to that one, and are removed.
//! A rotation seals all values anew but keeps the names key and the chain key; who had those could still guess hidden names.

pub mod asterisk;
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
mod safe;
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
pub use safe::KeySafe;
pub use store::{Removed, Setup, Store};
pub use unlock::NameMode;
pub use value::{NAME_LIMIT, VALUE_LIMIT, Value};

#[cfg(test)]
mod tests;
