//! The bridge between two answered legs: connected until either side hangs up, each with its own dialog.
//! Above: `outbound` hands over the leg that answered. Below: media joins the ports; nothing of one leg's SIP reaches the other.

use std::{task::Poll, time::Duration};

use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::{
    call::{
        cause::{Cause, DialStatus},
        channel::{Channel, Gone, next_play_id},
        leg::{Leg, LegEvent},
        live::{LegState, Order},
        outbound::{Dial, Dialled, send_digits},
    },
    media,
};

/// How long a string of keys may take before the bridge is made all the same.
const DIGITS_TIME: Duration = Duration::from_secs(60);

/// How a bridge ended.
#[derive(Clone, Copy)]
enum End {
    Caller,
    Callee(Cause),
}

enum Step {
    Caller(LegEvent),
    Callee(LegEvent),
}

/// Connects the leg that answered with the channel, until either hangs up.
pub(super) async fn connect(channel: &mut Channel, mut leg: Leg, dial: &Dial, began: Instant) -> Result<Dialled, Gone> {
    let (peer_name, peer_number) = (leg.facts.name.clone(), leg.facts.number.clone());
    if !dial.send_called.is_empty()
        && let Err(end) = send_first(channel, &mut leg, &dial.send_called).await
    {
        return finish(channel, leg, end, Times { began, answered: None }, (peer_name, peer_number));
    }
    if channel.answer_like(leg.codec()).is_err() {
        channel.drop_leg(leg, Cause::NORMAL);
        return Err(Gone);
    }
    let answered = Instant::now();
    if !dial.send_calling.is_empty() {
        channel.exchange.media.send(send_digits(channel.leg.port(), &dial.send_calling));
    }
    channel.forget_digits();
    channel.exchange.media.send(media::Command::Join { a: channel.leg.port(), b: leg.port() });
    let pair = (channel.leg.facts.clone(), leg.facts.clone());
    channel
        .exchange
        .journal
        .note("call.bridged", json!({"uuid": channel.call.uuid, "a": pair.0.uuid, "b": pair.1.uuid}));
    channel.call.set_bridged(Some(pair));
    let end = talk(channel, &mut leg).await;
    channel.call.set_bridged(None);
    channel.exchange.media.send(media::Command::Part { port: channel.leg.port() });
    finish(channel, leg, end, Times { began, answered: Some(answered) }, (peer_name, peer_number))
}

#[derive(Clone, Copy)]
struct Times {
    began: Instant,
    answered: Option<Instant>,
}

fn finish(
    channel: &mut Channel,
    leg: Leg,
    end: End,
    times: Times,
    (peer_name, peer_number): (String, String),
) -> Result<Dialled, Gone> {
    let (cause, outcome) = match end {
        End::Caller => (channel.cause(), Err(Gone)),
        End::Callee(cause) => (cause, Ok(())),
    };
    channel.drop_leg(leg, cause);
    outcome.map(|()| Dialled {
        status: DialStatus::Answer,
        cause,
        answered_for: times.answered.map_or(Duration::ZERO, |at| at.elapsed()),
        dialled_for: times.began.elapsed(),
        ended_by_callee: true,
        peer_name,
        peer_number,
    })
}

/// Sends keys to the phone that answered, before anybody hears anybody (`D()`, S180).
async fn send_first(channel: &mut Channel, leg: &mut Leg, digits: &str) -> Result<(), End> {
    let command = send_digits(leg.port(), digits);
    let media::Command::SendDigits { id, .. } = &command else { return Ok(()) };
    let id = *id;
    channel.exchange.media.send(command);
    let all = async {
        loop {
            match step(channel, leg).await {
                Step::Callee(LegEvent::Played(done)) if done == id => return Ok(()),
                other => serve(channel, leg, other)?,
            }
        }
    };
    timeout(DIGITS_TIME, all).await.unwrap_or(Ok(()))
}

/// Serves both legs until one of them is gone.
async fn talk(channel: &mut Channel, leg: &mut Leg) -> End {
    let patience = channel.exchange.settings.load().media.rtp_timeout;
    let mut silence = Silence::default();
    loop {
        let event = step(channel, leg).await;
        let (who, quiet) = match &event {
            Step::Caller(event) => (0, matches!(event, LegEvent::Silent)),
            Step::Callee(event) => (1, matches!(event, LegEvent::Silent)),
        };
        if quiet {
            let held = [&channel.leg, &*leg].map(|l| l.facts.now().state == LegState::Held);
            if silence.both(who, held, patience) {
                channel.hangup(Cause::NETWORK_FAILURE);
                return End::Callee(Cause::NETWORK_FAILURE);
            }
            continue;
        }
        if let Err(end) = serve(channel, leg, event) {
            return end;
        }
    }
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

async fn step(channel: &mut Channel, leg: &mut Leg) -> Step {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(event) = channel.leg.poll_next(cx) {
            return Poll::Ready(Step::Caller(event));
        }
        leg.poll_next(cx).map(Step::Callee)
    })
    .await
}

/// Does what an event asks for; an error ends the bridge.
fn serve(channel: &mut Channel, leg: &mut Leg, step: Step) -> Result<(), End> {
    match step {
        Step::Caller(LegEvent::Digit { digit, ms, by_info }) => pass(channel, leg, &Key { digit, ms, by_info }),
        Step::Callee(LegEvent::Digit { digit, ms, by_info }) => {
            pass(channel, &channel.leg, &Key { digit, ms, by_info });
        }
        Step::Caller(event) => {
            channel.take(event).map_err(|Gone| End::Caller)?;
        }
        Step::Callee(LegEvent::Gone(cause) | LegEvent::Refused(cause)) => return Err(End::Callee(cause)),
        Step::Callee(LegEvent::Order(Order::Hangup(cause))) => return Err(End::Callee(cause)),
        Step::Callee(LegEvent::Order(Order::Describe(reply))) => {
            let _ = reply.send(channel.describe());
        }
        Step::Callee(_) => {}
    }
    Ok(())
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
