//! One stack and a peer that speaks in raw text: what is answered, refused, repeated and dropped.

mod refusals;
mod repeats;
mod routing;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Command, Event, Reply, RequestId, SessionEvent, SessionId, Stack, StackConfig, Transmit};
use crate::sip::hop::{Hop, Transport};

/// A stack, its clock, and the address of the raw peer.
struct Lone {
    stack: Stack,
    now: Instant,
    hop: Hop,
}

impl Lone {
    fn new() -> Self {
        Self::with(StackConfig::default(), Transport::Udp)
    }

    fn with(config: StackConfig, transport: Transport) -> Self {
        let now = Instant::now();
        let local: SocketAddr = ([192, 0, 2, 2], 5060).into();
        let remote: SocketAddr = ([192, 0, 2, 1], 5070).into();
        Self { stack: Stack::new(config, 7, now), now, hop: Hop { transport, local, remote } }
    }

    /// Hands a message to the stack; what it sends at once.
    fn says(&mut self, text: &str) -> Vec<String> {
        self.stack.receive(self.now, self.hop, text.as_bytes());
        self.sent()
    }

    fn command(&mut self, command: Command) -> Vec<String> {
        self.stack.command(self.now, command);
        self.sent()
    }

    fn transmits(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.stack.poll_transmit()).collect()
    }

    fn sent(&mut self) -> Vec<String> {
        self.transmits().iter().map(|transmit| String::from_utf8_lossy(&transmit.bytes).into_owned()).collect()
    }

    /// Sends everything a span brings, with the milliseconds since its begin.
    fn passes(&mut self, span: Duration) -> Vec<(u128, String)> {
        let (begin, end) = (self.now, self.now + span);
        let mut sent = Vec::new();
        while let Some(next) = self.stack.poll_timeout().filter(|next| *next <= end) {
            self.now = next;
            self.stack.handle_timeout(next);
            let at_ms = next.duration_since(begin).as_millis();
            sent.extend(self.sent().into_iter().map(|text| (at_ms, first_line(&text).to_owned())));
        }
        self.now = end;
        sent
    }

    fn event(&mut self) -> Event {
        self.stack.poll_event().expect("an event")
    }

    fn incoming(&mut self) -> SessionId {
        match self.event() {
            Event::Session { id, event: SessionEvent::Incoming { .. } } => id,
            other => panic!("{other:?}"),
        }
    }

    fn request(&mut self) -> RequestId {
        match self.event() {
            Event::Request { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    /// Ends what lives, and asserts that nothing is left.
    fn run_out(&mut self) {
        for id in self.stack.session_ids() {
            self.command(Command::Hangup { id, reason: None });
        }
        while self.stack.poll_timeout().is_some() {
            self.passes(Duration::from_secs(60));
        }
        let counts = self.stack.counts();
        assert_eq!((counts.transactions, counts.dialogs, counts.sessions, counts.requests), (0, 0, 0, 0));
    }
}

/// A request outside a dialog; `more` are further header lines, each with its line end.
fn request(method: &str, branch: &str, more: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.1>;tag=alice\r\nTo: <sip:bob@192.0.2.2>\r\n\
         Call-ID: {branch}\r\nCSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.1:5070>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn status(sent: &[String]) -> Vec<&str> {
    sent.iter().filter_map(|text| first_line(text).split(' ').nth(1)).collect()
}

fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().filter_map(|line| line.split_once(": ")).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// The same request in the dialog that `response` has made.
fn within(method: &str, branch: &str, (response, number): (&str, u32)) -> String {
    request(method, branch, "")
        .replace("To: <sip:bob@192.0.2.2>", &format!("To: {}", header(response, "To").unwrap()))
        .replace(&format!("Call-ID: {branch}"), &format!("Call-ID: {}", header(response, "Call-ID").unwrap()))
        .replace("CSeq: 1 ", &format!("CSeq: {number} "))
}

fn ok() -> Reply {
    Reply { status: 200, ..Reply::default() }
}
