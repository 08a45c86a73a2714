//! Two live stacks with users who do whatever comes to their minds, and someone who sends them mutated messages.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rsip::Method;
use wirechief::sip::HeadersExt;
use wirechief::sip::header::{NameAddr, Reason};
use wirechief::sip::hop::{Hop, Transport};
use wirechief::sip::message::{self, Message};
use wirechief::sip::stack::{
    Command, Counts, Event, Invite, Reply, RequestId, SessionEvent, SessionId, Stack, StackConfig,
};
use wirechief::sip::uri::Uri;
use wirechief::sip::wire::{self, Framed, Framer};

use super::change::{Chance, Renewal, mutate, renew};

/// What came of mutated messages.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    mutated: u64,
    accepted: u64,
    answered: u64,
    dropped: u64,
    sessions: u64,
    sent: u64,
}

impl Tally {
    pub(super) fn add(&mut self, more: Self) {
        self.mutated += more.mutated;
        self.accepted += more.accepted;
        self.answered += more.answered;
        self.dropped += more.dropped;
        self.sessions += more.sessions;
        self.sent += more.sent;
    }

    /// Fails when so little got through, or was refused, that the run says nothing.
    pub(super) fn is_telling(&self) {
        let tenth = self.mutated / 10;
        assert!(self.accepted > 2 * tenth && self.answered > tenth && self.dropped > tenth / 10, "{self}");
        assert!(self.sessions > self.mutated / 100 && self.sent > tenth, "{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mutated, accepted, answered, dropped, sessions, sent } = self;
        write!(
            f,
            "{mutated} mutated messages: {accepted} accepted, {answered} refused with an answer, {dropped} dropped; "
        )?;
        write!(f, "{sessions} sessions, {sent} messages sent")
    }
}

/// A message that was sent in this round, and the side it went to.
struct Sent {
    to: usize,
    bytes: Bytes,
}

/// The two stacks and what flies between them.
pub(super) struct World<'a> {
    stacks: [Stack; 2],
    framers: [Framer; 2],
    now: Instant,
    transport: Transport,
    flying: VecDeque<Sent>,
    /// What the users have to react to.
    told: VecDeque<(usize, Event)>,
    /// What was sent before the first mutated message.
    flows: Vec<Sent>,
    fixtures: &'a [Vec<u8>],
    /// All 500s, which are repeated like other responses.
    errors: HashSet<Bytes>,
    chance: Chance,
    serial: u64,
    tally: Tally,
}

impl<'a> World<'a> {
    /// One round: ordinary calls, mutated messages among them, hang-ups; in the end nothing is left.
    pub(super) fn live(round: u64, mutations: u64, fixtures: &'a [Vec<u8>]) -> Tally {
        let now = Instant::now();
        let stack = |seed| Stack::new(StackConfig::default(), seed, now);
        let mut world = Self {
            stacks: [stack(2 * round), stack(2 * round + 1)],
            framers: [Framer::new(), Framer::new()],
            now,
            transport: if round.is_multiple_of(4) { Transport::Tcp } else { Transport::Udp },
            flying: VecDeque::new(),
            told: VecDeque::new(),
            flows: Vec::new(),
            fixtures,
            errors: HashSet::new(),
            chance: Chance::new(round),
            serial: 0,
            tally: Tally::default(),
        };
        world.make_flows();
        for _ in 0..mutations {
            world.send_mutated();
            if world.chance.one_in(8) {
                let pause_ms = world.chance.below(1_500) as u64;
                world.pass(Duration::from_millis(pause_ms));
            }
        }
        world.run_out();
        world.tally
    }

    fn hop(&self, side: usize) -> Hop {
        let addresses: [SocketAddr; 2] = [([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 2], 5060).into()];
        Hop { transport: self.transport, local: addresses[side], remote: addresses[1 - side] }
    }

    fn command(&mut self, side: usize, command: Command) {
        self.stacks[side].command(self.now, command);
        self.drain(side);
    }

    /// Calls and requests in several states, whose messages are then mutated.
    fn make_flows(&mut self) {
        for number in 0..4 {
            let (id, caller) = (SessionId(number), self.chance.below(2));
            let invite = Box::new(self.invite(caller));
            self.command(caller, Command::Invite { id, invite });
            self.settle();
        }
        for method in [Method::Options, Method::Register] {
            self.serial += 1;
            let side = self.chance.below(2);
            let headers = [
                ("Max-Forwards", "70".to_owned()),
                ("From", format!("<sip:user{side}@example.com>;tag=t{}", self.serial)),
                ("To", "<sip:other@example.com>".to_owned()),
                ("Call-ID", format!("request{}", self.serial)),
                ("CSeq", format!("1 {}", message::method_name(method))),
                ("Contact", "<sip:user@192.0.2.1>;expires=60;q=0.5".to_owned()),
            ];
            let request = Box::new(message::request(method, &uri("sip:other@example.com"), &headers));
            let (id, hop) = (RequestId(self.serial), self.hop(side));
            self.command(side, Command::Request { id, hop, request });
            self.settle();
        }
        self.pass(Duration::from_millis(600));
    }

    fn invite(&mut self, caller: usize) -> Invite {
        let hop = self.hop(caller);
        let supported = ("Supported".to_owned(), "100rel".to_owned());
        Invite {
            hop,
            uri: uri(&format!("sip:callee@{}", hop.remote)),
            to: NameAddr::new(uri(&format!("sip:callee@{}", hop.remote))),
            from: NameAddr::new(uri(&format!("sip:caller@{}", hop.local))),
            contact: uri(&format!("sip:caller@{}", hop.local)),
            routes: Vec::new(),
            headers: if self.chance.one_in(2) { vec![supported] } else { Vec::new() },
            offer: (!self.chance.one_in(4)).then(|| Bytes::from_static(b"v=0\r\n")),
            max_forwards: None,
            call_id: None,
        }
    }

    fn send_mutated(&mut self) {
        self.tally.mutated += 1;
        self.serial += 1;
        let chosen = self.chance.below(self.flows.len());
        let flow = &self.flows[chosen];
        let (to, mut bytes) = match self.chance.below(4) {
            0 => (self.chance.below(2), self.chance.of(self.fixtures).clone()),
            1 => (flow.to, flow.bytes.to_vec()),
            2 => (flow.to, renew(&flow.bytes, Renewal::Transaction, self.serial)),
            _ => (flow.to, renew(&flow.bytes, Renewal::Call, self.serial)),
        };
        let other = match self.chance.below(2) {
            0 => self.chance.of(self.fixtures).as_slice(),
            _ => &self.chance.of(&self.flows).bytes,
        };
        mutate(&mut bytes, other, &mut self.chance);
        assert!(wire::holds(&bytes), "the codec's promises: {}", String::from_utf8_lossy(&bytes));
        let (malformed, sent) = (self.stacks[to].counts().malformed, self.tally.sent);
        let framed = self.arrive(to, &bytes);
        let accepted = framed && self.stacks[to].counts().malformed == malformed;
        match (accepted, self.tally.sent > sent) {
            (true, _) => self.tally.accepted += 1,
            (false, true) => self.tally.answered += 1,
            (false, false) => self.tally.dropped += 1,
        }
        self.settle();
    }

    /// Brings bytes to a stack, through a framer when they come on a stream; `false` when that found no whole message.
    fn arrive(&mut self, to: usize, bytes: &[u8]) -> bool {
        let hop = self.hop(to);
        if self.transport == Transport::Udp {
            self.stacks[to].receive(self.now, hop, bytes);
            self.drain_after(to, bytes);
            return true;
        }
        let mut framed = false;
        self.framers[to].push(bytes);
        loop {
            match self.framers[to].next() {
                Ok(Some(Framed::Message(whole))) => {
                    framed = true;
                    self.stacks[to].receive(self.now, hop, &whole);
                    self.drain_after(to, &whole);
                }
                Ok(Some(Framed::Ping)) => {}
                Ok(None) => break,
                Err(error) => {
                    if let Some(answer) = error.answer {
                        self.stacks[to].answer_unframed(self.now, hop, *answer);
                        self.drain(to);
                    }
                    break;
                }
            }
        }
        self.framers[to] = Framer::new(); // each comes on a connection of its own
        framed
    }

    /// Takes what a stack puts out because of a message.
    fn drain_after(&mut self, side: usize, received: &[u8]) {
        let before = self.flying.len();
        self.drain(side);
        for sent in self.flying.range(before..) {
            let is_error = sent.bytes.starts_with(b"SIP/2.0 500");
            if is_error && self.errors.insert(sent.bytes.clone()) {
                assert!(asks_within_dialog(received), "500 to {}", String::from_utf8_lossy(received));
            }
        }
    }

    fn drain(&mut self, side: usize) {
        while let Some(transmit) = self.stacks[side].poll_transmit() {
            self.tally.sent += 1;
            let remote = transmit.hop.remote.ip();
            if remote != self.hop(side).remote.ip() {
                // a dialog goes where a mutated Contact or Record-Route says, a response never
                let is_response = transmit.bytes.starts_with(b"SIP/2.0");
                assert!(!is_response && !remote.is_multicast() && !remote.is_unspecified(), "sent to {remote}");
                continue;
            }
            if self.tally.mutated == 0 {
                self.flows.push(Sent { to: 1 - side, bytes: transmit.bytes.clone() });
            }
            self.flying.push_back(Sent { to: 1 - side, bytes: transmit.bytes });
        }
        while let Some(event) = self.stacks[side].poll_event() {
            self.told.push_back((side, event));
        }
    }

    /// Lets everything under way arrive, and the users react to what they are told, a bounded number of times.
    fn settle(&mut self) {
        for _ in 0..40 {
            if let Some(Sent { to, bytes }) = self.flying.pop_front() {
                // most refusals answer what the other side has never sent: a few of them are enough
                if !bytes.starts_with(b"SIP/2.0 4") || self.chance.one_in(4) {
                    self.arrive(to, &bytes);
                }
            } else if let Some((side, event)) = self.told.pop_front() {
                self.react(side, event);
            } else {
                return;
            }
        }
    }

    fn react(&mut self, side: usize, event: Event) {
        match event {
            Event::Request { id, .. } if !self.chance.one_in(8) => {
                let status = *self.chance.of(&[200, 401, 404]);
                self.command(side, Command::Respond { id, response: Reply { status, ..Reply::default() } });
            }
            Event::Session { id, event } => {
                self.tally.sessions += u64::from(matches!(event, SessionEvent::Incoming { .. }));
                if let Some(command) = self.reaction(id, &event) {
                    self.command(side, command);
                }
                if self.chance.one_in(8) {
                    let whim = self.whim(id);
                    self.command(side, whim);
                }
            }
            Event::Request { .. } | Event::Response { .. } => {}
        }
    }

    /// What a sensible user does, most of the time.
    fn reaction(&mut self, id: SessionId, event: &SessionEvent) -> Option<Command> {
        let description = Bytes::from_static(b"v=0\r\n");
        let headers = Vec::new();
        match (event, self.chance.below(8)) {
            (SessionEvent::Incoming { .. }, 0..2) => {
                Some(Command::Progress { id, status: 183, description: Some(description), headers })
            }
            (SessionEvent::Incoming { .. }, 2) => {
                Some(Command::Progress { id, status: 180, description: None, headers })
            }
            (SessionEvent::Incoming { .. }, 3) => Some(Command::Reject { id, status: 486, headers }),
            (SessionEvent::Incoming { .. }, 4..) => {
                Some(Command::Answer { id, description: Some(description), headers })
            }
            (SessionEvent::Answered { .. }, 0..7) => Some(Command::Ack { id, description }),
            (SessionEvent::Acked { .. }, 0) => Some(Command::Reoffer { id, description }),
            (SessionEvent::Offer { .. }, 0) => Some(Command::RefuseOffer { id, status: 488 }),
            (SessionEvent::Offer { .. }, 1..7) => Some(Command::AcceptOffer { id, description }),
            _ => None,
        }
    }

    /// What a user does for no reason, in any state.
    fn whim(&mut self, id: SessionId) -> Command {
        let description = Bytes::from_static(b"v=0\r\n");
        match self.chance.below(6) {
            0 => Command::Hangup { id, reason: Some(Reason::q850(16)) },
            1 => Command::Answer { id, description: Some(description), headers: Vec::new() },
            2 => Command::AcceptOffer { id, description },
            3 => Command::Info { id, content_type: "text/plain".to_owned(), body: description },
            _ => Command::Reoffer { id, description },
        }
    }

    /// Lets time pass, with all that is due in it.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(next) = self.next_timer().filter(|next| *next <= end) {
            self.fire(next);
            self.settle();
        }
        self.now = end;
    }

    fn next_timer(&self) -> Option<Instant> {
        self.stacks.iter().filter_map(Stack::poll_timeout).min()
    }

    fn fire(&mut self, at: Instant) {
        self.now = self.now.max(at);
        for side in 0..2 {
            self.stacks[side].handle_timeout(self.now);
            self.drain(side);
        }
    }

    /// The line is cut, everybody hangs up, and time runs until no timer is left.
    fn run_out(&mut self) {
        self.settle();
        for _ in 0..3 {
            for side in 0..2 {
                for id in self.stacks[side].session_ids() {
                    self.command(side, Command::Hangup { id, reason: None });
                }
            }
            let mut fired = 0;
            while let Some(next) = self.next_timer() {
                self.fire(next);
                self.flying.clear();
                self.told.clear();
                fired += 1;
                assert!(fired < 100_000, "timers that never end: {:?}", self.stacks.each_ref().map(Stack::describe));
            }
        }
        for stack in &self.stacks {
            let Counts { transactions, dialogs, sessions, requests, .. } = stack.counts();
            assert_eq!((transactions, dialogs, sessions, requests), (0, 0, 0, 0), "left: {:#?}", stack.describe());
        }
    }
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).expect("a URI")
}

/// Whether a 500 may answer it: a number out of order (RFC 3261 §12.2.2) or an offer too many (§14.2), both within a dialog.
fn asks_within_dialog(bytes: &[u8]) -> bool {
    match wire::parse(bytes) {
        Ok(Message::Request(request)) => request.headers.to_addr().is_some_and(|to| to.tag().is_some()),
        _ => false,
    }
}
