//! Ringing: all called parties at once until the first answers, while the caller hears how it goes.
//! Above: the dialplan's Dial. Below: `callee` and `leg`.

use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use crate::{
    call::{
        cause::{Cause, DialStatus},
        channel::Channel,
        dial::Callee,
        leg::LegEvent,
        live::Order,
    },
    media::{self, PortId, Source, ToneStep},
};

/// How called parties ring.
#[derive(Clone, Debug)]
pub struct Ring {
    /// Give up without an answer then.
    pub until: Option<Instant>,
    /// Give up then when neither ringing nor early media came.
    pub progress_until: Option<Instant>,
    /// What the caller hears meanwhile.
    pub hears: Hears,
    /// Keys sent to a called phone when its early media begins.
    pub send_progress: String,
    /// Keys of the caller that end the ringing.
    pub exits: String,
    /// What the others are told when the caller gives up.
    pub cancel_as: CancelAs,
    /// What the others are told when one answers.
    pub lose_as: Cause,
}

/// What the caller hears while phones ring.
#[derive(Clone, Debug, Default)]
pub enum Hears {
    /// What the far side says and sends.
    #[default]
    FarSide,
    /// That it rings, from the start; early media breaks in.
    RingingFirst,
    /// That it rings, and no early media.
    Ringing,
    /// This, and no early media.
    Sound(Source),
}

/// What called phones are told when the caller gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CancelAs {
    /// A missed call.
    #[default]
    Missed,
    /// Not a missed call: answered elsewhere.
    AnsweredElsewhere,
}

/// What came of the ringing.
pub struct Rung {
    /// How it ended.
    pub end: RingEnd,
    /// When the first phone rang.
    pub rang: Option<Instant>,
    /// When the first early media came.
    pub progressed: Option<Instant>,
    /// Channel name and number of the party that answered, or was tried last.
    pub peer: (String, String),
}

/// How the ringing of all phones ended.
pub enum RingEnd {
    /// Somebody answered.
    Answered(Box<Channel>),
    /// Nobody did.
    Nobody(Cause),
    /// Nobody said anything in the time given for it.
    Silence,
    /// The caller pressed this key.
    Key(char),
    /// The caller hung up.
    CallerGone,
    /// Nobody was called, and the caller is refused: the call must be recorded, and could not be.
    Unrecordable,
}

impl Channel {
    /// Calls all parties at once; when one answers, or the caller or the time gives up, the others are told so.
    pub async fn ring_all(&mut self, callees: Vec<Callee>, ring: &Ring) -> Rung {
        let mut wait = Wait { ring, early: None, tone: false, rang: None, progressed: None };
        let mut peer = (String::new(), String::new());
        let (mut called, mut refusals) = (Vec::with_capacity(callees.len()), Vec::new());
        let legs: Vec<_> = callees.iter().map(|callee| callee.channel.facts().clone()).collect();
        if self.is_recordable_with(&legs).await.is_err() {
            callees.into_iter().for_each(|callee| self.drop_callee(callee.into_channel(), self.cause()));
            return Rung { end: RingEnd::Unrecordable, rang: None, progressed: None, peer };
        }
        for callee in callees {
            peer = (callee.channel.name().to_owned(), callee.channel.called_number().to_owned());
            match callee.send(self) {
                (channel, None) => called.push(channel),
                (channel, Some(cause)) => {
                    refusals.push(cause);
                    self.drop_callee(channel, cause);
                }
            }
        }
        let end = if called.is_empty() {
            RingEnd::Nobody(best(&refusals))
        } else {
            wait.run(self, &mut called, refusals).await
        };
        let losers = match &end {
            RingEnd::Answered(answered) => {
                peer = (answered.name().to_owned(), answered.called_number().to_owned());
                ring.lose_as
            }
            RingEnd::CallerGone | RingEnd::Key(_) if ring.cancel_as == CancelAs::AnsweredElsewhere => {
                Cause::ANSWERED_ELSEWHERE
            }
            _ => Cause::NORMAL,
        };
        for channel in called {
            self.drop_callee(channel, losers);
        }
        if !matches!(end, RingEnd::Answered(_)) {
            self.stop_playing();
        }
        Rung { end, rang: wait.rang, progressed: wait.progressed, peer }
    }
}

/// What goes on while phones ring.
struct Wait<'a> {
    ring: &'a Ring,
    /// The leg whose early media the caller hears.
    early: Option<PortId>,
    /// An answered caller hears our ringing tone.
    tone: bool,
    rang: Option<Instant>,
    progressed: Option<Instant>,
}

/// Something that happened while phones ring.
enum Step {
    Caller(LegEvent),
    Called(usize, LegEvent),
    TimeOver,
}

impl Wait<'_> {
    async fn run(&mut self, caller: &mut Channel, called: &mut Vec<Channel>, mut refusals: Vec<Cause>) -> RingEnd {
        if !self.begin(caller).await {
            return RingEnd::CallerGone;
        }
        loop {
            match self.step(caller, called).await {
                Step::TimeOver if self.is_silent() => return RingEnd::Silence,
                Step::TimeOver => return RingEnd::Nobody(Cause::NO_ANSWER),
                Step::Caller(LegEvent::Silent) => {}
                Step::Caller(LegEvent::Digit { digit, .. }) if self.ring.exits.contains(digit) => {
                    return RingEnd::Key(digit);
                }
                Step::Caller(event) => {
                    if caller.take(event).is_err() {
                        return RingEnd::CallerGone;
                    }
                }
                Step::Called(at, LegEvent::Answered) => return RingEnd::Answered(Box::new(called.swap_remove(at))),
                Step::Called(at, LegEvent::Progress { media }) => {
                    if !self.progress(caller, &called[at], media) {
                        return RingEnd::CallerGone;
                    }
                }
                Step::Called(at, LegEvent::Refused(cause) | LegEvent::Gone(cause)) => {
                    refusals.push(cause);
                    self.drop(caller, called.swap_remove(at), cause);
                    if called.is_empty() {
                        return RingEnd::Nobody(best(&refusals));
                    }
                }
                Step::Called(at, LegEvent::Order(Order::Hangup(cause))) => {
                    refusals.push(cause);
                    self.drop(caller, called.swap_remove(at), cause);
                    if called.is_empty() {
                        return RingEnd::Nobody(Cause::NO_ANSWER);
                    }
                }
                Step::Called(at, LegEvent::Order(Order::Describe(reply))) => {
                    let _ = reply.send(called[at].describe());
                }
                Step::Called(..) => {}
            }
        }
    }

    /// What the caller hears from the first moment on; false when he can be told nothing any more.
    async fn begin(&mut self, caller: &mut Channel) -> bool {
        match &self.ring.hears {
            Hears::FarSide => true,
            Hears::RingingFirst | Hears::Ringing => self.ringing(caller),
            Hears::Sound(sound) => {
                let sound = sound.clone();
                let open = caller.is_answered() || caller.progress().await.is_ok();
                caller.start_playing(sound);
                open
            }
        }
    }

    fn is_silent(&self) -> bool {
        self.rang.or(self.progressed).is_none() && self.ring.progress_until.is_some_and(|until| Instant::now() >= until)
    }

    async fn step(&self, caller: &mut Channel, called: &mut [Channel]) -> Step {
        let next = std::future::poll_fn(|cx| {
            if let Poll::Ready(event) = caller.leg.poll_next(cx) {
                return Poll::Ready(Step::Caller(event));
            }
            for (at, channel) in called.iter_mut().enumerate() {
                if let Poll::Ready(event) = channel.leg.poll_next(cx) {
                    return Poll::Ready(Step::Called(at, event));
                }
            }
            Poll::Pending
        });
        let progress_until = self.ring.progress_until.filter(|_| self.rang.or(self.progressed).is_none());
        match [self.ring.until, progress_until].into_iter().flatten().min() {
            Some(until) => tokio::select! {
                biased;
                step = next => step,
                () = sleep_until(until) => Step::TimeOver,
            },
            None => next.await,
        }
    }

    fn drop(&mut self, caller: &mut Channel, channel: Channel, cause: Cause) {
        if self.early == Some(channel.leg.port()) {
            self.early = None;
        }
        caller.drop_callee(channel, cause);
    }

    /// A called phone said something: ringing, or early media. False when the caller cannot be told any more.
    fn progress(&mut self, caller: &mut Channel, called: &Channel, media: bool) -> bool {
        let now = Instant::now();
        if media { &mut self.progressed } else { &mut self.rang }.get_or_insert(now);
        match self.ring.hears {
            Hears::Sound(_) => return true,
            Hears::Ringing => return self.ringing(caller),
            Hears::FarSide | Hears::RingingFirst => {}
        }
        if !media || self.early.is_some() {
            return self.early.is_some() || self.ringing(caller);
        }
        caller.stop_playing();
        self.early = Some(called.leg.port());
        if !caller.leg.is_up()
            && let Err(cause) = caller.leg.progress(called.leg.spoken())
        {
            caller.refuse(cause);
            return false;
        }
        caller.exchange.media.send(media::Command::Join { a: caller.leg.port(), b: called.leg.port() });
        if !self.ring.send_progress.is_empty() {
            called.start_pressing(&self.ring.send_progress);
        }
        true
    }

    /// The caller learns that it rings: by 180, or by tone when it is answered already.
    fn ringing(&mut self, caller: &mut Channel) -> bool {
        if !caller.leg.is_up() {
            caller.leg.ring();
        } else if !std::mem::replace(&mut self.tone, true) {
            caller.start_playing(ringing_tone());
        }
        caller.still_here().is_ok()
    }
}

/// The ringing tone of North America: 440 + 480 Hz, two seconds on, four off.
pub fn ringing_tone() -> Source {
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
