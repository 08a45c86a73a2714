//! The SIP stack without sockets and clock: datagrams, commands and time in; messages, events and the next deadline out.
//! Above: `transport`'s task owns it and drains the outputs after each input. Below: transactions, dialogs, sessions.
//!
//! After every call of `receive`, `command`, `handle_timeout` or `transport_failed`, drain `poll_transmit` and `poll_event`
//! until they give nothing, then sleep until `poll_timeout`.

pub(crate) mod core;
mod inbound;
pub(crate) mod outputs;
mod random;
#[cfg(test)]
mod tests;
mod types;

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use rsip::{Request, Response};

pub use super::timer::Times;

pub use self::types::{
    Command, Counts, EndedBy, Event, Invite, Reply, RequestId, SessionEvent, SessionId, StackConfig, Transmit,
};

use self::core::Core;
use self::outputs::Due;
use self::random::Random;
use self::types::FROM_NETWORK;
use super::compose::ReplyHead;
use super::dialog::{Way, tag_of_to};
use super::header::{HeadersExt, cseq};
use super::hop::Hop;
use super::message::{Message, status_code};
use super::session::{Session, Waiting};
use super::transaction::key::ClientKey;
use super::transaction::table::Answer;
use super::transaction::{Kind, LocalFailure, Purpose, TransactionId, User};
use super::wire::{self, Reject};

/// A request that came and waits for its answer.
struct Pending {
    transaction: TransactionId,
    head: ReplyHead,
}

/// All of SIP for one set of sockets; it has one owner.
pub struct Stack {
    core: Core,
    sessions: HashMap<SessionId, Box<Session>>,
    /// Our tag of each session.
    tags: HashMap<Box<str>, SessionId>,
    requests: HashMap<RequestId, Pending>,
    /// Our requests outside any session, to make a 408 or 503 that looks like a response to them.
    sent: HashMap<RequestId, Box<rsip::Headers>>,
    serial: u64,
    /// Live dialogs of all sessions.
    dialogs: usize,
    /// Makes merge marks unguessable.
    merge_seed: u64,
}

impl Stack {
    /// A stack whose random numbers follow from `seed`: for tests. `now` is any time up to the first input's.
    pub fn new(config: StackConfig, seed: u64, now: Instant) -> Self {
        let mut key = [0; 32];
        for (byte, part) in key.iter_mut().zip(seed.to_be_bytes()) {
            *byte = part;
        }
        Self::with_key(config, key, now)
    }

    /// A stack whose tags, branches and Call-IDs follow from a secret key.
    pub fn with_key(config: StackConfig, key: [u8; 32], now: Instant) -> Self {
        let mut core = Core::new(config, Random::new(key), now);
        let merge_seed = core.random.next();
        Self {
            core,
            sessions: HashMap::new(),
            tags: HashMap::new(),
            requests: HashMap::new(),
            sent: HashMap::new(),
            serial: 0,
            dialogs: 0,
            merge_seed,
        }
    }

    /// Takes one whole message: a datagram, or what was framed from a stream.
    pub fn receive(&mut self, now: Instant, hop: Hop, bytes: &[u8]) {
        self.core.now = now;
        if !hop.is_answerable() {
            self.core.out.counts.malformed += 1; // a source made up to have us answer a crowd
            return;
        }
        match wire::parse(bytes) {
            Ok(Message::Request(request)) => self.receive_request(hop, request),
            Ok(Message::Response(response)) => self.receive_response(hop, response),
            Err(Reject::Drop(_)) => self.core.out.counts.malformed += 1,
            Err(Reject::Answer { response }) => {
                self.core.out.counts.malformed += 1;
                self.answer_statelessly(hop, response);
            }
        }
    }

    /// Sends the answer that came with a [`wire::FramingError`].
    pub fn answer_unframed(&mut self, now: Instant, hop: Hop, response: Response) {
        self.core.now = now;
        self.core.out.counts.malformed += 1;
        self.answer_statelessly(hop, response);
    }

    /// Carries out a command.
    pub fn command(&mut self, now: Instant, command: Command) {
        self.core.now = now;
        match command {
            Command::Invite { id, invite } => self.invite(id, &invite),
            Command::Progress { id, status, description, headers } => {
                self.session(id, |session, core| session.progress(core, Waiting { status, description, headers }));
            }
            Command::Answer { id, description, headers } => {
                self.session(id, |session, core| session.answer(core, description, headers));
            }
            Command::Reject { id, status, headers } => {
                self.session(id, |session, core| session.refuse(core, status, &headers));
            }
            Command::Hangup { id, reason } => self.session(id, |session, core| session.hang_up(core, reason)),
            Command::Ack { id, description } => {
                self.session(id, |session, core| session.acknowledge(core, Some(&description)));
            }
            Command::Reoffer { id, description } => {
                self.session(id, |session, core| session.reoffer(core, description));
            }
            Command::AcceptOffer { id, description } => {
                self.session(id, |session, core| session.accept_offer(core, &description));
            }
            Command::RefuseOffer { id, status } => self.session(id, |session, core| session.refuse_offer(core, status)),
            Command::Info { id, content_type, body } => {
                self.session(id, |session, core| session.info(core, (&content_type, &body)));
            }
            Command::Request { id, hop, request } => self.request(id, hop, *request),
            Command::Respond { id, response } => self.respond(id, &response),
        }
    }

    /// Lets every timer fire that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.now = now;
        while let Some(due) = self.core.out.timers.pop(now) {
            match due {
                Due::Session(id, timer) => self.session(id, |session, core| session.on_timer(core, timer)),
                Due::Transaction(id, timer) => {
                    let failed = self.core.transactions.fire((&mut self.core.out, now), id, timer);
                    failed.into_iter().for_each(|failed| self.fail(failed));
                }
            }
        }
    }

    /// Something could not be delivered to `hop`: its requests without response count as answered with 503 (§8.1.3.1).
    pub fn transport_failed(&mut self, now: Instant, hop: Hop) {
        self.core.now = now;
        for failed in self.core.transactions.transport_failed((&mut self.core.out, now), hop) {
            self.fail(failed);
        }
    }

    /// When [`Stack::handle_timeout`] is due; `None` when nothing runs.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.out.timers.next()
    }

    /// The next message to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.core.out.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.out.events.pop_front()
    }

    /// Figures: what is live now, and running totals.
    pub fn counts(&self) -> Counts {
        Counts {
            transactions: self.core.transactions.len(),
            dialogs: self.dialogs,
            sessions: self.sessions.len(),
            requests: self.requests.len(),
            ..self.core.out.counts
        }
    }

    /// The sessions that live, in no order.
    pub fn session_ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    /// Whether this session lives.
    pub fn has_session(&self, id: SessionId) -> bool {
        self.sessions.contains_key(&id)
    }

    /// One line for each session and transaction, for people.
    pub fn describe(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.sessions.values().map(ToString::to_string).collect();
        lines.extend(self.core.transactions.describe());
        lines
    }

    /// Lets a session act, and removes it once nothing is left of it.
    fn session(&mut self, id: SessionId, act: impl FnOnce(&mut Session, &mut Core)) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        self.dialogs -= session.dialog_count();
        act(session, &mut self.core);
        self.dialogs += session.dialog_count();
        if session.is_gone() {
            self.tags.remove(session.local_tag());
            self.sessions.remove(&id);
        }
    }

    fn add_session(&mut self, id: SessionId, session: Session) {
        self.dialogs += session.dialog_count();
        self.tags.insert(session.local_tag().into(), id);
        self.sessions.insert(id, Box::new(session));
    }

    fn new_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial | FROM_NETWORK
    }

    fn invite(&mut self, id: SessionId, invite: &Invite) {
        if self.sessions.contains_key(&id) {
            return;
        }
        if let Some(session) = Session::call(&mut self.core, id, invite) {
            self.add_session(id, session);
        }
    }

    fn request(&mut self, id: RequestId, hop: Hop, mut request: Request) {
        let key = self.core.new_client_key();
        request.headers.push_header_first("Via", self.core.via(hop, key));
        if request.headers.value("User-Agent").is_none() {
            request.headers.push_header("User-Agent", self.core.config.agent.as_str());
        }
        let mut bytes = Vec::with_capacity(512);
        wire::print_request(&request, &mut bytes);
        self.sent.insert(id, Box::new(request.headers));
        let way = Way { hop, reopen_at: None };
        self.core.send((Kind::Other, User::Request(id)), key, way, Bytes::from(bytes));
    }

    fn respond(&mut self, id: RequestId, reply: &Reply) {
        let Some(pending) = self.requests.remove(&id) else { return };
        let response = self.core.reply(&pending.head, reply.status).headers(&reply.headers).body(&reply.body);
        self.core.respond(pending.transaction, reply.status, response);
    }

    fn receive_response(&mut self, hop: Hop, response: Response) {
        let headers = &response.headers;
        let branch = headers.top_via().and_then(|via| self.core.instance.number(via.branch()?));
        let cseq = headers.value("CSeq").and_then(cseq::split);
        let (Some(branch), Some((_, method)), 1) = (branch, cseq, headers.via_count()) else {
            self.core.out.counts.stray += 1; // §18.1.2, §8.1.3.3: not ours
            return;
        };
        let key = ClientKey { branch, cancel: method == "CANCEL" };
        let to_tag = tag_of_to(headers);
        let status = response.status_code.code();
        let answer = Answer { status, to: headers.value("To").unwrap_or_default(), to_tag };
        let at = (&mut self.core.out, self.core.now);
        let Some((transaction, user)) = self.core.transactions.receive_response(at, key, &answer) else { return };
        match user {
            User::Request(id) if status >= 200 => {
                self.sent.remove(&id);
                self.core.out.events.push_back(Event::Response { id, response });
            }
            User::Session(id, purpose) => self.session_response(id, (transaction, purpose), (response, hop)),
            User::Nobody | User::Request(_) | User::Asked(_) => {}
        }
    }

    fn session_response(
        &mut self,
        id: SessionId,
        (transaction, purpose): (TransactionId, Purpose),
        (response, hop): (Response, Hop),
    ) {
        let status = response.status_code.code();
        if !self.sessions.contains_key(&id) {
            let is_invite = response.headers.cseq().is_some_and(|cseq| cseq.method == "INVITE");
            if is_invite && (200..300).contains(&status) {
                self.core.ack_and_bye(transaction, &response.headers, hop);
            }
            return;
        }
        self.session(id, |session, core| match purpose {
            Purpose::Invite => session.on_invite_response(core, transaction, (response, hop)),
            Purpose::Offer => session.on_offer_response(core, transaction, (response, hop)),
            Purpose::Prack | Purpose::Info | Purpose::Bye => session.on_response(core, purpose, &response),
        });
    }

    /// Tells the user of a client transaction that there will be no response.
    fn fail(&mut self, (_, user, failure): (TransactionId, User, LocalFailure)) {
        match user {
            User::Nobody => {}
            User::Asked(id) => drop(self.requests.remove(&id)),
            User::Request(id) => {
                if let Some(headers) = self.sent.remove(&id) {
                    let response = response_made_here(&headers, failure.status());
                    self.core.out.events.push_back(Event::Response { id, response });
                }
            }
            User::Session(id, purpose) => self.session(id, |session, core| match purpose {
                Purpose::Invite => session.on_invite_failure(core, failure),
                Purpose::Offer => session.on_offer_failure(core, failure),
                Purpose::Prack | Purpose::Info | Purpose::Bye => session.on_failure(core, (purpose, failure)),
            }),
        }
    }
}

/// A response as it would have come, had it come.
fn response_made_here(request: &rsip::Headers, status: u16) -> Response {
    let mut headers = rsip::Headers::default();
    for name in ["From", "To", "Call-ID", "CSeq"] {
        headers.push_header(name, request.value(name).unwrap_or_default());
    }
    Response { status_code: status_code(status), version: rsip::Version::V2, headers, body: Vec::new() }
}
