//! What the recorder's thread does with a recording, of whatever form. Above: `thread`. Below: `session` (samples), `kept` (packets).

use std::fmt::Debug;

use super::handle::Wish;
use super::order::Finished;
use super::session::Session;
use crate::media::Intake;

/// What all recordings use when it is their turn.
#[derive(Debug)]
pub(super) struct Tools {
    /// The copies that have come.
    pub(super) intake: Intake,
    pub(super) scratch: Scratch,
}

/// Room to work in. It is one for all recordings, so that it stays in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The cells of a copy.
    pub(super) cells: Vec<i16>,
    /// Those of a stretch of each track, where they lie in two pieces.
    pub(super) tracks: [Vec<i16>; 3],
    /// Those of two tracks as one.
    pub(super) mixed: Vec<i16>,
    /// What is written of it.
    pub(super) bytes: Vec<u8>,
}

/// A recording that runs.
pub(super) trait Work: Debug + Send {
    /// Takes what came, and writes what is old enough.
    fn beat(&mut self, now_us: u64, tools: &mut Tools);
    /// Does what is wanted as of a time.
    fn obey(&mut self, wish: &Wish, at_us: u64, tools: &mut Tools);
    /// Writes everything until a time, and says what came of it all.
    fn finish(self: Box<Self>, at_us: u64, tools: &mut Tools) -> Finished;
}

impl Work for Session {
    fn beat(&mut self, now_us: u64, tools: &mut Tools) {
        self.beat(now_us, tools);
    }

    fn obey(&mut self, wish: &Wish, at_us: u64, tools: &mut Tools) {
        self.obey(wish, at_us, tools);
    }

    fn finish(self: Box<Self>, at_us: u64, tools: &mut Tools) -> Finished {
        (*self).finish(at_us, tools)
    }
}
