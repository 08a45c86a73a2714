//! How long a channel may take: to begin dialling, between two keys, and altogether (`TIMEOUT()`).
//! Above: `dialplan` reads and sets. Below: an order to the channel's own task ends a call whose time is up.

use std::time::Duration;

use tokio::{task::AbortHandle, time::Instant};

use crate::call::{channel::Channel, live::Order};

/// The time limits of one channel.
#[derive(Debug)]
pub(super) struct Timeouts {
    /// From one key to the next.
    digit: Duration,
    /// To the first key.
    response: Duration,
    absolute: Option<Absolute>,
    /// The absolute limit has passed and the script has not been told yet.
    pub(super) expired: bool,
}

/// When the call must end, and the task that says so then.
#[derive(Debug)]
struct Absolute {
    at: Instant,
    timer: AbortHandle,
}

impl Default for Timeouts {
    /// As Asterisk has them.
    fn default() -> Self {
        Self { digit: Duration::from_secs(5), response: Duration::from_secs(10), absolute: None, expired: false }
    }
}

impl Drop for Absolute {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

impl Channel {
    /// How long to wait for the next key of a number.
    pub fn digit_timeout(&self) -> Duration {
        self.timeouts.digit
    }

    /// Changes how long to wait for the next key of a number.
    pub fn set_digit_timeout(&mut self, time: Duration) {
        self.timeouts.digit = time;
    }

    /// How long to wait for the first key.
    pub fn response_timeout(&self) -> Duration {
        self.timeouts.response
    }

    /// Changes how long to wait for the first key.
    pub fn set_response_timeout(&mut self, time: Duration) {
        self.timeouts.response = time;
    }

    /// How much longer the call may last; `None` when there is no limit.
    pub fn absolute_timeout(&self) -> Option<Duration> {
        let absolute = self.timeouts.absolute.as_ref()?;
        Some(absolute.at.saturating_duration_since(Instant::now()))
    }

    /// Limits how much longer the call may last, whatever it does then; `None` lifts the limit.
    pub fn set_absolute_timeout(&mut self, time: Option<Duration>) {
        self.timeouts.absolute = time.map(|time| {
            let (at, orders) = (Instant::now() + time, self.leg.facts.orders.clone());
            let timer = tokio::spawn(async move {
                tokio::time::sleep_until(at).await;
                let _ = orders.send(Order::TimeIsUp).await;
            });
            Absolute { at, timer: timer.abort_handle() }
        });
    }

    /// The absolute limit has passed: what waits for the phone ends, though the phone is still there.
    pub fn time_is_up(&self) -> bool {
        self.timeouts.expired
    }

    /// Says once that the absolute limit has passed, and lifts it.
    pub fn take_time_is_up(&mut self) -> bool {
        let expired = std::mem::take(&mut self.timeouts.expired);
        if expired {
            self.timeouts.absolute = None;
        }
        expired
    }
}
