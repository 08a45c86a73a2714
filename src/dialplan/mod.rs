//! extensions.conf: parse, match, substitute, run.
