//! Wirechief: telephony utilities under four programs, `pbx`, `spy`, `astdb` and `rec`.
//!
//! This page is the map. Rooms are layered; arrows only point down (`tests/house.rs` keeps it so):
//!
//! | layer | rooms |
//! |---|---|
//! | 4 shell | [`cli`], [`pbx`], [`spy`] |
//! | 3 service | [`dialplan`], [`control`] |
//! | 2 call | [`call`] |
//! | 1 effects | [`transport`], [`media`] |
//! | 0 pure (no socket, thread, clock or tokio) | [`sip`], [`sdp`], [`rtp`], [`audio`], [`config`] |

#![forbid(unsafe_code)]

pub mod audio;
pub mod call;
pub mod cli;
pub mod config;
pub mod control;
pub mod dialplan;
pub mod media;
pub mod pbx;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod spy;
pub mod transport;
