//! The `astdb` program: the encrypted store of families and keys.

use std::process::ExitCode;

use wirechief::cli::{self, Tool};

fn main() -> ExitCode {
    cli::main(Tool::Astdb)
}
