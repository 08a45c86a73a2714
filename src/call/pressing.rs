//! Keys: pressed towards a phone, and queued as if the phone had pressed them.
//! Above: `dialplan`. Below: `channel`, the media threads.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    call::{
        channel::{Channel, Gone, next_play_id},
        leg::LegEvent,
    },
    media::{self, PlayId, PortId},
};

/// How long a row of keys may take before the call goes on all the same.
const KEYS_TIME: Duration = Duration::from_secs(60);
/// How long a key is pressed, and the time to the next, where neither is said, ms.
const KEY_MS: u32 = 100;
/// The longest a queued key may be pressed, ms.
const LONGEST_MS: u32 = 8_000;
/// Time between queued keys, ms.
const GAP_MS: u32 = 100;
/// Keys in one queue.
const MOST_KEYS: usize = 128;

/// Keys that a channel will be seen to have pressed: `w1@500`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedKeys {
    keys: String,
    tone_ms: u32,
}

impl QueuedKeys {
    /// Reads keys with pauses (`w` half a second, `W` one) and, behind `@`, how long each is pressed in ms.
    pub fn parse(text: &str) -> Option<Self> {
        let (keys, tone_ms) = match text.split_once('@') {
            Some((keys, ms)) => (keys, ms.parse().ok().filter(|ms| (1..=LONGEST_MS).contains(ms))?),
            None => (text, KEY_MS),
        };
        let known = |key: char| key.is_ascii_digit() || "*#ABCDabcdwW".contains(key);
        let fits = !keys.is_empty() && keys.len() <= MOST_KEYS && keys.chars().all(known);
        fits.then(|| Self { keys: keys.to_owned(), tone_ms })
    }

    /// Each key, how long after the beginning it has been pressed, and how long it was held, ms.
    fn timed(&self) -> impl Iterator<Item = (char, Duration, u32)> {
        let mut at_ms = 0_u64;
        self.keys.chars().filter_map(move |key| match key {
            'w' | 'W' => {
                at_ms += if key == 'w' { 500 } else { 1_000 };
                None
            }
            key => {
                let end_ms = at_ms + u64::from(self.tone_ms);
                at_ms = end_ms + u64::from(GAP_MS);
                Some((key.to_ascii_uppercase(), Duration::from_millis(end_ms), self.tone_ms))
            }
        })
    }
}

/// A key that is still to be seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueuedKey {
    pub(super) at: Instant,
    key: char,
    ms: u32,
}

impl QueuedKey {
    /// As if it came from the phone, by a way that no relay carries on.
    pub(super) fn event(self) -> LegEvent {
        LegEvent::Digit { digit: self.key, ms: self.ms, by_info: true }
    }
}

impl Channel {
    /// Queues keys as if the phone pressed them from now on.
    pub fn queue_keys(&mut self, keys: &QueuedKeys) {
        let begin = self.queued.back().map_or_else(Instant::now, |last| last.at.max(Instant::now()));
        self.queued.extend(keys.timed().map(|(key, after, ms)| QueuedKey { at: begin + after, key, ms }));
    }

    /// Presses keys towards the phone (`w` waits half a second, `W` a second), and waits until they are pressed.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn press(&mut self, keys: &str) -> Result<(), Gone> {
        self.press_for(keys, KEY_MS, KEY_MS).await
    }

    /// As [`Self::press`], each key for `tone_ms` and with `gap_ms` between them.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn press_for(&mut self, keys: &str, tone_ms: u32, gap_ms: u32) -> Result<(), Gone> {
        let id = self.send_keys(self.leg.port(), keys, (tone_ms, gap_ms));
        let pressed = async {
            loop {
                match self.next_event(None).await? {
                    Some(LegEvent::Played(done)) if done == id => return Ok(()),
                    _ => {}
                }
            }
        };
        timeout(KEYS_TIME, pressed).await.unwrap_or(Ok(()))
    }

    /// Presses keys towards the phone beside what the script does.
    pub fn start_pressing(&self, keys: &str) {
        self.send_keys(self.leg.port(), keys, (KEY_MS, KEY_MS));
    }

    /// Presses keys towards the phone of another channel, by its name; false when there is none.
    pub fn press_elsewhere(&self, name: &str, keys: &str, times_ms: (u32, u32)) -> bool {
        let legs = self.exchange.live.calls().into_iter().flat_map(|call| call.legs());
        let Some(leg) = legs.into_iter().find(|leg| leg.name == name) else { return false };
        self.send_keys(leg.port, keys, times_ms);
        true
    }

    fn send_keys(&self, port: PortId, keys: &str, (tone_ms, gap_ms): (u32, u32)) -> PlayId {
        let id = next_play_id();
        self.exchange.media.send(media::Command::SendDigits { port, id, digits: keys.into(), tone_ms, gap_ms });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(text: &str) -> Option<Vec<(char, u128)>> {
        Some(QueuedKeys::parse(text)?.timed().map(|(key, after, _)| (key, after.as_millis())).collect())
    }

    #[test]
    fn s042_s043_queued_keys_come_in_their_time() {
        assert_eq!(timed("w1@500"), Some(vec![('1', 1_000)]), "half a second, then one key of half a second");
        assert_eq!(timed("W2w#"), Some(vec![('2', 1_100), ('#', 1_800)]));
        assert_eq!(timed("12a"), Some(vec![('1', 100), ('2', 300), ('A', 500)]));
    }

    #[test]
    fn what_is_no_row_of_keys_is_none() {
        for text in ["", "x", "1@", "1@0", "1@x", "1@99999", "@500", "1 2"] {
            assert_eq!(QueuedKeys::parse(text), None, "{text}");
        }
    }
}
