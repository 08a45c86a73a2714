//! Originated calls: the server calls a phone, and what answers becomes a channel.
//! Above: the control socket's `originate`. Below: `place`.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::call::{
    cause::Cause,
    channel::{CallerId, Channel, Gone, Position},
    demands,
    exchange::Exchange,
    leg::{Leg, LegEvent},
    place::{Calling, one_hop_less, open},
    route,
    variables::Variables,
};

/// A phone to call.
#[derive(Clone, Debug)]
pub struct Originate {
    /// `SIP/1001`, `user/1001`, `SIP/number@trunk`, …; of several contacts the first that answers.
    pub endpoint: String,
    /// Who is shown as calling.
    pub caller: CallerId,
    /// How long it may ring.
    pub timeout: Duration,
    /// Variables of the channel, and of the `;2` half where it is a Local pair.
    pub variables: Variables,
    /// Where in the dialplan the channel starts, for its records and variables.
    pub position: Position,
    /// The channel whose script wants it; `None` for a call that nothing led to.
    pub origin: Option<Origin>,
}

/// What a call that a script originates has of the call of that script, so that one that originates itself comes to an end.
#[derive(Clone, Debug)]
pub struct Origin {
    max_forwards: Option<u8>,
    kin: Arc<str>,
}

impl Channel {
    /// What the calls have of it that its script originates.
    pub fn origin(&self) -> Origin {
        Origin { max_forwards: self.max_forwards, kin: self.kin.clone() }
    }

    /// Serves the phone until some work is done; where there is no phone any more, only waits.
    ///
    /// # Errors
    /// The phone has hung up meanwhile.
    pub async fn serve_until<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Gone> {
        let mut work = std::pin::pin!(work);
        if self.still_here().is_err() {
            return Ok(work.await);
        }
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                event = self.next_event(None) => {
                    event?;
                }
            }
        }
    }
}

/// Calls the endpoint and returns its channel once it answered.
///
/// # Errors
/// Nobody answered: the cause.
pub async fn originate(exchange: &Arc<Exchange>, wanted: Originate) -> Result<Channel, Cause> {
    if exchange.is_closing() {
        return Err(Cause::CONGESTION);
    }
    if let Err(demand) = demands::meet(&wanted.variables) {
        tracing::warn!(endpoint = wanted.endpoint, %demand, "originate");
        return Err(Cause::NOT_AVAILABLE);
    }
    let until = Instant::now() + wanted.timeout;
    let mut opened = Vec::new();
    let mut cause = Cause::NO_ROUTE;
    let (max_forwards, kin) = match wanted.origin {
        Some(Origin { max_forwards, kin }) => (Some(one_hop_less(max_forwards)?), Some(kin)),
        None => (None, None),
    };
    let calling = Calling {
        id: &wanted.caller,
        codecs: exchange.codecs(None, None),
        near: None,
        max_forwards,
        variables: wanted.variables.clone(),
        headers: &[],
        kin: kin.clone(),
    };
    for route in route::find(exchange, &wanted.endpoint).await? {
        match open(exchange, route, &calling) {
            Ok(both) => opened.push(both),
            Err(refused) => cause = refused,
        }
    }
    let legs: Vec<_> = opened.iter().map(|(leg, _)| leg.facts.clone()).collect();
    if let Err(refused) = exchange.can_record_any(&legs).await {
        opened.into_iter().for_each(|(leg, _)| end(leg, refused));
        return Err(refused);
    }
    let mut ringing = Vec::new();
    for (leg, unsent) in opened {
        match unsent.send(exchange, &leg, &calling) {
            Ok(()) => ringing.push(leg),
            Err(refused) => cause = refused,
        }
    }
    let answered = loop {
        if ringing.is_empty() {
            break None;
        }
        let step = std::future::poll_fn(|cx| {
            for (at, leg) in ringing.iter_mut().enumerate() {
                if let std::task::Poll::Ready(event) = leg.poll_next(cx) {
                    return std::task::Poll::Ready((at, event));
                }
            }
            std::task::Poll::Pending
        });
        match timeout_at(until, step).await {
            Ok((at, LegEvent::Answered)) => break Some(ringing.swap_remove(at)),
            Ok((at, LegEvent::Refused(refused) | LegEvent::Gone(refused))) => {
                cause = refused;
                end(ringing.swap_remove(at), refused);
            }
            Ok(_) => {}
            Err(_) => {
                cause = Cause::NO_ANSWER;
                break None;
            }
        }
    };
    let others = if answered.is_some() { Cause::ANSWERED_ELSEWHERE } else { Cause::NORMAL };
    for leg in ringing {
        end(leg, others);
    }
    let leg = answered.ok_or(cause)?;
    let caller = CallerId { name: String::new(), number: leg.facts.number.clone() };
    let mut channel = Channel::new(leg, exchange, caller, wanted.position).with_max_forwards(max_forwards);
    channel.about_mut().connected = wanted.caller;
    exchange.answered_by_script(channel.call(), channel.facts());
    Ok(match kin {
        Some(kin) => channel.with_kin(kin),
        None => channel,
    })
}

fn end(mut leg: Leg, cause: Cause) {
    leg.hangup(cause);
    leg.close();
}
