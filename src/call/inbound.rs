//! The front door: who is calling, may he, and with which rights; then a channel for the dialplan, or an answer at once.
//! Above: `pbx` runs the dialplan on the channels that come out. Below: `transport` delivers calls and requests.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    call::{
        channel::{CallerId, Channel, Position},
        exchange::Exchange,
        headers::InviteHeaders,
        leg::{Leg, LegParts},
        line::{Line, SipLine},
        live::Way,
        login::{Proof, Ruling},
        variables::Variables,
    },
    config::Config,
    sip::{
        Hop,
        header::HeadersExt,
        message::{method_name, request_uri},
        registrar::address_of_record,
        stack::{Command, Reply, RequestId, SessionEvent, SessionId},
    },
    transport::Arrival,
};

/// Headers of an answer, as name and value.
type Headers = Vec<(String, String)>;

/// A refusal before there is a channel.
struct Refusal {
    status: u16,
    headers: Headers,
}

impl From<u16> for Refusal {
    fn from(status: u16) -> Self {
        Self { status, headers: Vec::new() }
    }
}

/// Who calls, as far as the settings know him.
struct Party {
    user: Option<String>,
    label: String,
    caller: CallerId,
    context: String,
}

/// Serves arrivals until the SIP task ends; channels go to `incoming`.
pub async fn run(exchange: Arc<Exchange>, mut arrivals: mpsc::Receiver<Arrival>, incoming: mpsc::Sender<Channel>) {
    while let Some(arrival) = arrivals.recv().await {
        match arrival {
            Arrival::Call { id, request, hop, offer, events } => {
                let call = NewCall { id, request: *request, hop, offer, events };
                if let Some(channel) = admit(&exchange, call)
                    && incoming.send(channel).await.is_err()
                {
                    return;
                }
            }
            Arrival::Request { id, request, hop } => answer_request(&exchange, id, &request, &hop),
        }
    }
}

struct NewCall {
    id: SessionId,
    request: rsip::Request,
    hop: Hop,
    offer: Option<Bytes>,
    events: mpsc::Receiver<SessionEvent>,
}

/// A channel for the call, or a refusal sent.
fn admit(exchange: &Arc<Exchange>, call: NewCall) -> Option<Channel> {
    let id = call.id;
    match open_channel(exchange, call) {
        Ok(channel) => Some(channel),
        Err(Refusal { status, headers }) => {
            exchange.sip.send(Command::Reject { id, status, headers });
            None
        }
    }
}

fn open_channel(exchange: &Arc<Exchange>, call: NewCall) -> Result<Channel, Refusal> {
    let settings = exchange.settings.load_full();
    check_accept(&call.request)?;
    let party = identify(exchange, &settings, &call.request, &call.hop)?;
    let limits = &settings.limits;
    let over = |limit: u32, count: usize| limit > 0 && count >= limit as usize;
    if exchange.is_closing() || over(limits.calls, exchange.live.counts().0) {
        return Err(Refusal { status: 503, headers: exchange.retry_after(503) });
    }
    if let Some(user) = &party.user
        && over(limits.calls_per_user, exchange.live.legs_of(user))
    {
        return Err(Refusal { status: 503, headers: exchange.retry_after(503) });
    }
    let uri = request_uri(&call.request).map_err(|_| 400)?;
    let extension =
        uri.user_plain().filter(|user| !user.is_empty()).map_or_else(|| "s".into(), |user| user.into_owned());
    let max_forwards = call.request.headers.max_forwards();
    let parts = LegParts {
        line: Line::Sip(SipLine { sip: exchange.sip.clone(), session: call.id, hop: call.hop }),
        signals: call.events,
        way: Way::In,
        user: party.user,
        number: party.caller.number.clone(),
        call_id: call.request.headers.call_id().unwrap_or_default().to_owned(),
        name: exchange.live.next_name(&party.label),
        near: None,
        codecs: exchange.codecs(None, None),
        inherited: Variables::default(),
    };
    let mut leg = Leg::open(exchange, parts).map_err(|error| {
        tracing::error!(%error, "no media port for a call");
        Refusal { status: 503, headers: exchange.retry_after(503) }
    })?;
    if let Some(offer) = &call.offer {
        let usable = leg.take_offer(offer);
        if let Err(error) = usable {
            leg.reject(error.status(), Vec::new());
            return Err(error.status().into());
        }
    }
    let position = Position { context: party.context, extension, priority: 1 };
    let mut channel = Channel::new(leg, exchange, party.caller, position).with_max_forwards(max_forwards);
    channel.about_mut().headers = InviteHeaders::received(call.request.headers);
    Ok(channel)
}

/// A caller that takes no session description as an answer cannot be served (RFC 3261 §21.4.7).
fn check_accept(request: &rsip::Request) -> Result<(), Refusal> {
    let takes = |value: &&str| {
        let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        ["application/sdp", "application/*", "*/*"].contains(&kind.as_str())
    };
    let wanted = request.headers.values("Accept");
    if wanted.is_empty() || wanted.iter().any(takes) { Ok(()) } else { Err(406.into()) }
}

/// Who is calling, in the order of the configuration's manual: trunk by address, user by password, guest by address.
fn identify(exchange: &Exchange, settings: &Config, request: &rsip::Request, hop: &Hop) -> Result<Party, Refusal> {
    let from = request.headers.from_addr().ok_or(400)?;
    let number = from.uri.user_plain().unwrap_or_default().into_owned();
    let shown = CallerId { name: printable(from.display.as_deref().unwrap_or_default()), number: printable(&number) };
    let trunk = settings.trunks.iter().find(|(_, trunk)| trunk.matches.iter().any(|m| m.covers(hop.remote)));
    if let Some((name, trunk)) = trunk {
        let context = trunk.context.clone().ok_or(403)?;
        return Ok(Party { user: None, label: format!("SIP/{name}"), caller: shown, context });
    }
    let guests = settings.guests.as_ref().filter(|guests| guests.from.iter().any(|m| m.covers(hop.remote)));
    let user = settings.users.get(&number);
    if let (None, Some(guests)) = (user, guests) {
        let label = format!("SIP/{}", hop.remote.ip());
        return Ok(Party { user: None, label, caller: shown, context: guests.context.clone() });
    }
    challenge(exchange, settings, request, &number, hop)?;
    let Some(user) = user else { return Err(403.into()) };
    let caller = match &user.caller_id {
        Some(id) => CallerId { name: id.name.clone(), number: id.number.clone() },
        None => CallerId { name: shown.name, number: number.clone() },
    };
    Ok(Party { user: Some(number.clone()), label: format!("SIP/{number}"), caller, context: user.context.clone() })
}

/// Demands proof that the request is `user`'s; an unknown user takes the same way.
fn challenge(
    exchange: &Exchange,
    settings: &Config,
    request: &rsip::Request,
    user: &str,
    hop: &Hop,
) -> Result<(), Refusal> {
    let proof = Proof {
        method: method_name(request.method),
        authorization: request.headers.value("Authorization"),
        body: &request.body,
        user,
        password: settings.users.get(user).map(|user| &user.password),
        source: hop.remote,
        user_agent: request.headers.value("User-Agent"),
    };
    let ruling = exchange.doorkeeper().judge(Instant::now(), &settings.limits, &proof);
    match ruling {
        Ruling::Admit => Ok(()),
        Ruling::Banned => Err(403.into()),
        Ruling::Challenge(values) => {
            let headers = values.into_iter().map(|value| ("WWW-Authenticate".into(), value)).collect();
            Err(Refusal { status: 401, headers })
        }
    }
}

/// Requests outside every dialog: registrations are served, OPTIONS is answered, the rest is not for us.
fn answer_request(exchange: &Exchange, id: RequestId, request: &rsip::Request, hop: &Hop) {
    let (status, headers) = match request.method {
        rsip::Method::Register => {
            register(exchange, request, hop).unwrap_or_else(|refusal| (refusal.status, refusal.headers))
        }
        rsip::Method::Options => (200, vec![("Accept".into(), "application/sdp".into())]),
        _ => (405, Vec::new()),
    };
    exchange.sip.send(Command::Respond { id, response: Reply { status, headers, body: Bytes::new() } });
}

/// Serves a REGISTER (RFC 3261 §10.3).
fn register(exchange: &Exchange, request: &rsip::Request, hop: &Hop) -> Result<(u16, Headers), Refusal> {
    let settings = exchange.settings.load_full();
    address_of_record(request).map_err(|error| error.status())?;
    let to = request.headers.to_addr().ok_or(400)?;
    let user = to.uri.user_plain().unwrap_or_default().into_owned();
    challenge(exchange, &settings, request, &user, hop)?;
    if !settings.users.contains_key(&user) {
        return Err(404.into());
    }
    let now = Instant::now();
    let before = exchange.registrar().bindings(now, &user).len();
    let bindings = exchange
        .registrar()
        .register(now, &user, request, hop)
        .map_err(|error| Refusal { status: error.status(), headers: error.headers() })?;
    let headers: Headers = bindings.iter().map(|binding| ("Contact".into(), binding.contact_value(now))).collect();
    if bindings.len() != before {
        let kind = if bindings.len() > before { "user.registered" } else { "user.unregistered" };
        exchange
            .journal
            .note(kind, json!({"user": user, "contacts": bindings.len(), "source": hop.remote.to_string()}));
    }
    Ok((200, headers))
}

/// Text from outside without control characters, so that it can neither end a line nor move a cursor; 128 characters at most.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

impl Exchange {
    /// What accompanies a refusal that may be tried again: Retry-After, seconds (RFC 3261 §20.33).
    pub(super) fn retry_after(&self, status: u16) -> Headers {
        if status == 503 { vec![("Retry-After".into(), "5".into())] } else { Vec::new() }
    }

    /// Forgets registrations that have run out; call it now and then.
    pub fn expire_registrations(&self) {
        for (user, binding) in self.registrar().expire(Instant::now()) {
            self.journal.note("user.expired", json!({"user": user, "contact": binding.contact.to_string()}));
        }
    }
}
