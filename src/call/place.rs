//! Placing a leg: the INVITE to a phone or trunk, or the Local pair to an extension of this server.
//! Above: `outbound` and `originate`. Below: `leg` and `line`; the dialplan takes the `;2` half of a pair from the exchange.

use std::sync::Arc;

use crate::{
    audio::codec::Codec,
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
    sip::{
        Transport,
        header::NameAddr,
        stack::{Command, Invite},
        uri::Uri,
    },
};

/// Channels that may live at one time and come from one another by Local pairs: a dialplan that calls itself twice in each
/// round would have 2^70 of them before Max-Forwards ends it.
const MAX_KIN: usize = 256;

/// The Max-Forwards of a call of our own (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// On whose behalf a leg is placed.
pub(super) struct Calling<'a> {
    pub id: &'a CallerId,
    /// The law of the calling leg, offered first so that nothing need be transcoded.
    pub codec: Option<Codec>,
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

/// Places one leg.
///
/// # Errors
/// A limit is reached, or no media port is free: the cause.
pub(super) fn place(exchange: &Arc<Exchange>, route: Route, calling: &Calling<'_>) -> Result<Leg, Cause> {
    let limit = exchange.settings.load().limits.calls_per_user;
    if let Some(user) = &route.user
        && limit > 0
        && exchange.live.legs_of(user) >= limit as usize
    {
        return Err(Cause::BUSY);
    }
    let Route { reach, user, number, label } = route;
    match reach {
        Reach::Sip(reach) => place_sip(exchange, *reach, Named { user, number, label }, calling),
        Reach::Local(position) => place_local(exchange, position, calling),
    }
}

/// Whom a leg is to.
struct Named {
    user: Option<String>,
    number: String,
    label: String,
}

/// Sends one INVITE.
fn place_sip(exchange: &Arc<Exchange>, reach: SipReach, named: Named, calling: &Calling<'_>) -> Result<Leg, Cause> {
    let SipReach { hop, uri, to } = reach;
    let (id, signals) = exchange.sip.session(QUEUE);
    let parts = LegParts {
        line: Line::Sip(SipLine { sip: exchange.sip.clone(), session: id, hop }),
        signals,
        way: Way::Out,
        user: named.user,
        number: named.number,
        call_id: uuid::Uuid::new_v4().to_string(),
        name: exchange.live.next_name(&named.label),
        near: calling.near,
        codecs: exchange.codecs(calling.codec),
        inherited: calling.variables.clone(),
    };
    let leg = open(exchange, parts)?;
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
    exchange.sip.send(Command::Invite { id, invite: Box::new(invite) });
    Ok(leg)
}

/// Makes a Local pair: its `;1` half is returned, its `;2` half goes to the dialplan as any call that comes in.
fn place_local(exchange: &Arc<Exchange>, position: Position, calling: &Calling<'_>) -> Result<Leg, Cause> {
    // Each pair is a hop of the call: the one that would be too many is refused as 483 refuses it (RFC 3261 §16.3).
    let max_forwards = match calling.max_forwards {
        Some(left) => left.checked_sub(1).ok_or(Cause::ROUTING_ERROR)?,
        None => MAX_FORWARDS,
    };
    if calling.kin.as_ref().is_some_and(|kin| Arc::strong_count(kin) > MAX_KIN) {
        return Err(Cause::ROUTING_ERROR);
    }
    let limit = exchange.settings.load().limits.calls as usize;
    if limit > 0 && exchange.live.counts().0 >= limit {
        return Err(Cause::CONGESTION);
    }
    let name = exchange.live.next_name(&format!("Local/{}@{}", position.extension, position.context));
    let parts = |(line, signals), way, number: &str| LegParts {
        line,
        signals,
        way,
        user: None,
        number: number.to_owned(),
        call_id: name.clone(),
        name: format!("{name};{}", if way == Way::Out { 1 } else { 2 }),
        near: calling.near,
        codecs: exchange.codecs(calling.codec),
        inherited: calling.variables.clone(),
    };
    let [one, two] = local_pair(QUEUE);
    let one = open(exchange, parts(one, Way::Out, &position.extension))?;
    let mut two = open(exchange, parts(two, Way::In, &calling.id.number))?;
    two.take_offer(&one.make_offer()).map_err(|_| Cause::INCOMPATIBLE)?;
    let mut channel = Channel::new(two, exchange, calling.id.clone(), position).with_max_forwards(Some(max_forwards));
    if let Some(kin) = &calling.kin {
        channel = channel.with_kin(kin.clone());
    }
    exchange.hand_over(channel);
    Ok(one)
}

fn open(exchange: &Arc<Exchange>, parts: LegParts) -> Result<Leg, Cause> {
    Leg::open(exchange, parts).map_err(|error| {
        tracing::error!(%error, "no media port for an outgoing leg");
        Cause::CONGESTION
    })
}
