//! What the recorder's thread does with a recording, of whatever form. Above: `thread`. Below: `session` (samples), `kept` (packets).

use std::fmt::Debug;

use super::handle::Wish;
use super::order::Finished;
use super::session::Session;

/// A recording that runs.
pub(super) trait Work: Debug + Send {
    /// Takes what came, and writes what is old enough.
    fn beat(&mut self, now_us: u64);
    /// Does what is wanted as of a time.
    fn obey(&mut self, wish: &Wish, at_us: u64);
    /// Writes everything until a time, and says what came of it all.
    fn finish(self: Box<Self>, at_us: u64) -> Finished;
}

impl Work for Session {
    fn beat(&mut self, now_us: u64) {
        self.beat(now_us);
    }

    fn obey(&mut self, wish: &Wish, at_us: u64) {
        self.obey(wish, at_us);
    }

    fn finish(self: Box<Self>, at_us: u64) -> Finished {
        (*self).finish(at_us)
    }
}
