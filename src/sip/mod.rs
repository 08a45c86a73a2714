//! SIP (RFC 3261) without sockets or clock: wire codec, transactions, dialogs, sessions, registrar.
//!
//! Bytes enter by [`wire::parse`] as a [`message::Message`] or a [`wire::Reject`], and leave by [`wire::print()`].
//! What a header means is asked through [`header::HeadersExt`].

pub(crate) mod body;
pub(crate) mod compose;
pub(crate) mod dialog;
pub mod digest;
pub mod header;
pub mod hop;
pub mod message;
pub mod registrar;
pub(crate) mod session;
pub mod stack;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod timer;
pub(crate) mod transaction;
pub mod uri;
pub mod wire;

pub use header::HeadersExt;
pub use hop::{Hop, Transport};
pub use message::Message;
