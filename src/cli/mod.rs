//! What a user types: one clap struct per command, exit codes, tables, JSON, logging.

pub mod exit;
pub mod output;
