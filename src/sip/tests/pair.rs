//! Two stacks on a simulated link and virtual time: the harness of the stack's tests.
//! The link loses, delays, reorders and duplicates as its seed says; hours of calls pass in milliseconds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::sip::header::NameAddr;
use crate::sip::hop::{Hop, Transport};
use crate::sip::stack::{Command, Counts, Event, Invite, SessionEvent, SessionId, Stack, StackConfig};
use crate::sip::uri::Uri;

/// How bad the link is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) loss_percent: u64,
    pub(crate) duplicate_percent: u64,
    pub(crate) latency_ms: u64,
    /// Up to this much is added to each message's latency: messages overtake each other.
    pub(crate) jitter_ms: u64,
    pub(crate) transport: Transport,
}

impl Link {
    pub(crate) const GOOD: Self =
        Self { loss_percent: 0, duplicate_percent: 0, latency_ms: 10, jitter_ms: 0, transport: Transport::Udp };
    pub(crate) const BAD: Self = Self { loss_percent: 30, duplicate_percent: 10, jitter_ms: 80, ..Self::GOOD };
    pub(crate) const STREAM: Self = Self { transport: Transport::Tcp, ..Self::GOOD };
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Alice,
    Bob,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Alice => Self::Bob,
            Self::Bob => Self::Alice,
        }
    }
}

struct Flying {
    at: Instant,
    serial: u64,
    to: Side,
    bytes: Bytes,
}

/// The two stacks, what flies between them, and what they told.
pub(crate) struct Pair {
    pub(crate) alice: Stack,
    pub(crate) bob: Stack,
    pub(crate) alice_events: Vec<Event>,
    pub(crate) bob_events: Vec<Event>,
    /// First line of everything sent, in order.
    pub(crate) trace: Vec<String>,
    /// All of it.
    pub(crate) bytes: Vec<Bytes>,
    pub(crate) now: Instant,
    pub(crate) link: Link,
    start: Instant,
    flying: Vec<Flying>,
    serial: u64,
    state: u64,
    /// Drops the messages whose first line starts with one of these, that many times.
    pub(crate) drops: Vec<(&'static str, usize)>,
}

impl Pair {
    pub(crate) fn new(link: Link, seed: u64) -> Self {
        let start = Instant::now();
        Self {
            alice: Stack::new(StackConfig::default(), seed, start),
            bob: Stack::new(StackConfig::default(), seed ^ 0xb0b, start),
            alice_events: Vec::new(),
            bob_events: Vec::new(),
            trace: Vec::new(),
            bytes: Vec::new(),
            now: start,
            link,
            start,
            flying: Vec::new(),
            serial: 0,
            state: seed.wrapping_mul(2).wrapping_add(1),
            drops: Vec::new(),
        }
    }

    pub(crate) fn hop(&self, side: Side) -> Hop {
        let alice: SocketAddr = ([192, 0, 2, 1], 5060).into();
        let bob: SocketAddr = ([192, 0, 2, 2], 5060).into();
        match side {
            Side::Alice => Hop { transport: self.link.transport, local: alice, remote: bob },
            Side::Bob => Hop { transport: self.link.transport, local: bob, remote: alice },
        }
    }

    pub(crate) fn stack(&mut self, side: Side) -> &mut Stack {
        match side {
            Side::Alice => &mut self.alice,
            Side::Bob => &mut self.bob,
        }
    }

    /// Gives a command and lets its messages take off.
    pub(crate) fn command(&mut self, side: Side, command: Command) {
        let now = self.now;
        self.stack(side).command(now, command);
        self.drain(side);
    }

    /// Hands bytes to a stack, as if the other side had sent them.
    pub(crate) fn inject(&mut self, to: Side, bytes: &[u8]) {
        let (now, hop) = (self.now, self.hop(to));
        self.stack(to).receive(now, hop, bytes);
        self.drain(to);
    }

    /// Alice calls Bob.
    pub(crate) fn call(&mut self, id: u64, offer: Option<&'static str>) -> SessionId {
        let id = SessionId(id);
        let invite = Box::new(self.invite_to_bob(offer));
        self.command(Side::Alice, Command::Invite { id, invite });
        id
    }

    pub(crate) fn invite_to_bob(&self, offer: Option<&'static str>) -> Invite {
        let uri = |text: &str| Uri::parse(text).unwrap();
        Invite {
            hop: self.hop(Side::Alice),
            uri: uri("sip:bob@192.0.2.2:5060"),
            to: NameAddr::new(uri("sip:bob@192.0.2.2:5060")),
            from: NameAddr::new(uri("sip:alice@192.0.2.1:5060")),
            contact: uri("sip:alice@192.0.2.1:5060"),
            routes: Vec::new(),
            headers: Vec::new(),
            offer: offer.map(|offer| Bytes::from_static(offer.as_bytes())),
            max_forwards: None,
            call_id: None,
        }
    }

    /// One arrival or timer; false when nothing is left to happen.
    pub(crate) fn step(&mut self) -> bool {
        let arrival = self.flying.iter().map(|flying| flying.at).min();
        let next = [arrival, self.alice.poll_timeout(), self.bob.poll_timeout()].into_iter().flatten().min();
        let Some(next) = next else { return false };
        self.now = self.now.max(next);
        let now = self.now;
        if arrival.is_some_and(|at| at <= now) {
            let index = (0..self.flying.len()).min_by_key(|i| (self.flying[*i].at, self.flying[*i].serial)).unwrap();
            let Flying { to, bytes, .. } = self.flying.swap_remove(index);
            let hop = self.hop(to);
            self.stack(to).receive(now, hop, &bytes);
            self.drain(to);
        } else {
            for side in [Side::Alice, Side::Bob] {
                self.stack(side).handle_timeout(now);
                self.drain(side);
            }
        }
        true
    }

    /// Runs for a span of virtual time.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let arrival = self.flying.iter().map(|flying| flying.at).min();
            let next = [arrival, self.alice.poll_timeout(), self.bob.poll_timeout()].into_iter().flatten().min();
            if next.is_none_or(|next| next > end) || !self.step() {
                break;
            }
        }
        self.now = end;
    }

    /// Runs for less than the shortest timer: messages arrive, nothing is repeated.
    pub(crate) fn settle(&mut self) {
        self.run(Duration::from_millis(200));
    }

    /// Runs until no timer is left, and asserts that nothing lives any more.
    pub(crate) fn run_out(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < 200_000, "never ends: {:?}", (self.alice.describe(), self.bob.describe()));
        }
        self.assert_empty(Side::Alice);
        self.assert_empty(Side::Bob);
    }

    /// Runs until no timer of one side is left, and asserts that nothing lives there any more.
    pub(crate) fn run_out_one(&mut self, side: Side) {
        while self.stack(side).poll_timeout().is_some() {
            self.step();
        }
        self.assert_empty(side);
    }

    fn assert_empty(&mut self, side: Side) {
        let lines = self.stack(side).describe();
        let Counts { transactions, dialogs, sessions, requests, .. } = self.stack(side).counts();
        assert_eq!((transactions, dialogs, sessions, requests), (0, 0, 0, 0), "{side:?} keeps {lines:?}");
    }

    /// Replaces text in what flies now.
    pub(crate) fn rewrite_next(&mut self, from: &str, to: &str) {
        for flying in &mut self.flying {
            flying.bytes = String::from_utf8_lossy(&flying.bytes).replace(from, to).into_bytes().into();
        }
    }

    /// The last message sent whose first line starts so.
    pub(crate) fn last_bytes(&self, start: &str) -> Bytes {
        self.bytes.iter().rev().find(|bytes| bytes.starts_with(start.as_bytes())).expect("such a message").clone()
    }

    /// The To tag of a message.
    pub(crate) fn to_tag(&self, bytes: &[u8]) -> String {
        let Ok(message) = crate::sip::wire::parse(bytes) else { panic!("a message") };
        crate::sip::dialog::tag_of_to(message.headers()).to_owned()
    }

    /// Everything a side was told of since the last call.
    pub(crate) fn events(&mut self, side: Side) -> Vec<Event> {
        match side {
            Side::Alice => std::mem::take(&mut self.alice_events),
            Side::Bob => std::mem::take(&mut self.bob_events),
        }
    }

    /// What a side's sessions told since the last call, in short words.
    pub(crate) fn told(&mut self, side: Side) -> Vec<String> {
        self.events(side).iter().map(in_words).collect()
    }

    /// The session of the last INVITE that came to Bob.
    pub(crate) fn incoming(&mut self) -> SessionId {
        self.bob_events
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Session { id, event: SessionEvent::Incoming { .. } } => Some(*id),
                _ => None,
            })
            .expect("an INVITE came")
    }

    /// How many messages whose first line starts so were sent.
    pub(crate) fn sent(&self, start: &str) -> usize {
        self.trace.iter().filter(|line| line.starts_with(start)).count()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn drain(&mut self, side: Side) {
        while let Some(transmit) = self.stack(side).poll_transmit() {
            assert_eq!(transmit.hop, self.hop(side), "sent to nowhere");
            let line = String::from_utf8_lossy(&transmit.bytes).lines().next().unwrap_or_default().to_owned();
            self.trace.push(line.clone());
            self.bytes.push(transmit.bytes.clone());
            if let Some(drop) = self.drops.iter_mut().find(|(start, left)| *left > 0 && line.starts_with(start)) {
                drop.1 -= 1;
                continue;
            }
            self.launch(side.other(), &transmit.bytes);
            if self.chance(self.link.duplicate_percent) {
                self.launch(side.other(), &transmit.bytes);
            }
        }
        while let Some(event) = self.stack(side).poll_event() {
            match side {
                Side::Alice => self.alice_events.push(event),
                Side::Bob => self.bob_events.push(event),
            }
        }
    }

    fn launch(&mut self, to: Side, bytes: &Bytes) {
        if self.chance(self.link.loss_percent) {
            return;
        }
        let latency_ms = self.link.latency_ms + self.random() % (self.link.jitter_ms + 1);
        self.serial += 1;
        let at = self.now + Duration::from_millis(latency_ms);
        self.flying.push(Flying { at, serial: self.serial, to, bytes: bytes.clone() });
    }

    fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.random() % 100 < percent
    }

    /// A number for choices of the tests themselves.
    pub(crate) fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state >> 11
    }
}

/// An event in short words.
pub(crate) fn in_words(event: &Event) -> String {
    let text = |description: &Option<Bytes>| match description {
        Some(bytes) => format!(" {}", String::from_utf8_lossy(bytes)),
        None => String::new(),
    };
    match event {
        Event::Request { request, .. } => format!("request {:?}", request.method),
        Event::Response { response, .. } => format!("response {}", response.status_code.code()),
        Event::Session { event, .. } => match event {
            SessionEvent::Incoming { offer, .. } => format!("incoming{}", text(offer)),
            SessionEvent::Progress { status, description, .. } => format!("progress {status}{}", text(description)),
            SessionEvent::Answered { description, .. } => format!("answered{}", text(description)),
            SessionEvent::Acked { description } => format!("acked{}", text(description)),
            SessionEvent::Refused { status, .. } => format!("refused {status}"),
            SessionEvent::Cancelled { reason } => match reason {
                Some(reason) => format!("cancelled {reason}"),
                None => "cancelled".to_owned(),
            },
            SessionEvent::Offer { description, method } => format!("offer {method:?}{}", text(description)),
            SessionEvent::OfferAnswered { description } => format!("offer answered{}", text(description)),
            SessionEvent::OfferRefused { status } => format!("offer refused {status}"),
            SessionEvent::Info { body, .. } => format!("info {}", String::from_utf8_lossy(body)),
            SessionEvent::Ended { by, reason } => match reason {
                Some(reason) => format!("ended {by:?} {reason}"),
                None => format!("ended {by:?}"),
            },
        },
    }
}
