//! The `spy` program: the listening post.

use std::process::ExitCode;

use wirechief::cli::{self, Tool};

fn main() -> ExitCode {
    cli::main(Tool::Spy)
}
