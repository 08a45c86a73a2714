//! The same messages to a running server, as datagrams and on streams: the answers, and that calls go on.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Row, bytes_of, table};
use crate::harness::{
    Login, PATIENCE, Tasks, TestPbx, Text, Transport, Unusual, challenges, datagram_socket, digest_answer, fresh,
    take_message,
};

/// The ports that the messages' topmost Via name or imply: answers go there, not to where the datagram came from (§18.2.2).
const PORTS: [u16; 5] = [5060, 5050, 5070, 6050, 19_823];

const PLAN: &str = "exten => user,1,Busy()\nexten => UserB,1,Busy()\nexten => echo,1,Answer()\n same => n,Echo()\n";

/// Someone at a loopback address of his own who listens on all those ports.
struct Sender {
    ip: IpAddr,
    socket: Arc<StdUdpSocket>,
    answers: mpsc::UnboundedReceiver<Text>,
    early: VecDeque<Text>,
    server: SocketAddr,
    _tasks: Tasks,
}

impl Sender {
    fn new(server: SocketAddr) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let process = std::process::id().to_be_bytes();
        let ip = IpAddr::from([127, 100 + process[2] % 100, process[3], NEXT.fetch_add(1, Ordering::Relaxed)]);
        let (arrived, answers) = mpsc::unbounded_channel();
        let tasks = Tasks::default();
        let mut first = None;
        for port in PORTS {
            let (reader, writer) = datagram_socket(SocketAddr::new(ip, port));
            let arrived = arrived.clone();
            tasks.spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(length) = reader.recv(&mut buffer).await {
                    let _ = arrived.send(Text::parse(&buffer[..length]).expect("a SIP message"));
                }
            });
            first.get_or_insert(writer);
        }
        Self { ip, socket: first.expect("a socket"), answers, early: VecDeque::new(), server, _tasks: tasks }
    }

    fn sends(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("a datagram sent");
    }

    /// The final answer to the request of that Call-ID and method.
    async fn answer(&mut self, call_id: Option<&str>, method: &str) -> Text {
        let wanted = |text: &Text| {
            let same = call_id.is_none_or(|call_id| text.call_id() == call_id) && text.method() == method;
            same && text.status().is_some_and(|status| status >= 200)
        };
        if let Some(at) = self.early.iter().position(wanted) {
            return self.early.remove(at).expect("an answer that came early");
        }
        loop {
            let text = timeout(PATIENCE, self.answers.recv()).await;
            let text = text
                .unwrap_or_else(|_| panic!("no answer to {method} {call_id:?}, but {:?}", self.early))
                .expect("open sockets");
            if wanted(&text) {
                return text;
            }
            self.early.push_back(text);
        }
    }

    /// After the answer to this nothing of before is still under way in the parser.
    async fn passes_barrier(&mut self) {
        let (request, call_id) = barrier(self.server, &format!("UDP {}:5060", self.ip));
        self.sends(&request);
        self.answer(Some(&call_id), "OPTIONS").await;
    }
}

fn barrier(server: SocketAddr, via: &str) -> (Vec<u8>, String) {
    let call_id = fresh("barrier");
    let request = Text::request("OPTIONS", &format!("sip:{server}"))
        .with("Via", format!("SIP/2.0/{via};rport;branch=z9hG4bK{}", fresh("b")))
        .with("Max-Forwards", "70")
        .with("From", "<sip:barrier@example.com>;tag=1")
        .with("To", format!("<sip:{server}>"))
        .with("Call-ID", call_id.clone())
        .with("CSeq", "1 OPTIONS");
    (request.print(), call_id)
}

fn is_among(status: u16, verdicts: &[String]) -> bool {
    let refused = [400, 416, 420, 481, 482, 483].contains(&status) || status >= 500;
    verdicts.iter().any(|verdict| match verdict.as_str() {
        "served" => !refused || status >= 600,
        number => number.parse() == Ok(status),
    })
}

/// What holds of every answer (RFC 3261 §8.2.6.2, §18.2.1).
fn is_proper_answer(row: &Row, request: &Text, answer: &Text, from: IpAddr) {
    let vias = |text: &Text| text.all("Via").iter().flat_map(|line| line.split(',')).count();
    assert_eq!(vias(answer), vias(request), "{}: every Via goes back", row.name);
    let top = answer.header("Via").unwrap_or("");
    let host_is_source = request.header("Via").is_some_and(|via| via.contains(&from.to_string()));
    let received = answer.header("Via").is_some_and(|via| via.contains(&format!("received={from}")));
    // a Via that nobody can read is given back as it was
    let unreadable = row.name.ends_with("badinv01") || row.name.ends_with("badvers");
    assert!(host_is_source || received || unreadable, "{}: received in {top}", row.name);
    if row.name.ends_with("multi01") {
        return;
    }
    for header in ["Call-ID", "CSeq", "From"] {
        assert_eq!(answer.header(header), request.header(header), "{}: {header}", row.name);
    }
}

fn ack(request: &Text, answer: &Text) -> Vec<u8> {
    let uri = request.start.split(' ').nth(1).unwrap_or("");
    let copy = |text: &Text, name: &str| text.header(name).unwrap_or("").to_owned();
    Text::request("ACK", uri)
        .with("Via", request.header("Via").and_then(|via| via.split(',').next()).unwrap_or(""))
        .with("From", copy(request, "From"))
        .with("To", copy(answer, "To"))
        .with("Call-ID", request.call_id())
        .with("CSeq", format!("{} ACK", request.cseq()))
        .print()
}

async fn a_call_works(pbx: &TestPbx) {
    let mut call = pbx.phone("guest").await.invite("echo").await;
    call.expects([200]).await.ack().await.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn every_datagram_gets_the_answer_of_the_table() {
    let mut wrong = Vec::new();
    for row in table() {
        // a server for each: many of the messages share a branch, and so would be one transaction
        let pbx = TestPbx::with(PLAN).await;
        let mut sender = Sender::new(pbx.address(Transport::Udp));
        let (bytes, request) = (bytes_of(&row.name), Text::parse(&bytes_of(&row.name)).expect("a message"));
        sender.sends(&bytes);
        if row.udp == ["drop"] {
            sender.passes_barrier().await;
            assert!(sender.early.is_empty(), "{}: {:?}", row.name, sender.early);
            continue;
        }
        let method = request.header("CSeq").and_then(|value| value.split_whitespace().nth(1)).unwrap_or("").to_owned();
        let answer = sender.answer(request.header("Call-ID"), &method).await;
        is_proper_answer(&row, &request, &answer, sender.ip);
        if method == "INVITE" && request.start.starts_with("INVITE") {
            sender.sends(&ack(&request, &answer));
        }
        let status = answer.status().unwrap_or(0);
        if !is_among(status, &row.udp) {
            wrong.push(format!("{}: {status} instead of {:?}", row.name, row.udp));
        }
        sender.passes_barrier().await;
        a_call_works(&pbx).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A stream to the server and what was read of it.
struct Line {
    stream: TcpStream,
    held: Vec<u8>,
    local: SocketAddr,
}

impl Line {
    async fn connect(server: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("an address");
        let stream = socket.connect(server).await.expect("a connection");
        let local = stream.local_addr().expect("an address");
        Self { stream, held: Vec::new(), local }
    }

    /// The next message; `None` when the server closed the connection.
    async fn next(&mut self) -> Option<Text> {
        let mut buffer = [0; 4_096];
        loop {
            if let Some(text) = take_message(&mut self.held) {
                return Some(text);
            }
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("an answer or the end in time");
            match read {
                Ok(count @ 1..) => self.held.extend_from_slice(&buffer[..count]),
                _ => return None,
            }
        }
    }

    async fn answer(&mut self, call_id: Option<&str>, method: &str) -> Option<Text> {
        loop {
            let text = self.next().await?;
            let same = call_id.is_none_or(|call_id| text.call_id() == call_id) && text.method() == method;
            if same && text.status().is_some_and(|status| status >= 200) {
                return Some(text);
            }
        }
    }

    async fn sends(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("an open stream");
    }

    /// The stream is still in step: a request behind all that is understood.
    async fn passes_barrier(&mut self, server: SocketAddr) -> bool {
        let (request, call_id) = barrier(server, &format!("TCP {}", self.local));
        self.stream.write_all(&request).await.is_ok() && self.answer(Some(&call_id), "OPTIONS").await.is_some()
    }
}

#[tokio::test]
async fn every_stream_gets_the_answer_of_the_table_and_goes_on_or_is_closed() {
    let mut wrong = Vec::new();
    for row in table() {
        let pbx = TestPbx::with(PLAN).await;
        let server = pbx.address(Transport::Tcp);
        let mut line = Line::connect(server).await;
        let (bytes, request) = (bytes_of(&row.name), Text::parse(&bytes_of(&row.name)).expect("a message"));
        line.sends(&bytes).await;
        if row.tcp == ["drop"] {
            assert!(line.passes_barrier(server).await, "{}", row.name);
            continue;
        }
        if row.tcp == ["wait"] {
            assert!(Line::connect(server).await.passes_barrier(server).await, "{}", row.name);
            assert!(line.stream.try_read(&mut [0; 64]).is_err(), "{}: no answer yet", row.name);
            continue;
        }
        let method = request.header("CSeq").and_then(|value| value.split_whitespace().nth(1)).unwrap_or("").to_owned();
        let answer = line.answer(request.header("Call-ID"), &method).await;
        let answer = answer.unwrap_or_else(|| panic!("{}: closed", row.name));
        let status = answer.status();
        is_proper_answer(&row, &request, &answer, line.local.ip());
        if let [verdict] = row.tcp.as_slice()
            && let Some(wanted) = verdict.strip_suffix("+close")
        {
            assert!(status.is_some_and(|status| is_among(status, &[wanted.to_owned()])), "{}: {status:?}", row.name);
            while line.next().await.is_some() {}
            continue;
        }
        if method == "INVITE" && request.start.starts_with("INVITE") {
            line.sends(&ack(&request, &answer)).await;
        }
        if !status.is_some_and(|status| is_among(status, &row.tcp)) {
            wrong.push(format!("{}: {status:?} instead of {:?}", row.name, row.tcp));
        }
        assert!(line.passes_barrier(server).await, "{}: the stream goes on", row.name);
        a_call_works(&pbx).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn two_requests_in_one_piece_of_a_stream_are_both_answered_before_it_closes() {
    let pbx = TestPbx::with(PLAN).await;
    let mut line = Line::connect(pbx.address(Transport::Tcp)).await;
    line.sends(&bytes_of("rfc4475/dblreq")).await;
    let mut finals = Vec::new();
    while let Some(text) = line.next().await {
        assert!(text.header("Via").is_some_and(|via| via.contains("received=127.0.0.1")), "{:?}", text.header("Via"));
        finals.extend(text.status().filter(|status| *status >= 200).map(|status| (text.method().to_owned(), status)));
    }
    finals.sort();
    let answered: Vec<&str> = finals.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(answered, ["INVITE", "REGISTER"], "{finals:?}");
    a_call_works(&pbx).await;
}

#[tokio::test]
async fn registrations_with_odd_contacts_succeed_and_are_listed_as_they_were_given() {
    let users = "\n[users.watson]\npassword = \"correct-horse-watson\"\ncontext = \"internal\"\n\
                 [users.user]\npassword = \"correct-horse-user\"\ncontext = \"internal\"\n";
    for (name, user, listed) in [
        ("rfc4475/cparam01", "watson", "<sip:+19725552222@gw1.example.net>"),
        ("rfc4475/cparam02", "watson", "<sip:+19725552222@gw1.example.net;unknownparam>"),
        ("rfc4475/regescrt", "user", "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"),
    ] {
        let pbx = TestPbx::unusual(PLAN, Unusual { settings: users.to_owned(), ..Unusual::default() }).await;
        let mut sender = Sender::new(pbx.address(Transport::Udp));
        let bytes = bytes_of(name);
        let call_id = Text::parse(&bytes).expect("a message").call_id().to_owned();
        sender.sends(&bytes);
        let refusal = sender.answer(Some(&call_id), "REGISTER").await;
        assert_eq!(refusal.status(), Some(401), "{name}");
        let password = format!("correct-horse-{user}");
        let login = Login { user, password: &password, method: "REGISTER", uri: "sip:example.com", count: 1 };
        let authorization = digest_answer(&challenges(&refusal)[0], &login);
        // the same message with credentials, in a transaction of its own
        let text = String::from_utf8(bytes).expect("text").replace("z9hG4bKkdjuw", "z9hG4bKkdjux");
        let cseq = Text::parse(text.as_bytes()).map_or(0, |text| text.cseq());
        let text = text.replace(&format!("CSeq: {cseq} "), &format!("CSeq: {} ", cseq + 1));
        let text = text.replacen("\r\n", &format!("\r\nAuthorization: {authorization}\r\n"), 1);
        sender.sends(text.as_bytes());
        let accepted = sender.answer(Some(&call_id), "REGISTER").await;
        assert_eq!(accepted.status(), Some(200), "{name}");
        let contacts = accepted.all("Contact");
        assert!(contacts.iter().any(|contact| contact.contains(listed)), "{name}: {contacts:?}");
    }
}
