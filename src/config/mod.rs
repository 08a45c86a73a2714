//! Settings: TOML with file:line errors, paths, and the reader of Asterisk's .conf form.
