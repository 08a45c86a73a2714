//! Media threads: RTP ports, bridges, rooms, taps, the player. Everything that sounds happens here.
//!
//! [`Engine`] is the handle; commands go in by a bounded queue, [`Event`]s come out by `try_send`. A thread (`shard`) owns the
//! sockets (`socket`) and a `board`: its ports, bridges, rooms and taps, without sockets, so that who hears whom is tested without any.
//! The way of a packet: `shard` → `board` → `port` (source, statistics, digits) → `tap` (a copy) → `bridge` (relay or mix) → `socket`, or `room` (kept for the beat).
//! The way of a beat: `shard` → `board` → `room` (mix) → `generator` (what we say ourselves) and `supervision` (what supervisors hear).

mod board;
mod bridge;
mod clock;
mod command;
mod copies;
mod desk;
mod digits;
mod ear;
mod engine;
mod generator;
mod guard;
mod latch;
mod loudness;
mod numbers;
mod outgoing;
mod phone;
mod player;
mod port;
mod recording;
mod report;
mod room;
mod setup;
mod shard;
mod socket;
mod stats;
mod supervision;
mod tap;
mod voice;

pub use command::{Command, EarFrame, Event, PlayId, PortId, RoomId, Sides, Source, TapAudio, TapId, ToneStep};
#[cfg(test)]
pub(crate) use copies::CopyWriter;
pub use copies::{Content, Copied, Copies, CopyKey, CopyLink, Intake, Mark, Origin, RING_BYTES, Waiting};
pub use engine::Engine;
pub use setup::{MediaConfig, MediaError, OpenPort, Stream};
pub use stats::{EngineStats, PortStats};
