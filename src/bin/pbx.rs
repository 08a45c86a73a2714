//! The `pbx` program: the server and the commands that ask it.

use std::process::ExitCode;

use wirechief::cli::{self, Tool};

fn main() -> ExitCode {
    cli::main(Tool::Pbx)
}
