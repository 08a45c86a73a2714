//! Placing a leg: the INVITE to a phone or trunk, or the Local pair to an extension of this server.
//! Above: `dial` and `originate`. Below: `leg` and `line`; the dialplan takes the `;2` half of a pair from the exchange.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    call::{
        cause::Cause,
        channel::{CallerId, Channel, Position},
        exchange::Exchange,
        leg::{Leg, LegParts, QUEUE},
        line::{Line, SipLine, local_pair},
        live::Way,
        route::{Reach, Route, SipReach},
        variables::Variables,
    },
    media::PortId,
    sdp::Spoken,
    sip::{
        Transport,
        header::NameAddr,
        stack::{Invite, SessionEvent},
        uri::Uri,
    },
};

/// Channels that may live at one time and come from one another by Local pairs: a dialplan that calls itself twice in each
/// round would have 2^70 of them before Max-Forwards ends it.
const MAX_KIN: usize = 1_000;

/// The Max-Forwards of a call of our own (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// On whose behalf a leg is placed.
pub(super) struct Calling<'a> {
    pub id: &'a CallerId,
    /// What the leg is offered, best first, so that nothing need be transcoded.
    pub codecs: Vec<Spoken>,
    /// The calling leg's port.
    pub near: Option<PortId>,
    /// Of the call that this one goes on from.
    pub max_forwards: Option<u8>,
    /// The variables that the leg inherits.
    pub variables: Variables,
    /// Further headers of its INVITE.
    pub headers: &'a [(String, String)],
    /// The oldest of the channels that came from one another, held by each of them.
    pub kin: Option<Arc<str>>,
}

/// What is still to be done for a leg that is open.
pub(super) enum Unsent {
    /// Its INVITE.
    Invite(Box<SipReach>),
    /// The other half of its Local pair.
    Half(Box<Half>),
}

/// The `;2` half of a Local pair.
pub(super) struct Half {
    line: (Line, mpsc::Receiver<SessionEvent>),
    name: String,
    position: Position,
    max_forwards: u8,
}

/// Opens a leg; nothing is sent yet.
///
/// # Errors
/// A limit is reached, or no media port is free: the cause.
pub(super) fn open(exchange: &Arc<Exchange>, route: Route, calling: &Calling<'_>) -> Result<(Leg, Unsent), Cause> {
    let limit = exchange.settings.load().limits.calls_per_user;
    if let Some(user) = &route.user
        && limit > 0
        && exchange.live.legs_of(user) >= limit as usize
    {
        return Err(Cause::BUSY);
    }
    if calling.codecs.is_empty() {
        return Err(Cause::INCOMPATIBLE);
    }
    let Route { reach, user, number, label } = route;
    if calling.kin.as_ref().is_some_and(|kin| Arc::strong_count(kin) > MAX_KIN) {
        return Err(Cause::ROUTING_ERROR);
    }
    match reach {
        Reach::Sip(reach) => open_sip(exchange, reach, Named { user, number, label }, calling),
        Reach::Local(position) => open_local(exchange, position, calling),
    }
}

/// The hops left behind one more: the one that would be too many is refused as 483 refuses it (RFC 3261 §16.3).
pub(super) fn one_hop_less(left: Option<u8>) -> Result<u8, Cause> {
    left.map_or(Ok(MAX_FORWARDS), |left| left.checked_sub(1).ok_or(Cause::ROUTING_ERROR))
}

/// Whom a leg is to.
struct Named {
    user: Option<String>,
    number: String,
    label: String,
}

fn open_sip(
    exchange: &Arc<Exchange>,
    reach: Box<SipReach>,
    named: Named,
    calling: &Calling<'_>,
) -> Result<(Leg, Unsent), Cause> {
    let (session, signals) = exchange.sip.session(QUEUE);
    let parts = LegParts {
        line: Line::Sip(SipLine { sip: exchange.sip.clone(), session, hop: reach.hop }),
        signals,
        way: Way::Out,
        user: named.user,
        number: named.number,
        call_id: uuid::Uuid::new_v4().to_string(),
        name: exchange.live.next_name(&named.label),
        near: calling.near,
        codecs: calling.codecs.clone(),
        inherited: calling.variables.clone(),
    };
    Ok((open_leg(exchange, parts)?, Unsent::Invite(reach)))
}

/// Makes a Local pair: its `;1` half is opened, its `;2` half goes to the dialplan later, as any call that comes in.
fn open_local(exchange: &Arc<Exchange>, position: Position, calling: &Calling<'_>) -> Result<(Leg, Unsent), Cause> {
    let max_forwards = one_hop_less(calling.max_forwards)?;
    let limit = exchange.settings.load().limits.calls as usize;
    if limit > 0 && exchange.live.counts().0 >= limit {
        return Err(Cause::CONGESTION);
    }
    let name = exchange.live.next_name(&format!("Local/{}@{}", position.extension, position.context));
    let [one, line] = local_pair(QUEUE);
    let leg = open_leg(exchange, half(exchange, (one, Way::Out), &name, (&position.extension, calling)))?;
    Ok((leg, Unsent::Half(Box::new(Half { line, name, position, max_forwards }))))
}

/// What one half of a Local pair is made of.
fn half(
    exchange: &Exchange,
    ((line, signals), way): ((Line, mpsc::Receiver<SessionEvent>), Way),
    name: &str,
    (number, calling): (&str, &Calling<'_>),
) -> LegParts {
    let codecs = match way {
        Way::Out => calling.codecs.clone(),
        Way::In => exchange.codecs(calling.codecs.first().map(|spoken| spoken.codec), None),
    };
    LegParts {
        line,
        signals,
        way,
        user: None,
        number: number.to_owned(),
        call_id: name.to_owned(),
        name: format!("{name};{}", if way == Way::Out { 1 } else { 2 }),
        near: calling.near,
        codecs,
        inherited: calling.variables.clone(),
    }
}

impl Unsent {
    /// Calls the leg's phone, or the other half of its pair.
    ///
    /// # Errors
    /// No media port is free: the cause.
    pub(super) fn send(self, exchange: &Arc<Exchange>, leg: &Leg, calling: &Calling<'_>) -> Result<(), Cause> {
        match self {
            Self::Invite(reach) => {
                invite(exchange, *reach, leg, calling);
                Ok(())
            }
            Self::Half(half) => half.begin(exchange, leg, calling),
        }
    }
}

/// Sends the INVITE of a leg.
fn invite(exchange: &Exchange, SipReach { hop, uri, to }: SipReach, leg: &Leg, calling: &Calling<'_>) {
    let address = exchange.contact_address(&hop);
    let user = if calling.id.number.is_empty() { "anonymous" } else { &calling.id.number };
    let from = Uri::sip(Some(user), address.ip().into(), Some(address.port()));
    let mut contact = from.clone();
    if hop.transport == Transport::Tcp {
        contact.params.set("transport", hop.transport.uri_name());
    }
    let display = (!calling.id.name.is_empty()).then(|| calling.id.name.clone());
    let invite = Invite {
        hop,
        uri,
        to: NameAddr::new(to),
        from: NameAddr { display, ..NameAddr::new(from) },
        contact,
        routes: Vec::new(),
        headers: calling.headers.to_vec(),
        offer: Some(leg.make_offer()),
        max_forwards: calling.max_forwards,
        call_id: Some(leg.facts.call_id.clone()),
    };
    leg.invite(invite);
}

impl Half {
    /// Gives the half to the dialplan.
    fn begin(self, exchange: &Arc<Exchange>, one: &Leg, calling: &Calling<'_>) -> Result<(), Cause> {
        let parts = half(exchange, (self.line, Way::In), &self.name, (&calling.id.number, calling));
        let mut two = open_leg(exchange, parts)?;
        two.take_offer(&one.make_offer()).map_err(|_| Cause::INCOMPATIBLE)?;
        let mut channel = Channel::new(two, exchange, calling.id.clone(), self.position);
        channel = channel.with_max_forwards(Some(self.max_forwards));
        if let Some(kin) = &calling.kin {
            channel = channel.with_kin(kin.clone());
        }
        exchange.hand_over(channel);
        Ok(())
    }
}

fn open_leg(exchange: &Arc<Exchange>, parts: LegParts) -> Result<Leg, Cause> {
    Leg::open(exchange, parts).map_err(|error| {
        tracing::error!(%error, "no media port for an outgoing leg");
        Cause::CONGESTION
    })
}
