//! What a call costs in the SIP stack alone: both legs of a B2BUA, no socket, no task, time made up.
//!
//! `cargo bench --bench stack [-- --calls 20000]`. The peers' work is not counted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wirechief::sip::Hop;
use wirechief::sip::header::NameAddr;
use wirechief::sip::hop::Transport;
use wirechief::sip::stack::{Command, Event, Invite, SessionEvent, SessionId, Stack, StackConfig};
use wirechief::sip::uri::Uri;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DESCRIPTION: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=ptime:20\r\n";
/// Time between two calls: timers of some thousands run at once, as in a busy server.
const PAUSE: Duration = Duration::from_millis(5);

/// The stack under test, its clock, and what it has cost so far.
struct Server {
    stack: Stack,
    now: Instant,
    cost: Duration,
    steps: Vec<(&'static str, Duration)>,
}

impl Server {
    fn new() -> Self {
        let now = Instant::now();
        Self { stack: Stack::new(StackConfig::default(), 7, now), now, cost: Duration::ZERO, steps: Vec::new() }
    }

    /// Does one thing and takes everything that follows from it.
    fn does(&mut self, name: &'static str, act: impl FnOnce(&mut Stack, Instant)) -> (Vec<Bytes>, Vec<Event>) {
        let began = Instant::now();
        act(&mut self.stack, self.now);
        let sent = std::iter::from_fn(|| self.stack.poll_transmit()).map(|transmit| transmit.bytes).collect();
        let events = std::iter::from_fn(|| self.stack.poll_event()).collect();
        let took = began.elapsed();
        self.cost += took;
        match self.steps.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += took,
            None => self.steps.push((name, took)),
        }
        (sent, events)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--calls");
    let calls: u32 = at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(20_000);
    let mut server = Server::new();
    for number in 0..1_000 {
        call(&mut server, number);
    }
    (server.cost, server.steps) = (Duration::ZERO, Vec::new());
    for number in 0..calls {
        call(&mut server, 1_000 + number);
    }
    for (name, sum) in &server.steps {
        println!("{name:28} {:8.2} µs", (*sum / calls).as_secs_f64() * 1e6);
    }
    println!("{:28} {:8.2} µs", "a call", (server.cost / calls).as_secs_f64() * 1e6);
}

/// One call from INVITE to the last 200.
fn call(server: &mut Server, number: u32) {
    let (caller, callee) = (hop(5_070), hop(5_080));
    server.now += PAUSE;
    let (_, events) = server.does("INVITE comes", |stack, now| stack.receive(now, caller, invite(number).as_bytes()));
    let Some(Event::Session { id, event: SessionEvent::Incoming { .. } }) = events.into_iter().next() else {
        panic!("no call came");
    };
    let out = SessionId(u64::from(number) + 1);
    let place = Command::Invite { id: out, invite: Box::new(second_leg(callee, number)) };
    let (sent, _) = server.does("INVITE goes", |stack, now| stack.command(now, place));
    let answer = answered(&sent, DESCRIPTION);
    let (sent, _) = server.does("200 comes, ACK goes", |stack, now| stack.receive(now, callee, answer.as_bytes()));
    assert!(sent.first().is_some_and(|ack| ack.starts_with(b"ACK ")));
    let answer = Command::Answer { id, description: Some(DESCRIPTION.into()), headers: Vec::new() };
    let (sent, _) = server.does("200 goes", |stack, now| stack.command(now, answer));
    let to = header(text(&sent), "To").to_owned();
    server.does("ACK comes", |stack, now| stack.receive(now, caller, within("ACK", number, &to).as_bytes()));
    let (_, events) = server
        .does("BYE comes, 200 goes", |stack, now| stack.receive(now, caller, within("BYE", number, &to).as_bytes()));
    assert!(matches!(events.first(), Some(Event::Session { event: SessionEvent::Ended { .. }, .. })));
    let (sent, _) = server.does("BYE goes", |stack, now| stack.command(now, Command::Hangup { id: out, reason: None }));
    let answer = answered(&sent, "");
    server.does("200 to BYE comes", |stack, now| stack.receive(now, callee, answer.as_bytes()));
    server.does("timers", Stack::handle_timeout);
}

fn hop(port: u16) -> Hop {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Hop { transport: Transport::Udp, local: at(5_060), remote: at(port) }
}

fn invite(number: u32) -> String {
    format!(
        "INVITE sip:{number}@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;rport;branch=z9hG4bKi{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bench@127.0.0.1:5070>;tag=a{number}\r\nTo: <sip:{number}@127.0.0.1:5060>\r\n\
         Call-ID: {number}@bench\r\nCSeq: 1 INVITE\r\nContact: <sip:bench@127.0.0.1:5070>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{DESCRIPTION}",
        DESCRIPTION.len()
    )
}

fn within(method: &str, number: u32, to: &str) -> String {
    let cseq = if method == "ACK" { 1 } else { 2 };
    format!(
        "{method} sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;rport;branch=z9hG4bK{method}{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bench@127.0.0.1:5070>;tag=a{number}\r\nTo: {to}\r\nCall-ID: {number}@bench\r\n\
         CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn second_leg(hop: Hop, number: u32) -> Invite {
    let uri: Uri = format!("sip:{number}@127.0.0.1:5080").parse().expect("a URI");
    let us: Uri = "sip:bench@127.0.0.1:5060".parse().expect("a URI");
    Invite {
        hop,
        uri: uri.clone(),
        to: NameAddr::new(uri),
        from: NameAddr::new(us.clone()),
        contact: us,
        routes: Vec::new(),
        headers: Vec::new(),
        offer: Some(DESCRIPTION.into()),
        max_forwards: Some(69),
        call_id: Some(format!("{number}@second")),
    }
}

fn text(sent: &[Bytes]) -> &str {
    sent.first().and_then(|bytes| std::str::from_utf8(bytes).ok()).expect("a message was sent")
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// The callee's 200 to the request that was sent.
fn answered(sent: &[Bytes], body: &str) -> String {
    let request = text(sent);
    let to = header(request, "To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=uas" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nCall-ID: {}\r\nCSeq: {}\r\nTo: {to}{tag}\r\n\
         Contact: <sip:uas@127.0.0.1:5080>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        body.len()
    )
}
