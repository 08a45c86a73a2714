//! What the tests of several parts of this room stand on.

pub(crate) mod pair;
