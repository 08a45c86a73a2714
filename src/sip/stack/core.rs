//! What every machine of the stack works with: settings, transactions, outputs, randomness and the time of this input.
//! Above: `session` and `stack`. Below: `transaction` and `compose`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rsip::{Headers, Method};

use super::outputs::{Due, Outputs};
use super::random::Random;
use super::{SessionEvent, SessionId, StackConfig};
use crate::sip::body::{SDP, find_description};
use crate::sip::compose::{self, ReplyHead, Writer};
use crate::sip::dialog::{Dialog, Way};
use crate::sip::header::HeadersExt;
use crate::sip::hop::{Hop, Transport};
use crate::sip::timer::{Timer, Token};
use crate::sip::transaction::key::{ClientKey, Instance};
use crate::sip::transaction::table::{NewClient, Transactions};
use crate::sip::transaction::{Kind, TransactionId, User};

/// Everything but the sessions.
pub(crate) struct Core {
    pub(crate) config: StackConfig,
    pub(crate) transactions: Transactions,
    pub(crate) out: Outputs,
    pub(crate) random: Random,
    pub(crate) instance: Instance,
    /// The time of the input being handled.
    pub(crate) now: Instant,
}

impl Core {
    pub(crate) fn new(config: StackConfig, mut random: Random, now: Instant) -> Self {
        let instance = Instance(u32::try_from(random.next() >> 32).unwrap_or_default());
        let transactions = Transactions::new(config.times);
        Self { config, transactions, out: Outputs::new(), random, instance, now }
    }

    pub(crate) fn new_client_key(&mut self) -> ClientKey {
        ClientKey { branch: self.random.next(), cancel: false }
    }

    /// The Via of a request of ours (§18.1.1, RFC 3581 §3).
    pub(crate) fn via(&self, hop: Hop, key: ClientKey) -> String {
        let branch = self.instance.branch(key.branch);
        format!("SIP/2.0/{} {};branch={branch};rport", hop.transport.via_name(), self.address(hop))
    }

    /// The Contact of ours for a peer at `hop`; `user` may be empty.
    pub(crate) fn contact(&self, hop: Hop, user: &str) -> String {
        let at = if user.is_empty() { "" } else { "@" };
        let transport = if hop.transport == Transport::Tcp { ";transport=tcp" } else { "" };
        format!("<sip:{user}{at}{}{transport}>", self.address(hop))
    }

    /// Host and port where we are reached by the peers of `hop`.
    fn address(&self, hop: Hop) -> String {
        match &self.config.advertise {
            Some(host) if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{}", hop.local.port()),
            Some(host) => format!("{host}:{}", hop.local.port()),
            None => hop.local.to_string(),
        }
    }

    pub(crate) fn transmit(&mut self, way: Way, bytes: Bytes) {
        self.out.transmit(way.carry(bytes));
    }

    pub(crate) fn emit(&mut self, id: SessionId, event: SessionEvent) {
        self.out.emit(id, event);
    }

    /// Sends a request in a transaction.
    pub(crate) fn send(
        &mut self,
        (kind, user): (Kind, User),
        key: ClientKey,
        way: Way,
        request: Bytes,
    ) -> TransactionId {
        let new = NewClient { kind, key, user, way, request };
        self.transactions.start_client((&mut self.out, self.now), new)
    }

    /// Sends a response in a transaction.
    pub(crate) fn respond(&mut self, id: TransactionId, status: u16, response: Bytes) {
        self.transactions.respond((&mut self.out, self.now), id, status, response);
    }

    /// Starts a response to the request whose head this is.
    pub(crate) fn reply(&self, head: &ReplyHead, status: u16) -> Writer {
        head.reply(status, &self.config.agent)
    }

    /// Answers with a bare response.
    pub(crate) fn reply_bare(&mut self, id: TransactionId, head: &ReplyHead, status: u16) {
        let response = self.reply(head, status).body(&[]);
        self.respond(id, status, response);
    }

    /// Answers with one header and no body.
    pub(crate) fn reply_with(&mut self, id: TransactionId, head: &ReplyHead, status: u16, header: (&str, &str)) {
        let response = self.reply(head, status).header(header.0, header.1).body(&[]);
        self.respond(id, status, response);
    }

    pub(crate) fn start_timer(&mut self, id: SessionId, timer: Timer, after: Duration) -> Token {
        self.out.timers.start(self.now + after, Due::Session(id, timer))
    }

    /// Acknowledges a 2xx that nobody wants and ends its dialog (§13.2.2.4): a fork's, or one that crossed our CANCEL.
    pub(crate) fn ack_and_bye(&mut self, invite: TransactionId, response: &Headers, hop: Hop) {
        let mut dialog = Dialog::of_response(response, hop);
        let way = dialog.way();
        let (mut ack, _) = dialog.request_numbered(self, Method::Ack, dialog.local_seq());
        let ack = ack.body(&[]);
        self.transactions.keep_ack(invite, dialog.remote_tag(), (way, ack.clone()));
        self.transmit(way, ack);
        let (mut bye, key) = dialog.request(self, Method::Bye);
        let bye = bye.body(&[]);
        self.send((Kind::Other, User::Nobody), key, way, bye);
    }

    /// What a 405, a 200 to OPTIONS and the responses of a session say about us (§11.2, §20.5).
    pub(crate) fn abilities(writer: &mut Writer) -> &mut Writer {
        writer.header("Allow", compose::ALLOW).header("Supported", compose::RELIABLE)
    }
}

/// Whether a body of this message is one we understand (§8.2.3); `Err` is the header of a 415.
pub(crate) fn check_body(headers: &Headers, body: &[u8]) -> Result<(), (&'static str, &'static str)> {
    if body.is_empty() {
        return Ok(());
    }
    if headers.values("Content-Encoding").iter().any(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(("Accept-Encoding", "identity"));
    }
    let optional = headers.value("Content-Disposition").is_some_and(|value| {
        value.split(';').skip(1).any(|param| param.replace(' ', "").eq_ignore_ascii_case("handling=optional"))
    });
    let understood = headers.value("Content-Type").is_some() && find_description(headers, body).is_some();
    if understood || optional { Ok(()) } else { Err(("Accept", SDP)) }
}
