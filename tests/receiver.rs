//! The recordings' own pages and the receiver of deliveries: document [002]'s two PHP pages, with every flaw that their author admits
//! mended (S126–S134), asked over real sockets.

mod announced;
mod browser;
mod document;
mod hostile;
mod intake;
mod limits;
mod links;
mod notice;
mod program;
mod ranges;
pub(crate) mod resumed;
mod sealed;
pub(crate) mod stage;
mod uploads;
