//! Recordings: the copies that media threads make of a call, put on one timeline and into files that are whole at every moment.
//!
//! [`Recorder`] is a handle to one thread, which wakes a few times a second. [`Recorder::open`] makes a file and gives back the end of
//! a ring for [`Command::Record`](crate::media::Command::Record); [`Running`] pauses, masks and stops. The way of a packet:
//! a media thread's ring → `session` → `decode` (to samples at the file's rate, where `cells` alone does not do) → `line` (one party's
//! place in time, by RTP time stamps tied to arrivals, which `rate` counts) → `file` (parts of a recording on the `disk`, each a valid
//! WAV, or Matroska where G.722 is kept as it came, by `wav` after every write). Opus that is kept as it came goes another way: `kept`.
//! `sync` brings all of it to the disk every few seconds, [`repair`] mends what a power failure left.

mod cells;
mod clusters;
mod decode;
mod disk;
mod file;
mod handle;
mod kept;
mod line;
mod marks;
mod names;
mod order;
mod rate;
mod repair;
mod session;
mod sync;
mod thread;
mod tie;
mod trouble;
mod wav;
mod work;

pub use handle::{Recorder, Running};
pub use names::Names;
pub use order::{
    Container, Finished, Form, Gap, Layout, Levels, MOST_GAPS, Notice, Order, Packets, Part, ROLL_AT_BYTES,
    RecorderError, Side, Span, Whispers, Why,
};
pub use rate::Rate;
pub use repair::{RepairError, Repaired, repair};

#[cfg(test)]
mod tests;
