//! Outgoing legs: one is placed on each route, the first answer wins, the others are cancelled.
//! Above: `Channel::dial` and `originate`. Below: `route` says where, `place` sends, `leg` is told what.

use std::{task::Poll, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    call::{
        b2bua,
        cause::{Cause, DialStatus},
        channel::{Channel, Gone, next_play_id},
        ending::leg_record,
        leg::{Leg, LegEvent},
        live::Order,
        place::place,
        route,
    },
    media::{self, PortId, Source, ToneStep},
};

/// What `Dial()` asks for.
#[derive(Clone, Debug, Default)]
pub struct Dial {
    /// `SIP/1002`, …; all ring at once.
    pub targets: Vec<String>,
    /// Give up after this long without an answer; `None` means never.
    pub timeout: Option<Duration>,
    /// Keys sent to the called phone after it answered, before the bridge (`w` waits 0.5 s).
    pub send_called: String,
    /// Keys sent to the calling phone at the same time.
    pub send_calling: String,
    /// Keys sent to the called phone when its early media begins.
    pub send_progress: String,
    /// The caller hears a ringing tone instead of the far side's early media.
    pub ringing: Ringback,
    /// What the losers are told when the caller hangs up.
    pub cancel_as: CancelAs,
}

/// Whether early media is let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ringback {
    /// The far side's early media, if any.
    #[default]
    FarSide,
    /// A tone of ours until the answer (option `r`).
    Ours,
}

/// What called phones are told when the caller gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CancelAs {
    /// A missed call.
    #[default]
    Missed,
    /// Not a missed call: answered elsewhere (option `c`).
    AnsweredElsewhere,
}

/// How a dial went.
#[derive(Clone, Debug)]
pub struct Dialled {
    /// The word of DIALSTATUS.
    pub status: DialStatus,
    /// Q.850.
    pub cause: Cause,
    /// From answer to hang-up.
    pub answered_for: Duration,
    /// From dialling to the end.
    pub dialled_for: Duration,
    /// The called phone hung up first.
    pub ended_by_callee: bool,
    /// The channel name of the phone that answered, or of the last one tried.
    pub peer_name: String,
    /// The number that was called there.
    pub peer_number: String,
}

impl Dialled {
    fn failed(cause: Cause, began: Instant) -> Self {
        Self {
            status: DialStatus::from_cause(cause),
            cause,
            answered_for: Duration::ZERO,
            dialled_for: began.elapsed(),
            ended_by_callee: false,
            peer_name: String::new(),
            peer_number: String::new(),
        }
    }
}

/// How the ringing of all phones ended.
enum Ringing {
    Answered(Box<Leg>),
    Nobody(Cause),
    CallerGone,
}

impl Channel {
    /// Calls every target at once and, when one answers, connects it until either side hangs up.
    ///
    /// # Errors
    /// The calling phone has hung up.
    pub async fn dial(&mut self, dial: Dial) -> Result<Dialled, Gone> {
        self.still_here()?;
        let began = Instant::now();
        let mut legs = Vec::new();
        let mut cause = Cause::NO_ROUTE;
        for target in &dial.targets {
            match self.place_all(target).await {
                Ok(placed) => legs.extend(placed),
                Err(refused) => cause = refused,
            }
        }
        if legs.is_empty() {
            return Ok(Dialled::failed(cause, began));
        }
        let mut wait = Wait { dial: &dial, until: dial.timeout.map(|t| began + t), early: None, tone: false };
        let ended = wait.run(self, &mut legs).await;
        self.stop_playing();
        let losers = match ended {
            Ringing::Answered(_) => Cause::ANSWERED_ELSEWHERE,
            Ringing::CallerGone if dial.cancel_as == CancelAs::AnsweredElsewhere => Cause::ANSWERED_ELSEWHERE,
            _ => Cause::NORMAL,
        };
        for leg in legs {
            self.drop_leg(leg, losers);
        }
        match ended {
            Ringing::Answered(leg) => b2bua::connect(self, *leg, &dial, began).await,
            Ringing::Nobody(cause) => Ok(Dialled::failed(cause, began)),
            Ringing::CallerGone => Err(Gone),
        }
    }

    /// Places one leg on every route of a target.
    async fn place_all(&mut self, target: &str) -> Result<Vec<Leg>, Cause> {
        let routes = route::find(&self.exchange, target).await?;
        let mut legs = Vec::new();
        let mut refused = Cause::NO_ROUTE;
        for route in routes {
            match place(&self.exchange, route, &self.calling()) {
                Ok(leg) => {
                    self.exchange.live.add_leg(&self.call, leg.facts.clone());
                    legs.push(leg);
                }
                Err(cause) => refused = cause,
            }
        }
        if legs.is_empty() { Err(refused) } else { Ok(legs) }
    }

    /// Ends a leg of this call and keeps its part of the record when it had been answered.
    pub(super) fn drop_leg(&mut self, mut leg: Leg, cause: Cause) {
        leg.hangup(cause);
        let closing = leg.close();
        if leg.facts.now().answered.is_some() {
            self.ended_legs.push((leg_record(&leg.facts, cause), closing));
        }
        self.exchange.live.drop_leg(&self.call, &leg.facts);
    }
}

/// What goes on while phones ring.
struct Wait<'a> {
    dial: &'a Dial,
    until: Option<Instant>,
    /// The leg whose early media the caller hears.
    early: Option<PortId>,
    /// An answered caller hears our ringing tone.
    tone: bool,
}

/// Something that happened while phones ring.
enum Step {
    Caller(LegEvent),
    Called(usize, LegEvent),
    TimeOver,
}

impl Wait<'_> {
    async fn run(&mut self, channel: &mut Channel, legs: &mut Vec<Leg>) -> Ringing {
        if self.dial.ringing == Ringback::Ours && !self.ring(channel) {
            return Ringing::CallerGone;
        }
        let mut refusals = Vec::new();
        loop {
            match self.step(channel, legs).await {
                Step::TimeOver => return Ringing::Nobody(Cause::NO_ANSWER),
                Step::Caller(LegEvent::Silent) => {}
                Step::Caller(event) => {
                    if channel.take(event).is_err() {
                        return Ringing::CallerGone;
                    }
                }
                Step::Called(at, LegEvent::Answered) => return Ringing::Answered(Box::new(legs.swap_remove(at))),
                Step::Called(at, LegEvent::Progress { media }) => {
                    if !self.progress(channel, &legs[at], media) {
                        return Ringing::CallerGone;
                    }
                }
                Step::Called(at, LegEvent::Refused(cause) | LegEvent::Gone(cause)) => {
                    refusals.push(cause);
                    if self.early == Some(legs[at].port()) {
                        self.early = None;
                    }
                    let leg = legs.swap_remove(at);
                    channel.drop_leg(leg, cause);
                    if legs.is_empty() {
                        return Ringing::Nobody(best(&refusals));
                    }
                }
                Step::Called(at, LegEvent::Order(Order::Hangup(cause))) => {
                    refusals.push(cause);
                    let leg = legs.swap_remove(at);
                    channel.drop_leg(leg, cause);
                    if legs.is_empty() {
                        return Ringing::Nobody(Cause::NO_ANSWER);
                    }
                }
                Step::Called(_, LegEvent::Order(Order::Describe(reply))) => {
                    let _ = reply.send(channel.describe());
                }
                Step::Called(..) => {}
            }
        }
    }

    async fn step(&self, channel: &mut Channel, legs: &mut [Leg]) -> Step {
        let next = std::future::poll_fn(|cx| {
            if let Poll::Ready(event) = channel.leg.poll_next(cx) {
                return Poll::Ready(Step::Caller(event));
            }
            for (at, leg) in legs.iter_mut().enumerate() {
                if let Poll::Ready(event) = leg.poll_next(cx) {
                    return Poll::Ready(Step::Called(at, event));
                }
            }
            Poll::Pending
        });
        match self.until {
            Some(until) => tokio::select! {
                biased;
                step = next => step,
                () = sleep_until(until) => Step::TimeOver,
            },
            None => next.await,
        }
    }

    /// A called phone said something: ringing, or early media. False when the caller cannot be told any more.
    fn progress(&mut self, channel: &mut Channel, leg: &Leg, media: bool) -> bool {
        if !media || self.dial.ringing == Ringback::Ours || self.early.is_some() {
            return self.early.is_some() || self.ring(channel);
        }
        channel.stop_playing();
        self.early = Some(leg.port());
        if !channel.leg.is_up()
            && let Err(cause) = channel.leg.progress(leg.codec())
        {
            channel.refuse(cause);
            return false;
        }
        channel.exchange.media.send(media::Command::Join { a: channel.leg.port(), b: leg.port() });
        if !self.dial.send_progress.is_empty() {
            channel.exchange.media.send(send_digits(leg.port(), &self.dial.send_progress));
        }
        true
    }

    /// The caller learns that it rings: by 180, or by tone when it is answered already.
    fn ring(&mut self, channel: &mut Channel) -> bool {
        if !channel.leg.is_up() {
            channel.leg.ring();
        } else if !std::mem::replace(&mut self.tone, true) {
            channel.start_playing(ringing_tone());
        }
        channel.still_here().is_ok()
    }
}

/// The command that sends a string of keys to a phone, 100 ms each with 100 ms between.
pub(super) fn send_digits(port: PortId, digits: &str) -> media::Command {
    media::Command::SendDigits { port, id: next_play_id(), digits: digits.into(), tone_ms: 100, gap_ms: 100 }
}

/// The ringing tone of North America: 440 + 480 Hz, two seconds on, four off.
fn ringing_tone() -> Source {
    let steps = [
        ToneStep { hz: [440.0, 480.0], ms: 2000, level_db: -19.0 },
        ToneStep { hz: [0.0, 0.0], ms: 4000, level_db: -90.0 },
    ];
    Source::Tones { steps: steps.into(), repeat: true }
}

/// What all refusals together mean: the one that says most about a person wins over those about the network.
fn best(refusals: &[Cause]) -> Cause {
    let rank = |cause: &Cause| match DialStatus::from_cause(*cause) {
        DialStatus::Busy => 3,
        DialStatus::NoAnswer => 2,
        DialStatus::Congestion => 1,
        _ => 0,
    };
    refusals.iter().copied().max_by_key(rank).unwrap_or(Cause::NO_ROUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_busy_phone_says_more_than_many_unreachable_ones() {
        assert_eq!(best(&[Cause::NO_ROUTE, Cause::BUSY, Cause::CONGESTION]), Cause::BUSY);
        assert_eq!(best(&[Cause::NO_ROUTE, Cause::CONGESTION]), Cause::CONGESTION);
        assert_eq!(best(&[]), Cause::NO_ROUTE);
    }
}
