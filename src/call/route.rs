//! Routes: from a dial target to the places that can be called, each with the way to it and its name.
//! Above: `dial`. Below: the registrar's bindings, the trunks of the settings, `transport::resolve`.

use std::{net::SocketAddr, time::Instant};

use crate::{
    call::{
        cause::Cause,
        channel::Position,
        exchange::Exchange,
        target::{self, Target},
    },
    config::SipTransport,
    sip::{
        Hop, Transport,
        registrar::Binding,
        uri::{Host, Uri},
    },
    transport::resolve,
};

/// One place to call.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// How it is reached.
    pub reach: Reach,
    /// The configured user whose phone it is.
    pub user: Option<String>,
    /// The number dialled there.
    pub number: String,
    /// The channel name before its dash: `SIP/1001`.
    pub label: String,
}

/// How a place is reached.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// By an INVITE.
    Sip(Box<SipReach>),
    /// By a Local pair, whose `;2` half begins there.
    Local(Position),
}

/// Where an INVITE goes.
#[derive(Clone, Debug)]
pub(super) struct SipReach {
    /// The flow.
    pub hop: Hop,
    /// The request URI.
    pub uri: Uri,
    /// The To URI: whom the caller meant.
    pub to: Uri,
}

/// Every place a target means: all contacts of a user, the address of a trunk or host.
///
/// # Errors
/// Nobody is registered, the name resolves to nothing, or the target makes no sense: the cause.
pub(super) async fn find(exchange: &Exchange, text: &str) -> Result<Vec<Route>, Cause> {
    let target = target::parse(text).map_err(|error| {
        tracing::warn!(%error, "dial target refused");
        Cause::NO_ROUTE
    })?;
    to(exchange, target).await
}

/// As [`find`], for a target that was read already.
///
/// # Errors
/// Nobody is registered, or the name resolves to nothing: the cause.
pub(super) async fn to(exchange: &Exchange, target: Target) -> Result<Vec<Route>, Cause> {
    match target {
        Target::Peer(peer) if exchange.settings.load().users.contains_key(&peer) => contacts(exchange, &peer),
        Target::Peer(peer) => at_host(exchange, "", &peer).await,
        Target::NumberAt { number, at } => at_host(exchange, &number, &at).await,
        Target::Local { extension, context } => {
            let label = format!("Local/{extension}@{context}");
            let number = extension.clone();
            let reach = Reach::Local(Position { context, extension, priority: 1 });
            Ok(vec![Route { reach, user: None, number, label }])
        }
    }
}

/// The phones that are registered for a user.
fn contacts(exchange: &Exchange, user: &str) -> Result<Vec<Route>, Cause> {
    let bindings = exchange.registrar().bindings(Instant::now(), user);
    if bindings.is_empty() {
        return Err(Cause::NO_ROUTE);
    }
    Ok(bindings
        .into_iter()
        .map(|binding| Route {
            reach: Reach::Sip(Box::new(SipReach {
                hop: phone_hop(&binding),
                to: binding.contact.clone(),
                uri: binding.contact,
            })),
            user: Some(user.into()),
            number: user.into(),
            label: format!("SIP/{user}"),
        })
        .collect())
}

/// Where a registered phone is reached: over the flow it registered on; by UDP at its contact's own port where the contact names
/// the very address that the REGISTER came from (no NAT between).
fn phone_hop(binding: &Binding) -> Hop {
    let contact = binding.contact.host.ip().map(|ip| SocketAddr::new(ip, binding.contact.port_or_default()));
    match contact {
        Some(contact) if binding.source.transport == Transport::Udp && contact.ip() == binding.source.remote.ip() => {
            Hop { remote: contact, ..binding.source }
        }
        _ => binding.source,
    }
}

/// A number at a trunk of that name, or at any other host.
async fn at_host(exchange: &Exchange, number: &str, at: &str) -> Result<Vec<Route>, Cause> {
    let settings = exchange.settings.load_full();
    let user = (!number.is_empty()).then_some(number);
    let (uri, transport) = match settings.trunks.get(at) {
        Some(trunk) => {
            let transport = if trunk.transport == SipTransport::Tcp { Transport::Tcp } else { Transport::Udp };
            (Uri::sip(user, Host::parse(&trunk.host).ok_or(Cause::NO_ROUTE)?, trunk.port), transport)
        }
        // A bare name that is neither user nor trunk is nobody: only `number@host` goes to the world.
        None if user.is_none() => return Err(Cause::NO_ROUTE),
        None => {
            let place = Uri::parse(&format!("sip:{at}")).map_err(|_| Cause::NO_ROUTE)?;
            let transport = resolve::transport_of(&place).map_err(|_| Cause::NO_ROUTE)?;
            (Uri { user: Uri::sip(user, place.host.clone(), None).user, ..place }, transport)
        }
    };
    let addresses = resolve::resolve_host(&uri.host, uri.port).await.map_err(|error| {
        tracing::warn!(%error, "dial target");
        Cause::NO_ROUTE
    })?;
    let hop =
        addresses.into_iter().find_map(|remote| exchange.sip.local_for(transport, remote)).ok_or(Cause::NO_ROUTE)?;
    let reach = Reach::Sip(Box::new(SipReach { hop, to: uri.clone(), uri }));
    Ok(vec![Route { reach, user: None, number: number.into(), label: format!("SIP/{at}") }])
}
