//! The `pbx` program.

fn main() {}
