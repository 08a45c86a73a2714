//! Waiting for a caller to be silent or to be heard. Above: `dialplan`. Below: the media port tells when that changes.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    call::{
        channel::{Channel, Gone},
        leg::LegEvent,
    },
    media,
};

/// What can be heard of a caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Nothing.
    Silence,
    /// A sound.
    Noise,
}

impl Channel {
    /// Waits until `wanted` has lasted for `time` without a break, so many `times`; false when `limit` passes before.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn listen_for(
        &mut self,
        wanted: Heard,
        (time, times): (Duration, u32),
        limit: Option<Duration>,
    ) -> Result<bool, Gone> {
        let port = self.leg.port();
        let until = limit.map(|limit| Instant::now() + limit);
        self.exchange.media.send(media::Command::TellSound { port, on: true });
        let heard = self.hear_out(wanted, (time, times), until).await;
        self.exchange.media.send(media::Command::TellSound { port, on: false });
        self.forget_digits();
        heard
    }

    async fn hear_out(
        &mut self,
        wanted: Heard,
        (time, times): (Duration, u32),
        until: Option<Instant>,
    ) -> Result<bool, Gone> {
        let (mut now, mut since, mut left) = (Heard::Silence, Instant::now(), times);
        while left > 0 {
            let done = (now == wanted).then(|| since + time);
            let next = done.into_iter().chain(until).min();
            match self.next_event(next).await? {
                Some(LegEvent::Sound { is_loud }) => {
                    (now, since) = (if is_loud { Heard::Noise } else { Heard::Silence }, Instant::now());
                }
                Some(_) => {}
                None if done.is_some_and(|done| next == Some(done)) => {
                    since = Instant::now();
                    left -= 1;
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}
