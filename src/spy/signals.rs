//! What ends a session from outside: Ctrl-C, SIGTERM, a terminal that is gone. Above: `session`.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::session::End;

/// The signals a session answers itself, so that what was heard is written and the terminal is as before.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.interrupt.recv() => End::Interrupted,
            _ = self.terminate.recv() => End::Terminated,
            _ = self.hangup.recv() => End::Terminated,
        }
    }
}
