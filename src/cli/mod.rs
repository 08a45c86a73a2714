//! What a user types: one clap struct per command, exit codes, tables, JSON, logging.
//!
//! The way: a program of `src/bin` → [`main`] (its name picks the tool) → clap → one file per command in `pbx`, `spy`, `astdb` or `rec`. Commands
//! get a [`Context`](common::Context) and return [`Done`](exit::Done); nothing else prints or exits.

mod ask;
mod astdb;
pub mod common;
mod complete;
pub mod completion;
mod entry;
pub mod exit;
mod generate;
pub mod log;
pub mod man;
mod manual;
pub mod output;
mod pbx;
mod rec;
mod rows;
mod spy;
mod words;

pub use entry::{Tool, main};
pub use generate::generated_files;
