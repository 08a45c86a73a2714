//! The `rec` program: recordings, and their delivery.

use std::process::ExitCode;

use wirechief::cli::{self, Tool};

/// A long list makes and drops many small texts, a delivery large pieces of files; this allocator does both in half the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(Tool::Rec)
}
