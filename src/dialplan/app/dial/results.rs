//! The variables that a Dial leaves behind.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::{Cause, Channel, DialStatus};

/// Everything Dial sets, so that nothing an earlier one left is taken for this one's.
const NAMES: &[&str] = &[
    "ANSWEREDTIME",
    "ANSWEREDTIME_MS",
    "DIALEDPEERNAME",
    "DIALEDPEERNUMBER",
    "DIALEDTIME",
    "DIALEDTIME_MS",
    "DIALSTATUS",
    "FORWARDERNAME",
    "PROGRESSTIME",
    "PROGRESSTIME_MS",
    "RINGTIME",
    "RINGTIME_MS",
];

pub(super) fn clear(chan: &mut Channel) {
    for name in NAMES {
        chan.set_var(name, "");
    }
}

/// Sets `NAME` in seconds and `NAME_MS` in milliseconds.
pub(super) fn set_time(chan: &mut Channel, name: &str, time: Duration) {
    chan.set_var(name, time.as_secs().to_string());
    chan.set_var(&format!("{name}_MS"), time.as_millis().to_string());
}

/// When a Dial began, and when its call was connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) began: Instant,
    pub(super) connected: Option<Instant>,
}

/// How it ended.
pub(super) fn finish(chan: &mut Channel, times: Times, status: DialStatus, cause: Cause) {
    chan.set_var("DIALSTATUS", status.word());
    chan.set_var("HANGUPCAUSE", cause.number().to_string());
    set_time(chan, "DIALEDTIME", times.began.elapsed());
    if let Some(connected) = times.connected {
        set_time(chan, "ANSWEREDTIME", connected.elapsed());
    }
}
