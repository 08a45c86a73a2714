//! The `sip` task on real sockets of the loopback: each wait ends by an event, a deadline of seconds guards it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::{Arrival, Sip, TcpLimits, TransportConfig, TransportError};
use crate::sip::header::NameAddr;
use crate::sip::hop::{Hop, Transport};
use crate::sip::message;
use crate::sip::stack::{Command, EndedBy, Invite, Reply, SessionEvent};
use crate::sip::uri::Uri;

const SOON: Duration = Duration::from_secs(60);

fn config(ip: &str) -> TransportConfig {
    let address = SocketAddr::new(ip.parse().unwrap(), 0);
    TransportConfig { binds: vec![(Transport::Udp, address), (Transport::Tcp, address)], ..TransportConfig::default() }
}

async fn start(ip: &str) -> (Sip, Receiver<Arrival>) {
    Sip::start(config(ip)).await.unwrap()
}

fn address(sip: &Sip, transport: Transport) -> SocketAddr {
    sip.listening().iter().find(|(kind, _)| *kind == transport).unwrap().1
}

async fn next<T>(receiver: &mut Receiver<T>) -> T {
    timeout(SOON, receiver.recv()).await.expect("in time").expect("still open")
}

fn invite(hop: Hop) -> Box<Invite> {
    let uri = |text: String| Uri::parse(&text).unwrap();
    let transport = hop.transport.uri_name();
    Box::new(Invite {
        hop,
        uri: uri(format!("sip:bob@{};transport={transport}", hop.remote)),
        to: NameAddr::new(uri(format!("sip:bob@{}", hop.remote))),
        from: NameAddr::new(uri(format!("sip:alice@{}", hop.local))),
        contact: uri(format!("sip:alice@{};transport={transport}", hop.local)),
        routes: Vec::new(),
        headers: Vec::new(),
        offer: Some(Bytes::from_static(b"offer")),
        max_forwards: None,
        call_id: None,
    })
}

async fn call_over(transport: Transport, ip: &str) {
    let (alice, _arrivals) = start(ip).await;
    let (bob, mut arrivals) = start(ip).await;
    let hop = alice.local_for(transport, address(&bob, transport)).unwrap();
    let (id, mut alice_events) = alice.session(8);
    alice.send(Command::Invite { id, invite: invite(hop) });
    let Arrival::Call { id: bob_id, offer, mut events, .. } = next(&mut arrivals).await else { panic!("a call") };
    assert_eq!(offer.as_deref(), Some(&b"offer"[..]));
    bob.send(Command::Answer { id: bob_id, description: Some(Bytes::from_static(b"answer")), headers: Vec::new() });
    let SessionEvent::Answered { description, .. } = next(&mut alice_events).await else { panic!("an answer") };
    assert_eq!(description.as_deref(), Some(&b"answer"[..]));
    assert!(matches!(next(&mut events).await, SessionEvent::Acked { .. }));
    bob.send(Command::Hangup { id: bob_id, reason: None });
    assert!(matches!(next(&mut events).await, SessionEvent::Ended { by: EndedBy::Us, .. }));
    assert!(matches!(next(&mut alice_events).await, SessionEvent::Ended { by: EndedBy::Peer, .. }));
    assert!(timeout(SOON, alice_events.recv()).await.unwrap().is_none());
    for sip in [alice, bob] {
        timeout(SOON, sip.shutdown()).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_goes_over_udp_and_tcp_and_both_families() {
    for transport in [Transport::Udp, Transport::Tcp] {
        call_over(transport, "127.0.0.1").await;
        call_over(transport, "::1").await;
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (sip, _arrivals) = start("127.0.0.1").await;
    for (transport, taken) in sip.listening() {
        let config = TransportConfig { binds: vec![(*transport, *taken)], ..TransportConfig::default() };
        let error = Sip::start(config).await.err().unwrap();
        assert!(matches!(error, TransportError::Taken { address, .. } if address == *taken), "{error}");
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_request_is_answered_and_its_response_comes_back() {
    let (alice, _arrivals) = start("127.0.0.1").await;
    let (bob, mut arrivals) = start("127.0.0.1").await;
    let hop = alice.local_for(Transport::Udp, address(&bob, Transport::Udp)).unwrap();
    let headers = [
        ("Max-Forwards", "70".to_owned()),
        ("From", "<sip:alice@127.0.0.1>;tag=1".to_owned()),
        ("To", "<sip:bob@127.0.0.1>".to_owned()),
        ("Call-ID", "request-test".to_owned()),
        ("CSeq", "1 OPTIONS".to_owned()),
    ];
    let request = message::request(rsip::Method::Options, &Uri::parse("sip:bob@127.0.0.1").unwrap(), &headers);
    let asked = tokio::spawn(async move { alice.request(hop, request).await });
    let Arrival::Request { id, request, .. } = next(&mut arrivals).await else { panic!("a request") };
    assert_eq!(request.method, rsip::Method::Options);
    bob.send(Command::Respond { id, response: Reply { status: 200, ..Reply::default() } });
    let response = timeout(SOON, asked).await.unwrap().unwrap();
    assert_eq!(response.status_code.code(), 200);
}

#[tokio::test]
async fn a_refused_tcp_connection_is_a_503() {
    let (alice, _arrivals) = start("127.0.0.1").await;
    // Bound, so that it is nobody else's, but not listened at.
    let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    taken.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let free = taken.local_addr().unwrap().as_socket().unwrap();
    let (id, mut events) = alice.session(8);
    let hop = alice.local_for(Transport::Tcp, free).unwrap();
    alice.send(Command::Invite { id, invite: invite(hop) });
    let SessionEvent::Refused { status, .. } = next(&mut events).await else { panic!("a refusal") };
    assert_eq!(status, 503);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_udp_port_is_a_503_at_once_and_disturbs_no_one_else() {
    for ip in ["127.0.0.1", "::1"] {
        let (alice, _arrivals) = start(ip).await;
        let (bob, mut arrivals) = start(ip).await;
        // Connected, so that nobody but its peer reaches it, and its port is nobody else's.
        let taken = std::net::UdpSocket::bind((ip, 0)).unwrap();
        taken.connect((ip, 9)).unwrap();
        let closed = taken.local_addr().unwrap();
        let (id, mut events) = alice.session(8);
        let (other, mut other_events) = alice.session(8);
        let to_closed = alice.local_for(Transport::Udp, closed).unwrap();
        let to_bob = alice.local_for(Transport::Udp, address(&bob, Transport::Udp)).unwrap();
        alice.send(Command::Invite { id, invite: invite(to_closed) });
        alice.send(Command::Invite { id: other, invite: invite(to_bob) });
        let SessionEvent::Refused { status, .. } = next(&mut events).await else { panic!("a refusal") };
        assert_eq!(status, 503);
        let Arrival::Call { id: bob_id, .. } = next(&mut arrivals).await else { panic!("a call") };
        bob.send(Command::Progress { id: bob_id, status: 180, description: None, headers: Vec::new() });
        assert!(matches!(next(&mut other_events).await, SessionEvent::Progress { status: 180, .. }));
    }
}

#[tokio::test]
async fn a_source_that_sends_too_much_is_not_read() {
    let config = TransportConfig { requests_per_second_per_source: 3, ..config("127.0.0.1") };
    let (sip, mut arrivals) = Sip::start(config).await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let own = socket.local_addr().unwrap();
    let began = tokio::time::Instant::now();
    for number in 0..20 {
        let options = format!(
            "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKflood{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: flood{number}\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send_to(options.as_bytes(), address(&sip, Transport::Udp)).await.unwrap();
    }
    for _ in 0..3 {
        assert!(matches!(next(&mut arrivals).await, Arrival::Request { .. }));
    }
    let waited = tokio::time::Instant::now();
    while sip.traffic().received < 20 {
        assert!(waited.elapsed() < SOON);
        tokio::task::yield_now().await;
    }
    // Three at once, and three more with every second that went by.
    let more = (3.0 * began.elapsed().as_secs_f64()).ceil() as u64;
    assert!(sip.traffic().limited + 3 + more >= 20, "{:?}", sip.traffic());
}

#[tokio::test]
async fn a_stream_gets_its_pong_and_a_slow_one_is_closed_at_the_deadline() {
    // The pong has to come before it is over: the first message is due as soon as the connection stands.
    let tcp = TcpLimits { message_deadline: Duration::from_secs(5), ..TcpLimits::default() };
    let (sip, _arrivals) = Sip::start(TransportConfig { tcp, ..config("127.0.0.1") }).await.unwrap();
    let mut stream = TcpStream::connect(address(&sip, Transport::Tcp)).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    timeout(SOON, stream.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(&pong, b"\r\n");
    stream.write_all(b"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: ").await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn calls_nobody_takes_are_refused_with_503() {
    let (alice, _arrivals) = start("127.0.0.1").await;
    let (bob, arrivals) = start("127.0.0.1").await;
    drop(arrivals);
    let (id, mut events) = alice.session(8);
    let hop = alice.local_for(Transport::Udp, address(&bob, Transport::Udp)).unwrap();
    alice.send(Command::Invite { id, invite: invite(hop) });
    let SessionEvent::Refused { status, headers, .. } = next(&mut events).await else { panic!("a refusal") };
    assert_eq!((status, crate::sip::HeadersExt::value(&*headers, "Retry-After")), (503, Some("5")));
}
