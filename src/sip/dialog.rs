//! Dialogs (RFC 3261 §12): who talks with whom, in which order, and by which way.
//! Above: `session` owns one dialog, or several early ones while its INVITE is forked. Below: `compose` writes its requests.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use rsip::{Headers, Method, Request};

use super::compose::Writer;
use super::header::name_addr::AddrRef;
use super::header::text::split_list;
use super::header::{HeadersExt, NameAddr};
use super::hop::{Hop, Transport, is_crowd};
use super::message::method_name;
use super::stack::Transmit;
use super::stack::core::Core;
use super::transaction::key::ClientKey;
use super::uri::Uri;

/// Where a message goes: a hop, and the address to connect to if the hop's connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) hop: Hop,
    pub(crate) reopen_at: Option<SocketAddr>,
}

impl Way {
    pub(crate) fn carry(self, bytes: Bytes) -> Transmit {
        Transmit { hop: self.hop, bytes, reopen_at: self.reopen_at }
    }
}

/// How a request within the dialog stands to the ones before it (§12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// In order; the number was taken over.
    InOrder,
    /// Lower than one before: to be answered with 500.
    Late,
}

/// One dialog.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    call_id: Box<str>,
    /// Our From value in requests, with our tag.
    local: Box<str>,
    /// Our To value in requests, with their tag.
    remote: Box<str>,
    remote_tag: Box<str>,
    /// The number of our last request.
    local_seq: u32,
    /// The number of their last request.
    remote_seq: Option<u32>,
    /// URI of their Contact.
    target: Box<str>,
    /// The route set, in the order of our requests.
    routes: Vec<Box<str>>,
    way: Way,
    /// RSeq of the last reliable provisional response, while early (RFC 3262 §4).
    reliable_seen: Option<u32>,
}

impl Dialog {
    /// The dialog of an INVITE that came (§12.1.1); `local` is its To value with our tag.
    pub(crate) fn of_request(request: &Request, local: &str, flow: Hop) -> Self {
        let headers = &request.headers;
        let mut dialog = Self {
            call_id: headers.call_id().unwrap_or_default().into(),
            local: local.into(),
            remote: headers.value("From").unwrap_or_default().into(),
            remote_tag: tag_of_from(headers).into(),
            local_seq: 0,
            remote_seq: headers.cseq_number(),
            target: uri_of(headers.value("From")).into(),
            routes: headers.values("Record-Route").into_iter().map(Into::into).collect(),
            way: Way { hop: flow, reopen_at: None },
            reliable_seen: None,
        };
        dialog.refresh_target(headers, flow);
        dialog
    }

    /// The dialog of a response to our INVITE (§12.1.2); without a Contact, To is the target.
    pub(crate) fn of_response(response: &Headers, flow: Hop) -> Self {
        let mut routes: Vec<Box<str>> = response.values("Record-Route").into_iter().map(Into::into).collect();
        routes.reverse();
        let mut dialog = Self {
            call_id: response.call_id().unwrap_or_default().into(),
            local: response.value("From").unwrap_or_default().into(),
            remote: response.value("To").unwrap_or_default().into(),
            remote_tag: tag_of_to(response).into(),
            local_seq: response.cseq_number().unwrap_or_default(),
            remote_seq: None,
            target: uri_of(response.value("To")).into(),
            routes,
            way: Way { hop: flow, reopen_at: None },
            reliable_seen: None,
        };
        dialog.refresh_target(response, flow);
        dialog
    }

    pub(crate) fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    pub(crate) fn way(&self) -> Way {
        self.way
    }

    pub(crate) fn local_seq(&self) -> u32 {
        self.local_seq
    }

    /// Whether a message with this Call-ID and their tag is of this dialog; a peer of RFC 2543 has no tag (§12.2.2).
    pub(crate) fn is(&self, call_id: &str, remote_tag: &str) -> bool {
        *self.call_id == *call_id && *self.remote_tag == *remote_tag
    }

    /// Takes over the number of a request; ACK has its INVITE's.
    pub(crate) fn order(&mut self, number: u32) -> Order {
        if self.remote_seq.is_some_and(|last| number < last) {
            return Order::Late;
        }
        self.remote_seq = Some(number);
        Order::InOrder
    }

    /// Takes over the RSeq of a reliable provisional response; `false` for a repeat or one out of order (RFC 3262 §4).
    pub(crate) fn takes_reliable(&mut self, rseq: u32) -> bool {
        let in_order = self.reliable_seen.is_none_or(|last| last.checked_add(1) == Some(rseq));
        if in_order {
            self.reliable_seen = Some(rseq);
        }
        in_order
    }

    /// Takes over their Contact (§12.2.1.2, §12.2.2) and the way that follows from it.
    pub(crate) fn refresh_target(&mut self, headers: &Headers, flow: Hop) {
        let contact = headers.value("Contact").and_then(|value| split_list(value).find(|element| !element.is_empty()));
        let contact = uri_of(contact.filter(|contact| *contact != "*"));
        if !contact.is_empty() {
            self.target = contact.into();
        }
        let next = match self.routes.first() {
            Some(route) => NameAddr::parse(route).ok().map(|route| route.uri),
            None => Uri::parse(&self.target).ok(),
        };
        self.way = next.map_or(Way { hop: flow, reopen_at: None }, |uri| way_to(&uri, flow));
    }

    /// Takes over the route set of the 2xx that confirms an early dialog (§13.2.2.4).
    pub(crate) fn confirm(&mut self, response: &Headers, flow: Hop) {
        self.routes = response.values("Record-Route").into_iter().map(Into::into).collect();
        self.routes.reverse();
        self.refresh_target(response, flow);
    }

    /// Starts the next request; ACK takes the number of its INVITE by [`Dialog::request_numbered`].
    pub(crate) fn request(&mut self, core: &mut Core, method: Method) -> (Writer, ClientKey) {
        self.local_seq = self.local_seq.wrapping_add(1) & 0x7fff_ffff; // §8.1.1.5: below 2³¹
        let number = self.local_seq;
        self.request_numbered(core, method, number)
    }

    /// Starts a request with a given number (§12.2.1.1).
    pub(crate) fn request_numbered(&self, core: &mut Core, method: Method, number: u32) -> (Writer, ClientKey) {
        let name = method_name(method);
        let key = core.new_client_key();
        let strict = self.routes.first().filter(|route| !is_loose(route));
        let strict_uri = strict.and_then(|route| NameAddr::parse(route).ok()).map(|route| request_uri_of(route.uri));
        let mut writer = Writer::request(name, strict_uri.as_deref().unwrap_or(&self.target));
        writer.header("Via", &core.via(self.way.hop, key)).header("Max-Forwards", "70");
        for route in self.routes.iter().skip(usize::from(strict_uri.is_some())) {
            writer.header("Route", route);
        }
        if strict_uri.is_some() {
            writer.header("Route", &format!("<{}>", self.target)); // §12.2.1.1: the target goes last past a strict router
        }
        writer
            .header("From", &self.local)
            .header("To", &self.remote)
            .header("Call-ID", &self.call_id)
            .header("CSeq", &format!("{number} {name}"))
            .header("User-Agent", &core.config.agent);
        (writer, key)
    }
}

/// The To tag of a message, empty when absent.
pub(crate) fn tag_of_to(headers: &Headers) -> &str {
    tag_of(headers.value("To"))
}

/// The From tag of a message, empty when absent: RFC 2543 had none.
pub(crate) fn tag_of_from(headers: &Headers) -> &str {
    tag_of(headers.value("From"))
}

/// The URI of an address, as written; empty when there is none or it is malformed.
fn uri_of(value: Option<&str>) -> &str {
    let address = value.and_then(|value| AddrRef::split(value).ok()).filter(|address| address.check().is_ok());
    address.map(|address| address.uri()).unwrap_or_default()
}

fn tag_of(value: Option<&str>) -> &str {
    value.and_then(|value| AddrRef::split(value).ok()?.tag()).unwrap_or_default()
}

fn is_loose(route: &str) -> bool {
    NameAddr::parse(route).is_ok_and(|route| route.uri.params.has("lr"))
}

/// A strict router's URI as Request-URI: what is not allowed there is left out (§19.1.1).
fn request_uri_of(mut uri: Uri) -> String {
    uri.headers = None;
    uri.params.remove("method");
    uri.to_string()
}

/// The way to a URI: its address if it is one that can be reached, else back where the last message came from.
pub(crate) fn way_to(uri: &Uri, flow: Hop) -> Way {
    let transport = uri.params.get("transport").and_then(Transport::from_name).unwrap_or(flow.transport);
    let host = uri.params.get("maddr").and_then(|host| host.parse().ok()).or_else(|| uri.host.ip());
    let back = Way { hop: flow, reopen_at: None };
    let Some(ip) = host.filter(|ip| ip.is_ipv4() == flow.local.is_ipv4() && is_reachable(*ip, flow.remote.ip())) else {
        return back;
    };
    let address = SocketAddr::new(ip, uri.port_or_default());
    if transport != flow.transport {
        // We know no socket of ours for the other transport; the peer is reached on the one it used.
        return back;
    }
    if transport == Transport::Tcp && ip == flow.remote.ip() {
        return Way { hop: flow, reopen_at: Some(address) }; // the open connection serves both directions
    }
    Way { hop: Hop { remote: address, ..flow }, reopen_at: None }
}

/// Whether a peer at `source` can be meant by `ip`: no crowd, and not an address behind
/// the peer's NAT.
fn is_reachable(ip: IpAddr, source: IpAddr) -> bool {
    !is_crowd(ip) && (ip == source || is_public(ip) || !is_public(source))
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64))
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}
