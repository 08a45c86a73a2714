//! Keys: pressed towards a phone, and queued as if the phone had pressed them.
//! Above: `dialplan`, the control socket. Below: `channel`, `keyboard`, the media threads.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    call::{
        channel::{Channel, Gone, next_play_id},
        leg::LegEvent,
    },
    media::{self, PlayId, PortId},
};

/// How long a row of keys may take before the call goes on all the same.
const KEYS_TIME: Duration = Duration::from_secs(60);
/// How long a key is pressed where it is not said, ms.
const KEY_MS: u32 = 100;
/// The longest a queued key may be pressed, ms.
const LONGEST_MS: u32 = 8_000;
/// Time between keys where it is not said, ms.
pub(super) const GAP_MS: u32 = 100;
/// Keys in one queue.
const MOST_KEYS: usize = 128;

/// Keys that are to be pressed, in groups: `w1@500`, `12+3@40`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedKeys {
    /// Each with the length of its keys, in ms.
    groups: Vec<(String, u32)>,
}

impl QueuedKeys {
    /// Reads keys with pauses (`w` half a second, `W` one) and, behind `@`, how long each of the group is pressed in ms; `+`
    /// begins a further group. A `~` in front, by which FreeSWITCH asks for its own bindings of keys, changes nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('~').unwrap_or(text);
        let groups = text.split('+').map(group).collect::<Option<Vec<_>>>()?;
        let count: usize = groups.iter().map(|(keys, _)| keys.len()).sum();
        (count <= MOST_KEYS).then_some(Self { groups })
    }

    /// The groups, each with the length of its keys in ms.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&str, u32)> {
        self.groups.iter().map(|(keys, ms)| (keys.as_str(), *ms))
    }

    /// Each key, how long after the beginning it has been pressed, and how long it was held, ms.
    pub(super) fn timed(&self) -> impl Iterator<Item = (char, Duration, u32)> {
        let mut at_ms = 0_u64;
        let keys = self.groups().flat_map(|(keys, ms)| keys.chars().map(move |key| (key, ms)));
        keys.filter_map(move |(key, tone_ms)| match key {
            'w' | 'W' => {
                at_ms += if key == 'w' { 500 } else { 1_000 };
                None
            }
            key => {
                let end_ms = at_ms + u64::from(tone_ms);
                at_ms = end_ms + u64::from(GAP_MS);
                Some((key.to_ascii_uppercase(), Duration::from_millis(end_ms), tone_ms))
            }
        })
    }
}

/// One group: `w12@500`.
fn group(text: &str) -> Option<(String, u32)> {
    let (keys, tone_ms) = match text.split_once('@') {
        Some((keys, ms)) => (keys, ms.parse().ok().filter(|ms| (1..=LONGEST_MS).contains(ms))?),
        None => (text, KEY_MS),
    };
    let known = |key: char| key.is_ascii_digit() || "*#ABCDabcdwW".contains(key);
    (!keys.is_empty() && keys.chars().all(known)).then(|| (keys.to_owned(), tone_ms))
}

impl Channel {
    /// Queues keys as if the phone pressed them from now on.
    pub fn queue_keys(&mut self, keys: &QueuedKeys) {
        self.leg.keyboard.will_be_seen(keys);
    }

    /// Presses keys towards the phone (`w` waits half a second, `W` a second), and waits until they are pressed.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn press(&mut self, keys: &str) -> Result<(), Gone> {
        self.press_for(keys, KEY_MS, GAP_MS).await
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
        self.send_keys(self.leg.port(), keys, (KEY_MS, GAP_MS));
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
        assert_eq!(timed("~1@50+w2"), Some(vec![('1', 50), ('2', 750)]), "each group has its own length");
        assert_eq!(timed("12a"), Some(vec![('1', 100), ('2', 300), ('A', 500)]));
    }

    #[test]
    fn what_is_no_row_of_keys_is_none() {
        for text in ["", "x", "1@", "1@0", "1@x", "1@99999", "@500", "1 2", "1+", "+1", "1~", "~"] {
            assert_eq!(QueuedKeys::parse(text), None, "{text}");
        }
    }
}
