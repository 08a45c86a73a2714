//! What the recorder's thread does with a recording, of whatever form. Above: `thread`. Below: `session` (samples), `kept` (packets).

use std::fmt::Debug;

use super::handle::Wish;
use super::order::Finished;
use super::session::Session;

/// Room to work in. All recordings that beat share it, so that it stays in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// What is in a copy.
    pub(super) payload: Vec<u8>,
    /// The cells of one.
    pub(super) cells: Vec<i16>,
    /// Those of a stretch of each track.
    pub(super) tracks: [Vec<i16>; 3],
    /// What is written of it.
    pub(super) bytes: Vec<u8>,
}

/// A recording that runs.
pub(super) trait Work: Debug + Send {
    /// Takes what came, and writes what is old enough.
    fn beat(&mut self, now_us: u64, scratch: &mut Scratch);
    /// Does what is wanted as of a time.
    fn obey(&mut self, wish: &Wish, at_us: u64);
    /// Writes everything until a time, and says what came of it all.
    fn finish(self: Box<Self>, at_us: u64) -> Finished;
}

impl Work for Session {
    fn beat(&mut self, now_us: u64, scratch: &mut Scratch) {
        self.beat(now_us, scratch);
    }

    fn obey(&mut self, wish: &Wish, at_us: u64) {
        self.obey(wish, at_us);
    }

    fn finish(self: Box<Self>, at_us: u64) -> Finished {
        (*self).finish(at_us)
    }
}
