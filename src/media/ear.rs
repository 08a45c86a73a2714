//! One party's speech as a steady beat of frames: its packets through a jitter buffer, the holes between them concealed.
//! Above: `tap` and `room`. Below: `rtp/jitter`, `audio/conceal`.

use super::clock::Moment;
use crate::audio::conceal::Conceal;
use crate::audio::frame::FRAME_SAMPLES;
use crate::rtp::jitter::{JitterBuffer, Run};
use crate::rtp::packet::Header;

/// One party as somebody hears it.
#[derive(Debug, Default)]
pub(super) struct Ear {
    jitter: JitterBuffer,
    conceal: Conceal,
}

impl Ear {
    /// Takes the samples of a packet.
    pub(super) fn take(&mut self, header: &Header, samples: &[i16], now: Moment) {
        self.jitter.insert(now.samples(), header, samples);
    }

    /// How long after the path without jitter its frames should be played, in samples.
    pub(super) fn wanted_delay(&self) -> i64 {
        self.jitter.wanted_delay(FRAME_SAMPLES)
    }

    /// Writes what is heard at `now`, `delay` samples behind the path without jitter.
    pub(super) fn listen(&mut self, now: Moment, delay: i64, out: &mut [i16]) {
        let conceal = &mut self.conceal;
        self.jitter.pull(now.samples(), delay, out, |run, samples| match run {
            Run::Heard => conceal.heard(samples),
            Run::Missing => conceal.fill(samples),
        });
    }

    /// Writes what might have been heard after the last frame, and forgets everything.
    pub(super) fn trail_off(&mut self, out: &mut [i16]) {
        self.conceal.fill(out);
        self.forget();
    }

    /// Changes what waits to be played, from one unwrapped time stamp to before another.
    pub(super) fn edit(&mut self, from: i64, until: i64, change: impl FnMut(i64, i16) -> i16) {
        self.jitter.edit(from, until, change);
    }

    /// Forgets everything: silence follows.
    pub(super) fn forget(&mut self) {
        self.jitter.clear();
        self.conceal.reset();
    }
}
