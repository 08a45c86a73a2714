//! The tone that reminds a party of a recording, again and again.
//! Above: `session`. Below: the media threads play it over the call; it is not recorded.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    call::{channel::next_play_id, recording::core::Core},
    media::{Command, Source, ToneStep},
};

/// 1400 Hz, half a second (ITU-T E.180 supplement 2: the recording warning tone).
const TONE: ToneStep = ToneStep { hz: [1400.0, 0.0], ms: 500, level_db: -18.0 };

/// When the next one sounds.
pub(super) struct Beat {
    every: Option<Duration>,
    at: Instant,
}

impl Beat {
    /// As its recording wishes; the first sounds at once.
    pub(super) fn of(core: &Core) -> Self {
        Self { every: core.wish.beep, at: Instant::now() }
    }

    /// Returns when it is time; never where there is to be none.
    pub(super) async fn next(&self) {
        match self.every {
            Some(_) => sleep_until(self.at).await,
            None => std::future::pending().await,
        }
    }

    /// Plays it to both parties, unless nothing is recorded just now.
    pub(super) fn sounds(&mut self, core: &Core) {
        self.at = Instant::now() + self.every.unwrap_or_default().max(Duration::from_secs(1));
        if core.leg().is_none() || !core.phase.borrow().is_recording() {
            return;
        }
        for (_, leg) in core.heard().legs() {
            let source = Source::Tones { steps: Arc::new([TONE]), repeat: false };
            core.exchange.media.send(Command::PlayOver { port: leg.port, id: next_play_id(), source });
        }
    }
}
