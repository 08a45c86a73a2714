//! All transactions and the way from a message to its machine (RFC 3261 §17.1.3, §17.2.3).
//! Above: `stack` hands in messages, `session` starts and answers. Below: the machines, the timer queue, the transmit queue.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::key::{ClientKey, ServerKey};
use super::{
    Action, Input, Kind, LocalFailure, Machine, TransactionId, User, client, invite_client, invite_server, server,
};
use crate::sip::compose;
use crate::sip::dialog::Way;
use crate::sip::hop::{Hop, Transport};
use crate::sip::stack::outputs::{Due, Outputs};
use crate::sip::timer::{Timer, Times, Token};

#[derive(Debug)]
enum Name {
    Client(ClientKey),
    Server { key: ServerKey, merge: Option<u64> },
}

struct Transaction {
    machine: Machine,
    name: Name,
    user: User,
    way: Way,
    /// The request of a client, the last response of a server; empty when no longer needed.
    last: Bytes,
    /// Set for an INVITE that must end though it was answered provisionally.
    limited: bool,
    /// Length of the current pause between repeats.
    pause: Duration,
    repeat: Option<Token>,
    end: Option<Token>,
    /// The ACK of each 2xx, by To-tag: a repeated 2xx gets it again (§13.2.2.4).
    acks: Vec<(Box<str>, Way, Bytes)>,
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} for {:?} at {}", self.machine, self.name, self.user, self.way.hop.remote)
    }
}

/// A request to be sent in a new client transaction.
pub(crate) struct NewClient {
    pub(crate) kind: Kind,
    pub(crate) key: ClientKey,
    pub(crate) user: User,
    pub(crate) way: Way,
    pub(crate) request: Bytes,
}

/// A request that came and opens a server transaction.
pub(crate) struct NewServer {
    pub(crate) kind: Kind,
    pub(crate) key: ServerKey,
    /// Mark of the same request by another way (§8.2.2.2); requests within dialogs have none.
    pub(crate) merge: Option<u64>,
    pub(crate) user: User,
    pub(crate) way: Way,
}

/// All transactions of a stack.
pub(crate) struct Transactions {
    times: Times,
    serial: u64,
    table: HashMap<TransactionId, Transaction>,
    clients: HashMap<ClientKey, TransactionId>,
    servers: HashMap<ServerKey, TransactionId>,
    merges: HashMap<u64, TransactionId>,
    /// How many client transactions each TCP connection carries: most carry none when they close.
    streams: HashMap<Hop, usize>,
}

impl Transactions {
    pub(crate) fn new(times: Times) -> Self {
        Self {
            times,
            serial: 0,
            table: HashMap::new(),
            clients: HashMap::new(),
            servers: HashMap::new(),
            merges: HashMap::new(),
            streams: HashMap::new(),
        }
    }

    /// Sends a request in a transaction of its own.
    pub(crate) fn start_client(&mut self, at: (&mut Outputs, Instant), new: NewClient) -> TransactionId {
        let machine = match new.kind {
            Kind::Invite => Machine::InviteClient(invite_client::State::Calling),
            Kind::Other => Machine::Client(client::State::Trying),
        };
        let transaction = Transaction::new(machine, Name::Client(new.key), new.user, new.way);
        self.start(at, Transaction { last: new.request, ..transaction })
    }

    /// Opens a transaction for a request that came; the caller has looked that there is none yet.
    pub(crate) fn start_server(&mut self, at: (&mut Outputs, Instant), new: NewServer) -> TransactionId {
        let machine = match new.kind {
            Kind::Invite => Machine::InviteServer(invite_server::State::Proceeding),
            Kind::Other => Machine::Server(server::State::Trying),
        };
        self.start(at, Transaction::new(machine, Name::Server { key: new.key, merge: new.merge }, new.user, new.way))
    }

    /// Takes a response; what must go up is returned with its user and transaction.
    pub(crate) fn receive_response(
        &mut self,
        (out, now): (&mut Outputs, Instant),
        key: ClientKey,
        answer: &Answer<'_>,
    ) -> Option<(TransactionId, User)> {
        let id = *self.clients.get(&key)?;
        let transaction = self.table.get_mut(&id)?;
        let is_success = (200..300).contains(&answer.status);
        if let Some((_, way, ack)) = transaction.acks.iter().find(|(tag, ..)| is_success && **tag == *answer.to_tag) {
            out.counts.retransmissions += 1;
            out.transmit(way.carry(ack.clone()));
            return None;
        }
        let user = transaction.user;
        match self.step((out, now), id, Input::of_status(answer.status), Some(answer.to)) {
            Action::PassUp | Action::AcknowledgeAndPassUp => Some((id, user)),
            _ => None,
        }
    }

    /// Takes a repeat of a request; the last response goes out again where the machine wants it.
    pub(crate) fn receive_repeat(&mut self, at: (&mut Outputs, Instant), id: TransactionId) {
        self.step(at, id, Input::Repeat, None);
    }

    /// Takes the ACK of a refusal.
    pub(crate) fn receive_ack(&mut self, at: (&mut Outputs, Instant), id: TransactionId) {
        self.step(at, id, Input::Ack, None);
    }

    /// Sends a response in a server transaction; a second final response is dropped.
    pub(crate) fn respond(&mut self, at: (&mut Outputs, Instant), id: TransactionId, status: u16, response: Bytes) {
        let Some(transaction) = self.table.get_mut(&id) else { return };
        let input = Input::of_status(status);
        if transaction.machine.step(input).1 == Action::Send {
            transaction.last = response;
            self.step(at, id, input, None);
        }
    }

    /// Sends the last response of a server transaction again: the session's own repeats (§13.3.1.4).
    pub(crate) fn resend(&mut self, out: &mut Outputs, id: TransactionId) {
        if let Some(transaction) = self.table.get(&id).filter(|transaction| !transaction.last.is_empty()) {
            out.counts.retransmissions += 1;
            transaction.send_last(out);
        }
    }

    /// Frees the response of an accepted INVITE: its ACK has come.
    pub(crate) fn forget_response(&mut self, id: TransactionId) {
        if let Some(transaction) = self.table.get_mut(&id) {
            transaction.last = Bytes::new();
        }
    }

    /// Keeps the ACK of a 2xx, so that a repeat of that 2xx gets it again.
    pub(crate) fn keep_ack(&mut self, id: TransactionId, to_tag: &str, ack: (Way, Bytes)) {
        if let Some(transaction) = self.table.get_mut(&id) {
            transaction.acks.push((to_tag.into(), ack.0, ack.1));
        }
    }

    /// The request that a client transaction sent; nothing once it is no longer needed.
    pub(crate) fn request(&self, id: TransactionId) -> Option<(&Bytes, Way, ClientKey)> {
        let transaction = self.table.get(&id)?;
        match transaction.name {
            Name::Client(key) if !transaction.last.is_empty() => Some((&transaction.last, transaction.way, key)),
            _ => None,
        }
    }

    /// Takes a timer that fired; a client that got no response is returned.
    pub(crate) fn fire(
        &mut self,
        at: (&mut Outputs, Instant),
        id: TransactionId,
        timer: Timer,
    ) -> Option<(TransactionId, User, LocalFailure)> {
        let user = self.table.get(&id)?.user;
        match self.step(at, id, Input::Fired(timer), None) {
            Action::TimedOut => Some((id, user, LocalFailure::TimedOut)),
            _ => None,
        }
    }

    /// Fails all client transactions that wait for something from `hop` (§8.1.3.1).
    pub(crate) fn transport_failed(
        &mut self,
        (out, now): (&mut Outputs, Instant),
        hop: Hop,
    ) -> Vec<(TransactionId, User, LocalFailure)> {
        if hop.transport == Transport::Tcp && !self.streams.contains_key(&hop) {
            return Vec::new();
        }
        let waiting: Vec<_> = self
            .clients
            .values()
            .filter_map(|id| {
                self.table.get(id).filter(|transaction| transaction.way.hop == hop).map(|found| (*id, found.user))
            })
            .collect();
        let mut failed = Vec::new();
        for (id, user) in waiting {
            if self.step((&mut *out, now), id, Input::Failed, None) == Action::Unreachable {
                failed.push((id, user, LocalFailure::Unreachable));
            }
        }
        failed
    }

    /// Gives a client INVITE 64·T1 from now for its final response: it was cancelled (§9.1), or its session is over.
    pub(crate) fn limit(&mut self, (out, now): (&mut Outputs, Instant), id: TransactionId) {
        if let Some(transaction) = self.table.get_mut(&id) {
            let ends = transaction.ends();
            transaction.limited = true;
            transaction.run_end_timer(&self.times, (out, now), id, ends);
        }
    }

    pub(crate) fn server(&self, key: &ServerKey) -> Option<TransactionId> {
        self.servers.get(key).copied()
    }

    pub(crate) fn user(&self, id: TransactionId) -> Option<User> {
        self.table.get(&id).map(|transaction| transaction.user)
    }

    /// Whether the same request came already by another way (§8.2.2.2).
    pub(crate) fn is_merged(&self, merge: u64) -> bool {
        self.merges.contains_key(&merge)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// One line for each transaction.
    pub(crate) fn describe(&self) -> Vec<String> {
        self.table.values().map(ToString::to_string).collect()
    }

    fn start(&mut self, (out, now): (&mut Outputs, Instant), mut transaction: Transaction) -> TransactionId {
        self.serial += 1;
        let id = TransactionId(self.serial);
        match &transaction.name {
            Name::Client(key) => {
                self.clients.insert(*key, id);
                if transaction.is_on_stream() {
                    *self.streams.entry(transaction.way.hop).or_default() += 1;
                }
            }
            Name::Server { key, merge } => {
                self.servers.insert(key.clone(), id);
                if let Some(merge) = merge {
                    self.merges.insert(*merge, id);
                }
            }
        }
        transaction.send_last(out);
        transaction.run_timers(&self.times, (out, now), id, None);
        self.table.insert(id, transaction);
        id
    }

    fn step(
        &mut self,
        (out, now): (&mut Outputs, Instant),
        id: TransactionId,
        input: Input,
        to: Option<&str>,
    ) -> Action {
        let Some(transaction) = self.table.get_mut(&id) else { return Action::Nothing };
        let before = transaction.machine;
        let (after, action) = before.step(input);
        transaction.machine = after;
        match action {
            Action::Retransmit => {
                out.counts.retransmissions += u64::from(!transaction.last.is_empty());
                transaction.send_last(out);
            }
            Action::Send => transaction.send_last(out),
            Action::Acknowledge | Action::AcknowledgeAndPassUp => {
                let bytes = compose::ack_of_refusal(&transaction.last, to.unwrap_or_default());
                out.transmit(transaction.way.carry(bytes));
            }
            Action::Nothing | Action::PassUp | Action::TimedOut | Action::Unreachable => {}
        }
        if !after.needs_last() {
            transaction.last = Bytes::new();
        }
        if let Input::Fired(timer) = input {
            transaction.forget_token(before, timer);
        }
        if !after.is_terminated() {
            transaction.run_timers(&self.times, (&mut *out, now), id, Some((before, input)));
        }
        if self.table.get(&id).is_some_and(|transaction| transaction.machine.is_terminated()) {
            self.remove(out, id);
        }
        action
    }

    fn remove(&mut self, out: &mut Outputs, id: TransactionId) {
        let Some(mut transaction) = self.table.remove(&id) else { return };
        out.timers.cancel(&mut transaction.repeat);
        out.timers.cancel(&mut transaction.end);
        match &transaction.name {
            Name::Client(key) => {
                self.clients.remove(key);
                if transaction.is_on_stream()
                    && let Some(count) = self.streams.get_mut(&transaction.way.hop)
                {
                    *count -= 1;
                    if *count == 0 {
                        self.streams.remove(&transaction.way.hop);
                    }
                }
            }
            Name::Server { key, merge } => {
                self.servers.remove(key);
                if let Some(merge) = merge.filter(|merge| self.merges.get(merge) == Some(&id)) {
                    self.merges.remove(&merge);
                }
            }
        }
    }
}

/// What the table must know of a response.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// The whole value of To, for the ACK of a refusal (§17.1.1.3).
    pub(crate) to: &'a str,
    pub(crate) to_tag: &'a str,
}

impl Transaction {
    fn new(machine: Machine, name: Name, user: User, way: Way) -> Self {
        Self {
            machine,
            name,
            user,
            way,
            last: Bytes::new(),
            limited: false,
            pause: Duration::ZERO,
            repeat: None,
            end: None,
            acks: Vec::new(),
        }
    }

    fn is_on_stream(&self) -> bool {
        self.way.hop.transport == Transport::Tcp
    }

    fn send_last(&self, out: &mut Outputs) {
        if !self.last.is_empty() {
            out.transmit(self.way.carry(self.last.clone()));
        }
    }

    fn forget_token(&mut self, before: Machine, timer: Timer) {
        if before.repeats() == Some(timer) {
            self.repeat = None;
        } else {
            self.end = None;
        }
    }

    /// Starts and stops timers so that they are those of the state; `came_by` is absent in the first state.
    fn run_timers(
        &mut self,
        times: &Times,
        (out, now): (&mut Outputs, Instant),
        id: TransactionId,
        came_by: Option<(Machine, Input)>,
    ) {
        match self.machine.repeats().filter(|_| self.way.hop.transport == Transport::Udp) {
            None => out.timers.cancel(&mut self.repeat),
            Some(timer) => {
                if let Some((_, Input::Fired(fired))) = came_by
                    && fired == timer
                {
                    self.pause = match self.machine {
                        Machine::Client(client::State::Proceeding) => times.t2, // §17.1.2.2
                        _ => times.longer(timer, self.pause),
                    };
                    self.repeat = Some(out.timers.start(now + self.pause, Due::Transaction(id, timer)));
                } else if self.repeat.is_none() {
                    self.pause = times.length(timer);
                    self.repeat = Some(out.timers.start(now + self.pause, Due::Transaction(id, timer)));
                }
            }
        }
        let ended_by = came_by.and_then(|(before, _)| self.ends_of(before));
        self.run_end_timer(times, (out, now), id, ended_by);
    }

    /// Starts the timer that ends the state, unless it is the one that runs already.
    fn run_end_timer(
        &mut self,
        times: &Times,
        (out, now): (&mut Outputs, Instant),
        id: TransactionId,
        running: Option<Timer>,
    ) {
        let ends = self.ends();
        if ends == running {
            return;
        }
        out.timers.cancel(&mut self.end);
        match ends {
            // Over a stream nothing is repeated, so nothing needs to be absorbed.
            Some(Timer::D | Timer::I | Timer::J | Timer::K) if self.is_on_stream() => self.terminate(),
            Some(timer) => {
                self.end = Some(out.timers.start(now + times.length(timer), Due::Transaction(id, timer)));
            }
            None => {}
        }
    }

    fn ends(&self) -> Option<Timer> {
        self.ends_of(self.machine)
    }

    fn ends_of(&self, machine: Machine) -> Option<Timer> {
        match machine.ends() {
            Some(Timer::B) | None if self.limited && !machine.is_terminated() => Some(Timer::Cancelled),
            ends => ends,
        }
    }

    fn terminate(&mut self) {
        self.machine = match self.machine {
            Machine::InviteClient(_) => Machine::InviteClient(invite_client::State::Terminated),
            Machine::Client(_) => Machine::Client(client::State::Terminated),
            Machine::InviteServer(_) => Machine::InviteServer(invite_server::State::Terminated),
            Machine::Server(_) => Machine::Server(server::State::Terminated),
        };
    }
}
