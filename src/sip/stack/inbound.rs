//! The way of a request that came (RFC 3261 §8.2): to its transaction, its dialog, or a new session; or a refusal.
//! Order of the checks: Via (§18.2.1), repeats, ACK, room, CANCEL, dialog, URI, method, loop, merge, extensions, body.

use std::net::SocketAddr;

use bytes::Bytes;
use rsip::{Method, Request, Response};

use super::core::check_body;
use super::{Event, Pending, RequestId, SessionId, Stack};
use crate::sip::compose::{self, RELIABLE, ReplyHead};
use crate::sip::dialog::{Way, tag_of_from, tag_of_to};
use crate::sip::header::text::split_list;
use crate::sip::header::{HeadersExt, Via};
use crate::sip::hop::{Hop, Transport};
use crate::sip::message::{request_uri_text, response_to};
use crate::sip::session::{Asked, NewInvite, Session};
use crate::sip::transaction::key::{ServerKey, merge_mark};
use crate::sip::transaction::table::NewServer;
use crate::sip::transaction::{Kind, Purpose, TransactionId, User};
use crate::sip::uri;
use crate::sip::wire;

/// A request with what every step needs of it.
struct Arrived {
    request: Request,
    via: Via,
    hop: Hop,
    from_tag: String,
    to_tag: String,
}

/// Why a request outside a dialog is refused, with the header that says more.
struct Refusal {
    status: u16,
    header: Option<(&'static str, String)>,
}

impl Refusal {
    fn bare(status: u16) -> Self {
        Self { status, header: None }
    }

    fn with(status: u16, header: (&'static str, impl Into<String>)) -> Self {
        Self { status, header: Some((header.0, header.1.into())) }
    }
}

impl Stack {
    pub(super) fn receive_request(&mut self, hop: Hop, mut request: Request) {
        let Some(mut via) = request.headers.top_via() else {
            self.core.out.counts.malformed += 1;
            return;
        };
        let key = ServerKey::of(&request, &via);
        if let Some(id) = self.core.transactions.server(&key) {
            let at = (&mut self.core.out, self.core.now);
            match request.method {
                Method::Ack => self.core.transactions.receive_ack(at, id),
                _ => self.core.transactions.receive_repeat(at, id),
            }
            if request.method != Method::Ack {
                return;
            }
        }
        complete_via(&mut via, hop);
        request.headers.set_top_via(&via);
        let from_tag = tag_of_from(&request.headers).to_owned();
        let to_tag = tag_of_to(&request.headers).to_owned();
        let arrived = Arrived { request, via, hop, from_tag, to_tag };
        match arrived.request.method {
            Method::Ack => self.receive_ack(arrived),
            _ if !self.has_room(&arrived) => self.refuse_for_lack_of_room(&arrived),
            Method::Cancel => self.receive_cancel(&arrived, key),
            _ if !arrived.to_tag.is_empty() => self.receive_within(arrived, key),
            _ => self.receive_outside(arrived, key),
        }
    }

    /// Sends a response that belongs to no transaction. A Via nobody can read goes back as it came, to where it came from.
    pub(super) fn answer_statelessly(&mut self, hop: Hop, mut response: Response) {
        let way = match response.headers.top_via() {
            Some(mut via) => {
                complete_via(&mut via, hop);
                response.headers.set_top_via(&via);
                way_back(&via, hop)
            }
            None => Way { hop, reopen_at: None },
        };
        response.headers.set_header("Server", self.core.config.agent.as_str());
        let mut bytes = Vec::with_capacity(512);
        wire::print_response(&response, &mut bytes);
        self.core.transmit(way, Bytes::from(bytes));
    }

    /// An ACK that is not of a refusal: of a 2xx, or of nothing (never answered, §17.1.1.3).
    fn receive_ack(&mut self, mut arrived: Arrived) {
        let call_id = arrived.request.headers.call_id().unwrap_or_default().to_owned();
        let Some(id) = self.session_of(&arrived.to_tag, &call_id, &arrived.from_tag) else { return };
        let mut taken = false;
        self.session(id, |session, core| taken = session.on_ack(core, &mut arrived.request));
        self.core.out.counts.stray += u64::from(!taken);
    }

    fn receive_cancel(&mut self, arrived: &Arrived, key: ServerKey) {
        let invite = self.core.transactions.server(&ServerKey::of_cancelled(&arrived.request, &arrived.via));
        let session = invite.and_then(|invite| match self.core.transactions.user(invite) {
            Some(User::Session(id, _)) => Some(id),
            _ => None,
        });
        // §9.2: the same tag as in the responses to the INVITE.
        let tag = session.and_then(|id| self.sessions.get(&id)).map(|session| session.local_tag().to_owned());
        let tag = tag.unwrap_or_else(|| self.core.random.tag());
        let (transaction, head) = self.open(arrived, (Kind::Other, User::Nobody), (key, None), Some(&tag));
        let Some(invite) = invite else {
            self.core.reply_bare(transaction, &head, 481); // §9.2
            return;
        };
        self.core.reply_bare(transaction, &head, 200);
        let reason = arrived.request.headers.reason();
        if let Some(id) = session {
            self.session(id, |session, core| session.on_cancel(core, (invite, reason)));
        }
    }

    /// A request with a To tag: its dialog must be one of ours (§12.2.2).
    fn receive_within(&mut self, mut arrived: Arrived, key: ServerKey) {
        let call_id = arrived.request.headers.call_id().unwrap_or_default();
        let found = self.session_of(&arrived.to_tag, call_id, &arrived.from_tag);
        let (kind, user) = match (arrived.request.method, found) {
            (Method::Invite, Some(id)) => (Kind::Invite, User::Session(id, Purpose::Offer)),
            (Method::Invite, None) => (Kind::Invite, User::Nobody),
            _ => (Kind::Other, User::Nobody),
        };
        let (transaction, head) = self.open(&arrived, (kind, user), (key, None), None);
        let Some(id) = found else {
            self.core.reply_bare(transaction, &head, 481);
            return;
        };
        if let Err(refusal) = check_extensions(&arrived.request) {
            self.refuse(transaction, &head, &refusal);
            return;
        }
        let hop = arrived.hop;
        let asked = Asked { request: &mut arrived.request, transaction, head, hop, tag: &arrived.from_tag };
        self.session(id, |session, core| session.on_request(core, asked));
    }

    /// A request outside any dialog.
    fn receive_outside(&mut self, arrived: Arrived, key: ServerKey) {
        let is_invite = arrived.request.method == Method::Invite;
        if is_invite && self.sessions.len() >= self.core.config.max_sessions {
            self.refuse_for_lack_of_room(&arrived);
            return;
        }
        let merge = merge_mark(self.merge_seed, &arrived.request, &arrived.from_tag);
        let verdict = self.check_outside(&arrived, merge);
        let local_tag = self.core.random.tag();
        let serial = self.new_serial();
        let (kind, user) = match (is_invite, &verdict) {
            (true, Ok(())) => (Kind::Invite, User::Session(SessionId(serial), Purpose::Invite)),
            (true, Err(_)) => (Kind::Invite, User::Nobody),
            (false, Ok(())) => (Kind::Other, User::Asked(RequestId(serial))),
            (false, Err(_)) => (Kind::Other, User::Nobody),
        };
        let (transaction, head) = self.open(&arrived, (kind, user), (key, merge), Some(&local_tag));
        if let Err(refusal) = verdict {
            self.refuse(transaction, &head, &refusal);
        } else if is_invite {
            self.core.reply_bare(transaction, &head, 100);
            let id = SessionId(serial);
            let contact = self.core.contact(arrived.hop, user_of(&request_uri_text(&arrived.request)));
            let Arrived { request, hop, .. } = arrived;
            let new = NewInvite { request, hop, invite: transaction, head, local_tag, contact };
            let session = Session::ring(&mut self.core, id, new);
            self.add_session(id, session);
        } else {
            let id = RequestId(serial);
            self.requests.insert(id, Pending { transaction, head });
            let Arrived { request, hop, .. } = arrived;
            self.core.out.events.push_back(Event::Request { id, request, hop });
        }
    }

    fn check_outside(&self, arrived: &Arrived, merge: Option<u64>) -> Result<(), Refusal> {
        let request = &arrived.request;
        match request.method {
            Method::Invite | Method::Options | Method::Register => {}
            Method::Bye | Method::Update | Method::PRack | Method::Info => return Err(Refusal::bare(481)),
            _ => return Err(Refusal::with(405, ("Allow", compose::ALLOW))),
        }
        match uri::split(&request_uri_text(request)) {
            Ok(uri) if ["sip", "sips", "tel"].iter().any(|known| uri.scheme.eq_ignore_ascii_case(known)) => {}
            Ok(_) => return Err(Refusal::bare(416)), // §8.2.2.1
            Err(_) => return Err(Refusal::bare(400)),
        }
        let is_ours = |via: &Via| via.branch().and_then(|branch| self.core.instance.number(branch)).is_some();
        let mut lower = request.headers.lines("Via").flat_map(split_list).skip(1);
        // §16.3 step 4, and §8.2.2.2: the same request by two ways.
        if is_ours(&arrived.via)
            || lower.any(|value| Via::parse(value).is_ok_and(|via| is_ours(&via)))
            || merge.is_some_and(|merge| self.core.transactions.is_merged(merge))
        {
            return Err(Refusal::bare(482));
        }
        check_extensions(request)?;
        if request.method == Method::Invite {
            check_body(&request.headers, &request.body).map_err(|header| Refusal::with(415, header))?;
            check_accept(request)?;
        }
        Ok(())
    }

    fn refuse(&mut self, transaction: TransactionId, head: &ReplyHead, refusal: &Refusal) {
        match &refusal.header {
            Some((name, value)) => self.core.reply_with(transaction, head, refusal.status, (name, value)),
            None => self.core.reply_bare(transaction, head, refusal.status),
        }
    }

    /// What ends or belongs to a call is let in a little longer than what would begin one.
    fn has_room(&self, arrived: &Arrived) -> bool {
        let limit = self.core.config.max_transactions;
        let begins = arrived.to_tag.is_empty() && arrived.request.method != Method::Cancel;
        self.core.transactions.len() < if begins { limit } else { limit.saturating_add(limit / 4) }
    }

    /// 503 without a transaction: a flood must not fill what it finds full.
    fn refuse_for_lack_of_room(&mut self, arrived: &Arrived) {
        self.core.out.counts.overload += 1;
        let tag = self.core.random.tag();
        let mut response = response_to(&arrived.request, 503, Some(&tag));
        response.headers.push_header("Retry-After", self.core.config.retry_after_s.to_string());
        self.answer_statelessly(arrived.hop, response);
    }

    fn open(
        &mut self,
        arrived: &Arrived,
        (kind, user): (Kind, User),
        (key, merge): (ServerKey, Option<u64>),
        tag: Option<&str>,
    ) -> (TransactionId, ReplyHead) {
        let way = way_back(&arrived.via, arrived.hop);
        let head = ReplyHead::new(&arrived.request, tag);
        let new = NewServer { kind, key, merge, user, way };
        (self.core.transactions.start_server((&mut self.core.out, self.core.now), new), head)
    }

    fn session_of(&self, local_tag: &str, call_id: &str, remote_tag: &str) -> Option<SessionId> {
        let id = self.tags.get(local_tag)?;
        self.sessions.get(id)?.has_dialog(call_id, remote_tag).then_some(*id)
    }
}

/// The user part of a URI, as written.
fn user_of(uri: &str) -> &str {
    uri::split(uri).ok().and_then(|uri| uri.user).unwrap_or_default()
}

/// Notes in the topmost Via where the request came from (§18.2.1, RFC 3581 §4).
fn complete_via(via: &mut Via, hop: Hop) {
    let wants_port = via.rport().is_some();
    if wants_port {
        via.params.set("rport", &hop.remote.port().to_string());
    }
    if wants_port || via.host.ip() != Some(hop.remote.ip()) {
        via.params.set("received", &hop.remote.ip().to_string());
    } else {
        via.params.remove("received"); // what the sender says of itself does not count
    }
}

/// Where responses go (§18.2.2): back to the source; when its connection is gone, to the port the Via names at that address.
fn way_back(via: &Via, hop: Hop) -> Way {
    let reopen_at = match hop.transport {
        Transport::Udp => None,
        Transport::Tcp => Some(SocketAddr::new(hop.remote.ip(), via.port.unwrap_or(5060))),
    };
    Way { hop, reopen_at }
}

/// §8.2.2.3: what must be understood and is not.
fn check_extensions(request: &Request) -> Result<(), Refusal> {
    let unknown: Vec<_> =
        request.headers.values("Require").into_iter().filter(|tag| !tag.eq_ignore_ascii_case(RELIABLE)).collect();
    if unknown.is_empty() { Ok(()) } else { Err(Refusal::with(420, ("Unsupported", unknown.join(", ")))) }
}

/// §20.1: whether they take the one kind of body we answer with.
fn check_accept(request: &Request) -> Result<(), Refusal> {
    let accepted = request.headers.values("Accept");
    let takes_sdp = |range: &&str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        ["application/sdp", "application/*", "*/*"].iter().any(|known| known.eq_ignore_ascii_case(range))
    };
    let listed = request.headers.lines("Accept").next().is_some();
    if listed && !accepted.iter().any(takes_sdp) { Err(Refusal::bare(406)) } else { Ok(()) }
}
