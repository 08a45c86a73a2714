//! The `rec` program: recordings, and their delivery.

use std::process::ExitCode;

use wirechief::cli::{self, Tool};

fn main() -> ExitCode {
    cli::main(Tool::Rec)
}
