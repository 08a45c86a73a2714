//! `ChanSpy`, `ExtenSpy` and the supervision codes at a phone: who hears whom, by which letter, key or code, and who is refused.

mod codes;
mod document;
mod keys;
mod letters;

use std::time::Duration;

use tokio::time::{Instant, interval};
use wirechief::evidence::{Entry, Event, Wanted, read};

use crate::harness::{Call, PATIENCE, Phone, TestPbx, Tone, Unusual};

/// Carol has this right.
pub(crate) fn carol_may(right: &'static str) -> Unusual {
    Unusual { user_keys: vec![("carol", right)], ..Unusual::default() }
}

pub(crate) const MAY_LISTEN: &str = "may_spy = \"listen\"";
const MAY_WHISPER: &str = "may_spy = \"whisper\"";
const MAY_BARGE: &str = "may_spy = \"barge\"";

/// Carol's phone dials, and speaks.
async fn dials(pbx: &TestPbx, number: &str) -> (Phone, Call) {
    let phone = pbx.phone("carol").await;
    let mut call = phone.invite(number).await;
    call.expects([200]).await.ack().await.says(Tone::Supervisor).await;
    (phone, call)
}

/// The entries of one kind in the log, once there are so many.
async fn on_record(pbx: &TestPbx, event: Event, count: usize) -> Vec<Entry> {
    let path = pbx.pbx.exchange().evidence.path().to_owned();
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
    loop {
        beat.tick().await;
        let mut entries = Vec::new();
        read(&path, &Wanted::default(), |record| {
            entries.push(record.entry);
            true
        })
        .expect("the log");
        entries.retain(|entry| entry.event == event);
        if entries.len() >= count {
            return entries;
        }
        assert!(Instant::now() < end, "{entries:#?}");
    }
}

/// Why refusals in the log were refused, in a word.
fn reasons(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.why.split(':').next().unwrap_or_default()).collect()
}

/// Which of customer and agent hears the supervisor.
const NOBODY: [bool; 2] = [false, false];
const AGENT: [bool; 2] = [false, true];
const EVERYBODY: [bool; 2] = [true, true];
