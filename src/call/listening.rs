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

/// Why listening to what a caller has to say ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listened {
    /// He was silent for so long.
    Silence,
    /// It took so long.
    TimeOver,
    /// He pressed this key.
    Key(char),
}

impl Channel {
    /// Listens until the caller has been silent for the first time, the second is over, or a key is pressed that `ends` it;
    /// other keys are forgotten.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn listen_until(
        &mut self,
        (silence, longest): (Option<Duration>, Option<Duration>),
        ends: impl Fn(char) -> bool,
    ) -> Result<Listened, Gone> {
        let port = self.leg.port();
        self.forget_digits();
        self.exchange.media.send(media::Command::TellSound { port, on: true });
        let listened = self.hear_until((silence, longest), ends).await;
        self.exchange.media.send(media::Command::TellSound { port, on: false });
        listened
    }

    async fn hear_until(
        &mut self,
        (silence, longest): (Option<Duration>, Option<Duration>),
        ends: impl Fn(char) -> bool,
    ) -> Result<Listened, Gone> {
        let over = longest.map(|longest| Instant::now() + longest);
        let mut silent_at = silence.map(|silence| Instant::now() + silence);
        loop {
            let next = over.into_iter().chain(silent_at).min();
            match self.next_event(next).await? {
                Some(LegEvent::Sound { is_loud }) => {
                    silent_at = silence.filter(|_| !is_loud).map(|silence| Instant::now() + silence);
                }
                Some(_) => {
                    if let Some(key) = std::mem::take(&mut self.digits).into_iter().find(|key| ends(*key)) {
                        return Ok(Listened::Key(key));
                    }
                }
                None if next == over => return Ok(Listened::TimeOver),
                None => return Ok(Listened::Silence),
            }
        }
    }

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
