//! Timers of the SIP stack: their names, their lengths and the queue of deadlines (RFC 3261 §17 table 4).
//! Above: transactions and sessions start and cancel them. Below: `stack` asks for the next deadline. Time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Every timer of the stack; each says when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Timer {
    /// When to send an unanswered INVITE again: T1, doubled each time.
    A,
    /// When to give up on any response to an INVITE: 64·T1.
    B,
    /// When to forget an INVITE that was refused: 64·T1, nothing over TCP.
    D,
    /// When to send an unanswered request again: T1, doubled up to T2.
    E,
    /// When to give up on the final response to a request: 64·T1.
    F,
    /// When to send a refusal again that has no ACK yet: T1, doubled up to T2.
    G,
    /// When to give up on the ACK of a refusal: 64·T1.
    H,
    /// When to stop absorbing ACKs: T4, nothing over TCP.
    I,
    /// When to stop answering repeats of a request: 64·T1, nothing over TCP.
    J,
    /// When to stop absorbing repeats of a final response: T4, nothing over TCP.
    K,
    /// When to stop absorbing repeats of an INVITE that was accepted: 64·T1 (RFC 6026 §7.1).
    L,
    /// When to stop passing up repeats of a 2xx to an INVITE: 64·T1 (RFC 6026 §7.2).
    M,
    /// When to send a 2xx again that has no ACK yet: T1, doubled up to T2 (§13.3.1.4).
    Answer,
    /// When to give up on the ACK of a 2xx: 64·T1 (§13.3.1.4).
    AwaitAck,
    /// When to send a reliable 18x again: T1, doubled each time (RFC 3262 §3).
    Reliable,
    /// When to give up on the PRACK of a reliable 18x: 64·T1 (RFC 3262 §3).
    AwaitPrack,
    /// When to repeat the last 18x so that no proxy gives up: every minute (§13.3.1.1).
    KeepRinging,
    /// When an INVITE with an Expires header is over (§13.3.1).
    Expires,
    /// When a cancelled INVITE is over though no final response came: 64·T1 (§9.1).
    Cancelled,
    /// When to offer again after a 491 (§14.1).
    Glare,
}

/// The three base times of RFC 3261 §17.1.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Estimate of the round trip: the first pause before a repeat.
    pub t1: Duration,
    /// The longest pause between repeats of a request or of a 2xx.
    pub t2: Duration,
    /// How long a message may stay in the network.
    pub t4: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Times {
    /// How long everything is tried before giving up: 64·T1.
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }

    /// The first length of a timer of a transaction or session.
    pub(crate) fn length(&self, timer: Timer) -> Duration {
        match timer {
            Timer::A | Timer::E | Timer::G | Timer::Answer | Timer::Reliable => self.t1,
            Timer::I | Timer::K => self.t4,
            Timer::KeepRinging => Duration::from_secs(60),
            _ => self.give_up(),
        }
    }

    /// The pause after one of `length`: doubled, and held at T2 where the RFC says so.
    pub(crate) fn longer(&self, timer: Timer, length: Duration) -> Duration {
        match timer {
            Timer::E | Timer::G | Timer::Answer => (length * 2).min(self.t2),
            _ => length * 2,
        }
    }
}

/// Names a started timer; needed to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token {
    at: Instant,
    serial: u64,
}

/// All running timers, ordered by deadline; starting, cancelling and firing cost O(log n).
#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BTreeMap<Token, T>,
    serial: u64,
}

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        Self { due: BTreeMap::new(), serial: 0 }
    }

    pub(crate) fn start(&mut self, at: Instant, what: T) -> Token {
        self.serial += 1;
        let token = Token { at, serial: self.serial };
        self.due.insert(token, what);
        token
    }

    /// Empties the slot and cancels the timer in it, if there is one.
    pub(crate) fn cancel(&mut self, slot: &mut Option<Token>) {
        if let Some(token) = slot.take() {
            self.due.remove(&token);
        }
    }

    /// Takes the earliest timer that is due at `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        let entry = self.due.first_entry()?;
        (entry.key().at <= now).then(|| entry.remove())
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|(token, _)| token.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_the_order_of_their_deadlines() {
        let start = Instant::now();
        let mut timers = Timers::new();
        timers.start(start + Duration::from_secs(2), "second");
        timers.start(start + Duration::from_secs(1), "first");
        assert_eq!(timers.next(), Some(start + Duration::from_secs(1)));
        assert_eq!(timers.pop(start), None);
        let later = start + Duration::from_secs(3);
        assert_eq!((timers.pop(later), timers.pop(later), timers.pop(later)), (Some("first"), Some("second"), None));
    }

    #[test]
    fn a_cancelled_timer_leaves_no_deadline_behind() {
        let start = Instant::now();
        let mut timers = Timers::new();
        let mut slot = Some(timers.start(start, ()));
        timers.cancel(&mut slot);
        assert_eq!((slot, timers.next(), timers.pop(start)), (None, None, None));
    }

    #[test]
    fn a_doubles_without_end_and_e_stops_at_t2() {
        let times = Times::default();
        assert_eq!(times.longer(Timer::A, Duration::from_secs(8)), Duration::from_secs(16));
        assert_eq!(times.longer(Timer::E, Duration::from_secs(4)), Duration::from_secs(4));
        assert_eq!(times.length(Timer::B), Duration::from_secs(32));
    }
}
