//! The bridge between two answered legs: connected until either side hangs up, each with its own dialog.
//! Above: the dialplan's Dial. Below: media joins the ports; nothing of one leg's SIP reaches the other.

use std::{sync::Arc, task::Poll, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::{
    call::{
        cause::Cause,
        channel::{CallerId, Channel, next_play_id},
        exchange::Exchange,
        leg::{Leg, LegEvent},
        live::{CallFacts, LegFacts, LegState, Order},
        talks::Side as Party,
    },
    media,
};

/// One of the two parties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The one that called.
    Caller,
    /// The one that answered.
    Callee,
}

/// What interrupts a bridge besides its end.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Keys of the caller.
    pub caller_keys: String,
    /// Keys of the called party.
    pub callee_keys: String,
    /// A moment.
    pub until: Option<Instant>,
}

/// How a bridge ended, or why it is interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BridgeEnd {
    /// The caller hung up.
    CallerGone,
    /// The called party hung up.
    CalleeGone(Cause),
    /// Neither phone sends anything any more.
    BothSilent,
    /// A party pressed a key that is watched for.
    Key(Side, char),
    /// The moment has come.
    TimeOver,
}

impl Channel {
    /// Notes that this party and the called one are going to talk.
    pub fn begins_talk(&mut self, callee: &Self) {
        self.forget_digits();
        self.about.connected = CallerId { name: String::new(), number: callee.called_number().to_owned() };
        self.exchange.journal.note(
            "call.bridged",
            json!({"uuid": self.call.uuid, "a": self.leg.facts.uuid, "b": callee.leg.facts.uuid}),
        );
    }

    /// Lets both hear each other until one is gone, or something is watched for.
    pub async fn talk_with(&mut self, callee: &mut Self, watch: &Watch) -> BridgeEnd {
        if self.still_here().is_err() {
            return BridgeEnd::CallerGone;
        }
        if callee.still_here().is_err() {
            return BridgeEnd::CalleeGone(callee.cause());
        }
        let together = Together::begin(self, callee);
        let end = serve_both(self, callee, watch).await;
        if matches!(end, BridgeEnd::CalleeGone(_)) && callee.is_gone() {
            self.about.hangup_source = callee.name().to_owned();
        }
        // Whoever was sent elsewhere goes there at once: it waits for no supervisor of the other one.
        let is_sent = self.is_leaving() || callee.is_leaving();
        let goes_on = if is_sent { None } else { together.goes_on_with_supervisor(end) };
        drop(together);
        if !matches!(end, BridgeEnd::Key(..) | BridgeEnd::TimeOver) {
            self.exchange.clone().recorded_talk_ends(&[&self.leg.facts, &callee.leg.facts]).await;
        }
        for party in [&*self, &*callee] {
            match end {
                // They may go on talking, held as before.
                BridgeEnd::Key(..) | BridgeEnd::TimeOver => self.exchange.pause_hold(&party.leg.facts),
                _ => party.ends_hold(),
            }
        }
        match goes_on {
            Some(Side::Caller) => serve_supervised(self).await,
            Some(Side::Callee) => serve_supervised(callee).await,
            None => {}
        }
        if self.still_here().is_err() { BridgeEnd::CallerGone } else { end }
    }

    /// Ends what joins this party's sound with another's.
    pub fn part(&self) {
        self.exchange.media.send(media::Command::Part { port: self.leg.port() });
    }

    /// Hangs up this party's phone; what is left is its record.
    pub fn ends_line(&mut self, cause: Cause) {
        self.gone.get_or_insert(cause);
        self.leg.hangup(cause);
    }
}

/// Two legs that hear each other, as long as this lives: those who supervise them are where they belong before anything is heard.
struct Together {
    exchange: Arc<Exchange>,
    call: Arc<CallFacts>,
    caller: Arc<LegFacts>,
    callee: Arc<LegFacts>,
}

impl Together {
    fn begin(caller: &Channel, callee: &Channel) -> Self {
        let [a, b] = [caller, callee].map(|channel| channel.leg.facts.clone());
        let exchange = caller.exchange.clone();
        exchange.spies.let_go(&[&a, &b]);
        exchange.media.send(media::Command::Join { a: a.port, b: b.port });
        exchange.hold_anew(&a);
        exchange.hold_anew(&b);
        caller.call.set_bridged(Some((a.clone(), b.clone())));
        a.talks_with(&b, Party::A);
        b.talks_with(&a, Party::B);
        a.agrees_with(&b);
        exchange.spies.settle(&[&a, &b]);
        exchange.recordings.settle(&[&a, &b]);
        exchange.talk_begins((&caller.call, caller.linked_id()), [&a, &b]);
        exchange.live.note_change();
        Self { exchange, call: caller.call.clone(), caller: a, callee: b }
    }

    /// The side that stays when the other has left it with a supervisor.
    fn goes_on_with_supervisor(&self, end: BridgeEnd) -> Option<Side> {
        let (leaver, stayer, side) = match end {
            BridgeEnd::CallerGone => (&self.caller, &self.callee, Side::Callee),
            BridgeEnd::CalleeGone(_) => (&self.callee, &self.caller, Side::Caller),
            _ => return None,
        };
        self.exchange.goes_on_with_supervisor(leaver, stayer).then_some(side)
    }
}

impl Drop for Together {
    /// A task that is aborted parts them too.
    fn drop(&mut self) {
        let Self { exchange, call, caller, callee } = self;
        call.set_bridged(None);
        caller.talks_with_nobody();
        callee.talks_with_nobody();
        exchange.spies.settle(&[caller, callee]);
        exchange.recordings.settle(&[caller, callee]);
        exchange.media.send(media::Command::Part { port: caller.port });
        exchange.live.note_change();
        caller.speaks_alone();
        callee.speaks_alone();
    }
}

/// Serves a party whose agent has left, until it or the last supervisor leaves as well.
async fn serve_supervised(stayer: &mut Channel) {
    let exchange = stayer.exchange.clone();
    let mut changes = exchange.spies.changes();
    while stayer.still_here().is_ok() && exchange.is_kept_by_supervisor(&stayer.leg.facts) {
        tokio::select! {
            event = stayer.leg.next() => {
                let _ = stayer.take(event);
            }
            _ = changes.changed() => {}
        }
    }
    stayer.forget_digits();
}

enum Step {
    Caller(LegEvent),
    Callee(LegEvent),
    TimeOver,
}

/// Serves both legs until something ends or interrupts the bridge.
async fn serve_both(caller: &mut Channel, callee: &mut Channel, watch: &Watch) -> BridgeEnd {
    let patience = caller.exchange.settings.load().media.rtp_timeout;
    let mut silence = Silence::default();
    loop {
        let event = step(caller, callee, watch.until).await;
        let who = match &event {
            Step::Caller(LegEvent::Silent) => 0,
            Step::Callee(LegEvent::Silent) => 1,
            _ => match serve(caller, callee, event, watch) {
                Some(end) => return end,
                None => continue,
            },
        };
        // Whose phone holds sends nothing; whom this server holds goes on sending.
        let held = [&caller.leg, &callee.leg].map(|l| l.facts.now().state == LegState::Held);
        if silence.both(who, held, patience) {
            return BridgeEnd::BothSilent;
        }
    }
}

async fn step(caller: &mut Channel, callee: &mut Channel, until: Option<Instant>) -> Step {
    let next = std::future::poll_fn(|cx| {
        if let Poll::Ready(event) = caller.leg.poll_next(cx) {
            return Poll::Ready(Step::Caller(event));
        }
        callee.leg.poll_next(cx).map(Step::Callee)
    });
    match until {
        Some(until) => tokio::select! {
            biased;
            step = next => step,
            () = sleep_until(until) => Step::TimeOver,
        },
        None => next.await,
    }
}

/// Does what an event asks for.
fn serve(caller: &mut Channel, callee: &mut Channel, step: Step, watch: &Watch) -> Option<BridgeEnd> {
    match step {
        Step::TimeOver => return Some(BridgeEnd::TimeOver),
        Step::Caller(LegEvent::Digit { digit, .. }) if watch.caller_keys.contains(digit) => {
            return Some(BridgeEnd::Key(Side::Caller, digit));
        }
        Step::Callee(LegEvent::Digit { digit, .. }) if watch.callee_keys.contains(digit) => {
            return Some(BridgeEnd::Key(Side::Callee, digit));
        }
        Step::Caller(LegEvent::Digit { digit, ms, by_info }) => {
            pass(caller, &callee.leg, &Key { digit, ms, by_info });
        }
        Step::Callee(LegEvent::Digit { digit, ms, by_info }) => {
            pass(caller, &caller.leg, &Key { digit, ms, by_info });
        }
        Step::Caller(LegEvent::Order(Order::Leave(order))) => {
            return caller.leaves(order, Some(callee)).then_some(BridgeEnd::CallerGone);
        }
        Step::Callee(LegEvent::Order(Order::Leave(order))) => {
            let leaves = callee.leaves(order, Some(caller));
            let end = if caller.is_leaving() { BridgeEnd::CallerGone } else { BridgeEnd::CalleeGone(Cause::NORMAL) };
            return leaves.then_some(end);
        }
        Step::Caller(LegEvent::Order(Order::Hold(done))) => caller.is_held_by_order(done),
        Step::Callee(LegEvent::Order(Order::Hold(done))) => callee.is_held_by_order(done),
        Step::Caller(LegEvent::Order(Order::Unhold(done))) => caller.is_taken_back(done),
        Step::Callee(LegEvent::Order(Order::Unhold(done))) => callee.is_taken_back(done),
        Step::Caller(event) => {
            if caller.take(event).is_err() {
                return Some(BridgeEnd::CallerGone);
            }
        }
        Step::Callee(event) => {
            if callee.take(event).is_err() {
                return Some(BridgeEnd::CalleeGone(callee.cause()));
            }
        }
    }
    None
}

/// Which sides have lately been reported silent.
#[derive(Default)]
struct Silence {
    since: [Option<Instant>; 2],
}

impl Silence {
    /// Notes that side `who` is silent; true when the other is too, or is on hold and so sends nothing.
    fn both(&mut self, who: usize, held: [bool; 2], patience: Duration) -> bool {
        let now = Instant::now();
        self.since[who] = Some(now);
        let other = 1 - who;
        // The report is repeated while the silence lasts, so an older one has been broken since.
        held[other] || self.since[other].is_some_and(|at| now - at < patience + patience / 2)
    }
}

struct Key {
    digit: char,
    ms: u32,
    by_info: bool,
}

/// Carries a key on to `to`: events travel in the relayed stream by themselves; a key by INFO, or for a phone that takes no
/// events, is pressed anew (there as a tone).
fn pass(channel: &Channel, to: &Leg, key: &Key) {
    if key.by_info || !to.takes_telephone_event() {
        channel.exchange.media.send(media::Command::SendDigits {
            port: to.port(),
            id: next_play_id(),
            digits: key.digit.to_string(),
            tone_ms: key.ms,
            gap_ms: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_silent_side_is_no_end_two_are() {
        let patience = Duration::from_secs(60);
        let mut silence = Silence::default();
        assert!(!silence.both(0, [false, false], patience));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(!silence.both(1, [false, false], patience), "the first side's report is old: it spoke since");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(silence.both(0, [false, false], patience));
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_on_hold_counts_as_silent() {
        let mut silence = Silence::default();
        assert!(!silence.both(0, [true, false], Duration::from_secs(60)));
        assert!(silence.both(0, [false, true], Duration::from_secs(60)));
    }
}
