//! The keyboard of a leg: keys that its phone is to be seen to press, each in its time, and rows of keys that are still to be
//! pressed towards its phone.
//! Above: `leg` polls it, so that a key reaches whatever runs there. Below: `pressing` reads the rows.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    call::{channel::next_play_id, leg::LegEvent, pressing::QueuedKeys},
    media::PlayId,
};

/// Keys that may wait to be seen; more are forgotten.
const MOST_WAITING: usize = 1_024;

/// What waits to be pressed on one leg.
#[derive(Default)]
pub(super) struct Keyboard {
    /// As if the phone pressed them, in the order of their times.
    seen: VecDeque<SeenKey>,
    /// Rings when the first of them is due.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Rows towards the phone, with the length of each key in ms.
    rows: VecDeque<(String, u32)>,
    /// The row that is being pressed.
    row: Option<PlayId>,
}

/// A row that is to be pressed now.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: PlayId,
    pub(super) keys: String,
    pub(super) tone_ms: u32,
}

/// A key that is still to be seen.
#[derive(Clone, Copy, Debug)]
struct SeenKey {
    at: Instant,
    key: char,
    ms: u32,
}

impl Keyboard {
    /// Queues keys as if the phone pressed them from now on, behind those that wait already.
    pub(super) fn will_be_seen(&mut self, keys: &QueuedKeys) {
        let begin = self.seen.back().map_or_else(Instant::now, |last| last.at.max(Instant::now()));
        let room = MOST_WAITING.saturating_sub(self.seen.len());
        self.seen.extend(keys.timed().take(room).map(|(key, after, ms)| SeenKey { at: begin + after, key, ms }));
    }

    /// The key whose time has come, by a way that no relay carries on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LegEvent> {
        let Some(&SeenKey { at, key, ms }) = self.seen.front() else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        std::task::ready!(alarm.as_mut().poll(cx));
        self.alarm = None;
        self.seen.pop_front();
        Poll::Ready(LegEvent::Digit { digit: key, ms, by_info: true })
    }

    /// Presses keys towards the phone, behind those that are being pressed: the row to begin with, where none is.
    pub(super) fn press(&mut self, keys: &QueuedKeys) -> Option<Row> {
        self.rows.extend(keys.groups().map(|(keys, ms)| (keys.to_owned(), ms)));
        if self.row.is_some() { None } else { self.next_row() }
    }

    /// A row is over: the next, where it was one of these.
    pub(super) fn pressed(&mut self, id: PlayId) -> Option<Row> {
        self.row.take_if(|row| *row == id)?;
        self.next_row()
    }

    fn next_row(&mut self) -> Option<Row> {
        let (keys, tone_ms) = self.rows.pop_front()?;
        let id = next_play_id();
        self.row = Some(id);
        Some(Row { id, keys, tone_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> QueuedKeys {
        QueuedKeys::parse(text).expect("keys")
    }

    #[tokio::test(start_paused = true)]
    async fn s042_s043_keys_are_seen_in_their_time_and_later_ones_behind_earlier_ones() {
        let began = Instant::now();
        let mut keyboard = Keyboard::default();
        keyboard.will_be_seen(&keys("w1@500"));
        keyboard.will_be_seen(&keys("2"));
        for (wanted, after_ms) in [('1', 1_000), ('2', 1_100)] {
            let event = std::future::poll_fn(|cx| keyboard.poll(cx)).await;
            assert!(matches!(event, LegEvent::Digit { digit, by_info: true, .. } if digit == wanted), "{event:?}");
            assert_eq!(began.elapsed().as_millis(), after_ms, "{wanted}");
        }
    }

    #[test]
    fn each_group_of_keys_is_pressed_for_its_own_time_after_the_one_before() {
        let mut keyboard = Keyboard::default();
        let first = keyboard.press(&keys("12@80+3")).expect("a row");
        assert_eq!((first.keys.as_str(), first.tone_ms), ("12", 80));
        assert!(keyboard.press(&keys("#@40")).is_none(), "waits its turn");
        assert!(keyboard.pressed(PlayId(u64::MAX)).is_none(), "another row");
        let second = keyboard.pressed(first.id).expect("a row");
        assert_eq!((second.keys.as_str(), second.tone_ms), ("3", 100));
        let third = keyboard.pressed(second.id).expect("a row");
        assert_eq!((third.keys.as_str(), third.tone_ms), ("#", 40));
        assert!(keyboard.pressed(third.id).is_none());
    }
}
