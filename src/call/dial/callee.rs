//! A called party: a leg that is opened, and may run a subroutine, before its INVITE goes out; later a channel within the call
//! of the one that dialled it, or one of a call of its own.
//! Above: the stages of Dial. Below: `place` and `leg`.

use std::future::Future;

use crate::call::{
    cause::Cause,
    channel::{CallerId, Channel, Gone, Part, Position},
    place::{Calling, Unsent, open},
    route,
    target::Target,
};

/// A party whose phone was not called yet.
pub struct Callee {
    pub(super) channel: Channel,
    unsent: Unsent,
}

impl Callee {
    /// Its channel: what it is told before the INVITE goes out, such as another caller id, is in the INVITE.
    pub fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    /// Whoever is called does not learn who calls (RFC 3323 §4.1.1.3, RFC 3325 §9.3).
    pub fn hides_caller(&mut self) {
        self.channel.set_caller(CallerId { name: "Anonymous".into(), number: String::new() });
        self.channel.about_mut().headers.put("Privacy", "id");
    }

    /// The same, where it is not called after all.
    pub fn into_channel(self) -> Channel {
        self.channel
    }

    /// Calls its phone; a cause when it cannot be called.
    pub(super) fn send(self, caller: &Channel) -> (Channel, Option<Cause>) {
        let Self { channel, unsent } = self;
        let calling = Calling {
            id: channel.caller(),
            near: Some(caller.leg.port()),
            variables: channel.variables.clone(),
            headers: channel.headers(),
            ..caller.calling()
        };
        let refused = unsent.send(&channel.exchange, &channel.leg, &calling).err();
        (channel, refused)
    }
}

impl Channel {
    /// Opens a leg for every place a target means; nothing is sent yet.
    ///
    /// # Errors
    /// There is none: the cause.
    pub async fn callees(&mut self, target: Target) -> Result<Vec<Callee>, Cause> {
        let mut callees = Vec::new();
        let mut refused = Cause::NO_ROUTE;
        for route in route::to(&self.exchange, target).await? {
            match open(&self.exchange, route, &self.calling()) {
                Ok((leg, unsent)) => {
                    self.exchange.live.add_leg(&self.call, leg.facts.clone());
                    callees.push(Callee { channel: self.called(leg), unsent });
                }
                Err(cause) => refused = cause,
            }
        }
        if callees.is_empty() { Err(refused) } else { Ok(callees) }
    }

    /// Ends a called party of this call, or lets it go where it was sent, and keeps its part of the record when it had been answered.
    pub fn drop_callee(&mut self, mut callee: Self, cause: Cause) {
        if callee.is_leaving() {
            let so_far = (callee.leg_record(cause), callee.leg.measure());
            self.ended_legs.append(&mut callee.ended_legs);
            match callee.departs() {
                None => return self.ended_legs.push(so_far),
                Some(left) => callee = left,
            }
        }
        self.note_cause(&callee.leg.facts.name, cause);
        callee.leg.hangup(cause);
        let closing = callee.leg.close();
        if callee.leg.facts.now().answered.is_some() {
            self.ended_legs.push((callee.leg_record(cause), closing));
        }
        self.ended_legs.append(&mut callee.ended_legs);
    }

    /// The called party leaves the call for one of its own, and goes on in the dialplan there.
    pub fn goes_on_at(mut self, position: Position) {
        self.has_its_own_call(&position);
        self.set_position(position);
        self.stop_playing();
        self.forget_digits();
        self.exchange.clone().hand_over(self);
    }

    /// Does something else to its end, serving this phone meanwhile.
    ///
    /// # Errors
    /// This phone has hung up: the other thing is given up.
    pub async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Gone> {
        tokio::pin!(work);
        self.still_here()?;
        loop {
            tokio::select! {
                biased;
                event = self.leg.next() => {
                    self.take(event)?;
                }
                done = &mut work => return Ok(done),
            }
        }
    }

    /// Answers as the called party did, so that nothing need be transcoded.
    ///
    /// # Errors
    /// The phone has hung up, or its offer cannot be met.
    pub fn answer_with(&mut self, callee: &Self) -> Result<(), Gone> {
        self.answer_like(callee.leg.spoken())
    }

    /// The number that was called to reach this party.
    pub fn called_number(&self) -> &str {
        &self.leg.facts.number
    }

    /// The context that this party may call in by itself: of its user; nobody else has one.
    fn own_context(&self) -> Option<String> {
        let user = self.leg.facts.user.as_ref()?;
        self.exchange.settings.load().users.get(user).map(|user| user.context.clone())
    }

    /// A context in which this party may send the other one elsewhere (threat D1): `TRANSFER_CONTEXT`, else the one it calls in.
    pub fn transfer_context(&self) -> Option<String> {
        let named = self.var("TRANSFER_CONTEXT").filter(|context| !context.is_empty()).map(str::to_owned);
        named.or_else(|| match self.part {
            Part::Caller => Some(self.position().context.clone()),
            Part::Callee => self.own_context(),
        })
    }
}
