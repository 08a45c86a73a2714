//! The desk's changes of live calls: orders to the tasks that own the legs.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{House, backend::no_such};
use crate::{
    call::{
        Away, Leave, Position, QueuedKeys,
        live::{CallFacts, Described, LegFacts, LegState, Order, Way},
    },
    control::protocol::{
        Bridge, Bridged, Dtmf, Fault, FaultCode, Held, Hold, KeysWay, Moves, Pressed, Transfer, Transferred,
    },
};

/// How long a channel's task may take to follow an order.
const OBEY_TIME: Duration = Duration::from_secs(3);

impl House {
    /// Presses keys towards a leg's phone, or as if it pressed them.
    pub(super) async fn dtmf(&self, wanted: Dtmf) -> Result<Pressed, Fault> {
        let Dtmf { uuid, digits, way } = wanted;
        let keys = QueuedKeys::parse(&digits).ok_or_else(|| {
            Fault::new(FaultCode::Usage, format!("`{digits}` is no row of keys"))
                .hint("keys 0-9 * # A-D, w and W for pauses, @ms behind them, + between groups: w12@500+#")
        })?;
        let (_, leg) = self.answered(&uuid)?;
        let order = match way {
            KeysWay::Sent => Order::Press(keys),
            KeysWay::Received => Order::BeSeenToPress(keys),
        };
        leg.orders.send(order).await.map_err(|_| no_such(&uuid))?;
        Ok(Pressed { uuid: leg.uuid.clone(), digits, way })
    }

    /// Sends legs elsewhere in the dialplan.
    pub(super) async fn transfer(&self, wanted: Transfer) -> Result<Transferred, Fault> {
        let Transfer { uuid, extension, context, moves } = wanted;
        let (call, this) = self.answered(&uuid)?;
        let partner = partner_of(&call, &this);
        let alone = || {
            Fault::new(FaultCode::TryAgain, format!("{uuid} talks with nobody"))
                .hint("`pbx calls` shows who talks with whom")
        };
        let (first, second) = match moves {
            Moves::This => (this, None),
            Moves::Other => (partner.ok_or_else(alone)?, None),
            Moves::Both => (this, Some(partner.ok_or_else(alone)?)),
        };
        let context = context.unwrap_or_else(|| self.context_of(&call, &first));
        let there = Position { context, extension, priority: 1 };
        let legs: Vec<_> = std::iter::once(&first).chain(&second).cloned().collect();
        for leg in &legs {
            self.leads_somewhere(&there, if leg.uuid == call.uuid { &call.from } else { &leg.number })?;
        }
        let other = second.is_some().then(|| there.clone());
        self.leave(&first, Away::To(there.clone()), other).await?;
        let Position { context, extension, .. } = there;
        Ok(Transferred { legs: legs.iter().map(|leg| leg.uuid.clone()).collect(), extension, context })
    }

    /// Connects two legs with each other.
    pub(super) async fn bridge(&self, wanted: Bridge) -> Result<Bridged, Fault> {
        let [first, second] = &wanted.legs;
        let ((call, one), (_, two)) = (self.answered(first)?, self.answered(second)?);
        if one.uuid == two.uuid {
            return Err(Fault::new(FaultCode::Usage, "a leg cannot talk with itself").hint("name two legs"));
        }
        if partner_of(&call, &one).is_some_and(|partner| partner.uuid == two.uuid) {
            return Err(Fault::new(FaultCode::TryAgain, format!("{first} and {second} talk with each other already")));
        }
        // Both must be heard of before either gives up what it does.
        for leg in [&one, &two] {
            obedient(leg).await?;
        }
        let (fetched, coming) = oneshot::channel();
        self.leave(&one, Away::Meets(coming), None).await?;
        self.leave(&two, Away::IsFetched(fetched), None).await?;
        Ok(Bridged { legs: [one.uuid.clone(), two.uuid.clone()] })
    }

    /// Holds a party, which must talk with another.
    pub(super) async fn hold(&self, wanted: Hold) -> Result<Held, Fault> {
        let (call, leg) = self.answered(&wanted.uuid)?;
        if partner_of(&call, &leg).is_none() {
            return Err(Fault::new(
                FaultCode::TryAgain,
                format!("{} talks with nobody it could be held for", leg.uuid),
            )
            .hint("`pbx calls` shows who talks with whom"));
        }
        obeys(&leg, Order::Hold).await?;
        Ok(Held { uuid: leg.uuid.clone(), held: true })
    }

    /// Takes a held party back.
    pub(super) async fn unhold(&self, wanted: Hold) -> Result<Held, Fault> {
        let (_, leg) = self.answered(&wanted.uuid)?;
        if !leg.now().holders.operator() {
            return Err(Fault::new(FaultCode::TryAgain, format!("{} is not held by `pbx hold`", leg.uuid))
                .hint("a hold by its phone ends there, that of a takeover with it"));
        }
        obeys(&leg, Order::Unhold).await?;
        Ok(Held { uuid: leg.uuid.clone(), held: false })
    }

    /// Orders a leg to leave what it does, and waits until it does.
    async fn leave(&self, leg: &LegFacts, away: Away, other: Option<Position>) -> Result<(), Fault> {
        let (taken, leaves) = oneshot::channel();
        let sent = leg.orders.send(Order::Leave(Leave { away, other, taken })).await;
        sent.map_err(|_| no_such(&leg.uuid))?;
        match tokio::time::timeout(OBEY_TIME, leaves).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) if self.exchange.live.find(&leg.uuid).is_none() => Err(no_such(&leg.uuid)),
            _ => Err(busy(leg)),
        }
    }

    /// The context that a leg calls in: that of its user, else the one its call came in by.
    fn context_of(&self, call: &CallFacts, leg: &LegFacts) -> String {
        let settings = self.exchange.settings.load();
        let user = leg.user.as_ref().and_then(|user| settings.users.get(user));
        user.filter(|_| leg.way == Way::Out).map_or_else(|| call.context.clone(), |user| user.context.clone())
    }

    /// Whether a call of that caller can go on there.
    pub(super) fn leads_somewhere(&self, there: &Position, caller: &str) -> Result<(), Fault> {
        let plan = self.plan.load();
        let Position { context, extension, .. } = there;
        if !plan.has_context(context) {
            return Err(Fault::new(FaultCode::NotFound, format!("the dialplan has no context {context}"))
                .hint("write the extension as EXTEN@CONTEXT"));
        }
        if !plan.admits(there, caller) {
            return Err(Fault::new(FaultCode::NotFound, format!("no extension of {context} matches {extension}"))
                .hint(format!("`pbx match {extension} --context {context}` tells why")));
        }
        Ok(())
    }

    /// An answered leg and its call, by the leg's UUID in any letter case.
    fn answered(&self, uuid: &str) -> Result<(Arc<CallFacts>, Arc<LegFacts>), Fault> {
        let (call, leg) = self.exchange.live.find(uuid).ok_or_else(|| no_such(uuid))?;
        let state = leg.now().state;
        match state {
            LegState::Up | LegState::Held => Ok((call, leg)),
            LegState::Dialling | LegState::Ringing => {
                Err(Fault::new(FaultCode::TryAgain, format!("{uuid} is not answered yet"))
                    .hint("try again once it is; `pbx calls` shows its state"))
            }
            LegState::Ended => Err(no_such(uuid)),
        }
    }
}

/// The leg that one talks with.
fn partner_of(call: &CallFacts, leg: &LegFacts) -> Option<Arc<LegFacts>> {
    let (a, b) = call.bridged()?;
    match leg.uuid {
        ref uuid if *uuid == a.uuid => Some(b),
        ref uuid if *uuid == b.uuid => Some(a),
        _ => None,
    }
}

/// Whether the task of a leg hears orders.
async fn obedient(leg: &LegFacts) -> Result<Described, Fault> {
    let (reply, told) = oneshot::channel();
    leg.orders.send(Order::Describe(reply)).await.map_err(|_| no_such(&leg.uuid))?;
    let told = tokio::time::timeout(OBEY_TIME, told).await;
    told.ok().and_then(Result::ok).ok_or_else(|| busy(leg))
}

/// Gives a leg's task an order that it tells the end of.
async fn obeys(leg: &LegFacts, order: fn(oneshot::Sender<()>) -> Order) -> Result<(), Fault> {
    let (done, told) = oneshot::channel();
    leg.orders.send(order(done)).await.map_err(|_| no_such(&leg.uuid))?;
    let told = tokio::time::timeout(OBEY_TIME, told).await;
    told.ok().and_then(Result::ok).ok_or_else(|| busy(leg))
}

fn busy(leg: &LegFacts) -> Fault {
    Fault::new(FaultCode::TryAgain, format!("{} cannot leave what it does now", leg.uuid))
        .hint("`pbx calls show` tells what runs there")
}
