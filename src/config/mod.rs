//! Settings: TOML with file:line errors, paths, and the configuration built in. Pure.

mod matching;
mod secret;
mod settings;

pub use matching::{Match, MatchError};
pub use secret::Secret;
pub use settings::*;
