//! The control socket: what is said on it, its server and its client.
//!
//! One Unix socket carries JSON requests and, for a spy session, audio. Above: `cli` and `spy` are its clients, `pbx` gives
//! [`Backend`](backend::Backend) its meaning. Below: nothing of telephony; this room never looks inside a call.

pub mod backend;
mod calls;
pub mod client;
pub mod compat;
mod conferences;
mod evidence;
pub mod frame;
mod link;
mod perms;
pub mod protocol;
mod recording;
pub mod server;
pub mod socket;
mod store;
pub mod supervision;
mod verbs;
