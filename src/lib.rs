//! Wirechief: telephony utilities under thin programs: `pbx`, `spy`, `astdb` and `rec`.
//!
//! This page is the map: from here alone a reader should be able to name the file where a change belongs.
//!
//! # Layers
//!
//! Arrows only point down; `tests/house.rs` compares every `crate::…` with a table of what may use what.
//!
//! | layer | rooms |
//! |---|---|
//! | 4 shell | [`cli`] what a user types · [`pbx`] the composition root · [`spy`] the listening post |
//! | 3 service | [`dialplan`] extensions.conf · [`control`] the control socket · [`receiver`] the recordings' pages, and deliveries taken in |
//! | 2 call | [`call`] legs, channels, B2BUA, supervision |
//! | 1 effects | [`transport`] SIP sockets and the task that drives the stack · [`media`] media threads · [`astdb`] the encrypted store · [`evidence`] the log of supervision · [`recorder`] calls on record · [`outbox`] recordings and their delivery · [`sqlite`] what both stores ask of their files |
//! | 0 pure | [`sip`] · [`sdp`] · [`rtp`] · [`audio`] · [`config`]: no socket, thread, clock or tokio |
//!
//! # The ways through
//!
//! A SIP message: `transport::udp` → [`sip::wire`] → the stack (transactions, dialogs, sessions) → events → the `sip` task →
//! a leg → [`call::Channel`] → `dialplan::exec` → `dialplan::app` → [`call::dial`] → a second leg → the bridge.
//!
//! A voice packet: a socket of a media thread → its port → relayed to the other port on arrival, or decoded, mixed with a
//! supervisor's voice and encoded, also on arrival. What a supervisor hears is taken from both sides by a tap, on the 20 ms beat,
//! through a ring to the control socket, or to the port of the supervisor's phone; what the supervisor says comes back by a second ring.
//!
//! A supervisor: keys → `spy::session` → [`control::client`] ═ Unix socket ═ [`control::server`] → [`call::supervision`], which
//! asks [`call::supervision::permission`], puts it on record in [`evidence`] → a tap in the media thread. Audio frames return on the same socket.
//!
//! # Threads and tasks
//!
//! | name | count | owns | waits on |
//! |---|---|---|---|
//! | `sip` task | 1 | SIP sockets, the stack | sockets, the next deadline, commands |
//! | channel task | 1 per calling leg | its channel and the legs it dialled | anything async |
//! | `media-N` thread | 1 per 2 cores | RTP sockets, ports, bridges, taps | epoll with the next slot, nothing else |
//! | `recorder` thread | 1 | the files of recordings | its messages, 200 ms, the disk |
//! | `records` thread | 1 | the file of detail records | its queue, the disk |
//! | `astdb` thread | 1 | the store's writing connection | its queue, the disk |
//! | `evidence` thread | 1 | the log of supervision | its queue, the disk |
//! | control task | 1 per client | one connection | its socket |
//!
//! # Glossary
//!
//! One word per thing: *transaction* (a request and its responses) · *dialog* · *session* (an INVITE dialog with its
//! offer/answer state) · *leg* (one session and one media port) · *channel* (a leg as the dialplan sees it) · *call* (bridged
//! channels) · *port* (a leg's end in a media thread) · *bridge* (ports that hear each other) · *mixer* · *tap* (a supervisor on
//! a bridge) · *target* (the party whose UUID is spied) · *peer* (its other half) · *supervisor* (who spies) · *frame* (20 ms of
//! mono 16-bit samples) · *tick* (the 20 ms beat) · *slot* (a part of a tick) · *binding* (a user's registered contact) ·
//! *application* and *function* (of the dialplan). *Channel* is never an mpsc channel; *connection* is TCP only.
#![forbid(unsafe_code)]

pub mod astdb;
pub mod audio;
pub mod call;
pub mod cli;
pub mod config;
pub mod control;
pub mod dialplan;
pub mod evidence;
pub mod media;
pub mod outbox;
pub mod pbx;
pub mod receiver;
pub mod recorder;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod spy;
pub mod sqlite;
pub mod transport;
