//! The control socket over a real socket: every method, every refusal, and what a client can do to harm.

pub(crate) mod fake;
mod folder;

use std::time::Duration;

use bytes::BytesMut;
use fake::{CALLEE, CALLER, Fake, Server, event};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use wirechief::control::client::{Client, ClientError, SpyEvent};
use wirechief::control::frame::Frame;
use wirechief::control::protocol::*;
use wirechief::control::server::{Limits, SpyNews, SpySound};

/// Far beyond what anything here takes; only a failing test waits so long.
const DEADLINE: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("nothing came within the deadline")
}

fn fault<T>(answer: Result<T, ClientError>) -> Fault {
    match answer {
        Err(ClientError::Fault(fault)) => fault,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test]
async fn every_method_is_answered_on_one_connection() {
    let server = Server::start();
    let mut client = server.client().await;
    let status: Status = client.request(method::STATUS, &()).await.unwrap();
    assert_eq!((status.pid, status.calls), (std::process::id(), 1));
    let calls: Vec<CallInfo> = client.list(method::CALLS, &()).await.unwrap();
    assert_eq!(calls[0].legs.len(), 2);
    let call: CallDetail = client.request(method::CALL, &Target { uuid: CALLEE.into() }).await.unwrap();
    assert_eq!(call.legs[0].variables["EXTEN"], "1002");
    let hungup: Hungup = client.request(method::HANGUP, &Hangup { uuid: CALLER.into(), cause: None }).await.unwrap();
    assert_eq!(hungup.legs, [CALLER, CALLEE]);
    let originate = Originate { endpoint: "SIP/1001".into(), app: "Echo".into(), ..Originate::default() };
    let originated: Originated = client.request(method::ORIGINATE, &originate).await.unwrap();
    assert_eq!(originated.uuid, CALLEE);
    let users: Vec<UserInfo> = client.list(method::USERS, &()).await.unwrap();
    let registrations: Vec<RegistrationInfo> = client.list(method::REGISTRATIONS, &()).await.unwrap();
    assert_eq!((users.len(), registrations.len()), (1, 1));
    let records: Vec<Value> =
        client.list(method::RECORDS, &RecordsSince { since: None, limit: Some(3) }).await.unwrap();
    assert_eq!(records.len(), 3);
    let settings: SettingsInForce = client.request(method::SETTINGS, &()).await.unwrap();
    assert_eq!(settings.settings, json!({"sip": {"realm": "r"}}));
    let report: ReloadReport = client.request(method::RELOAD, &ReloadWhat::default()).await.unwrap();
    assert_eq!(report.changes, ["users.1004 added"]);
    let how = Stop { graceful: true, timeout: Some(Duration::from_secs(60)) };
    let mut stopped = server.fake.stopped.subscribe();
    let _: Stopping = client.request(method::STOP, &how).await.unwrap();
    assert_eq!(*soon(stopped.wait_for(Option::is_some)).await.unwrap(), Some(how));
    server.shutdown().await;
    soon(client.closed()).await;
}

#[tokio::test]
async fn a_list_longer_than_a_frame_may_be_arrives_whole() {
    let server = Server::start();
    let wanted = RecordsSince { since: None, limit: Some(20_000) };
    let records: Vec<Value> = soon(server.client().await.list(method::RECORDS, &wanted)).await.unwrap();
    assert_eq!(records.len(), 20_000);
}

#[tokio::test]
async fn a_refused_request_says_why_and_the_connection_goes_on() {
    let server = Server::start();
    let mut client = server.client().await;
    let refused = fault(client.request::<CallDetail>(method::CALL, &Target { uuid: "x".into() }).await);
    assert_eq!(refused.code, FaultCode::NotFound);
    assert!(refused.hint.is_some());
    assert_eq!(fault(client.request::<Value>("no such method", &()).await).code, FaultCode::Usage);
    assert_eq!(fault(client.request::<Value>(method::CALL, &json!({"uuid": 7})).await).code, FaultCode::Usage);
    assert_eq!(fault(client.list::<Value>(method::RECORDS, &json!({"since": "x"})).await).code, FaultCode::Usage);
    assert_eq!(
        fault(client.request::<Value>(method::SPY_MODE, &json!({"mode": "barge"})).await).code,
        FaultCode::Usage
    );
    assert!(client.request::<Status>(method::STATUS, &()).await.is_ok());
}

#[tokio::test]
async fn events_begin_after_the_number_given_and_only_of_the_kinds_asked_for() {
    let server = Server::start();
    let wanted = EventsSince { since: Some(0), types: vec!["call".into()] };
    let mut events = server.client().await.stream(method::EVENTS, &wanted).await.unwrap();
    assert_eq!(soon(events.next::<EventRecord>()).await.unwrap(), Some(event(1, "call.started")));
    for (seq, kind) in [(3, "registration.removed"), (4, "call.ended")] {
        server.fake.events.send(event(seq, kind)).unwrap();
    }
    assert_eq!(soon(events.next::<EventRecord>()).await.unwrap(), Some(event(4, "call.ended")));
    server.shutdown().await;
    assert!(matches!(soon(events.next::<EventRecord>()).await, Err(ClientError::Closed)));
}

#[tokio::test]
async fn a_reader_that_lags_is_told_how_many_events_it_lost() {
    let server = Server::start();
    let wanted = EventsSince { since: Some(0), types: vec!["call".into()] };
    let mut events = server.client().await.stream(method::EVENTS, &wanted).await.unwrap();
    soon(events.next::<EventRecord>()).await.unwrap();
    // All at once, so that the server has no time between them; its queue holds 64.
    for seq in 3..103 {
        server.fake.events.send(event(seq, "call.started")).unwrap();
    }
    let lost = soon(events.next::<EventRecord>()).await.unwrap().unwrap();
    assert_eq!((lost.kind.as_str(), &lost.fields["count"]), ("events.lost", &Value::from(36)));
    let next = soon(events.next::<EventRecord>()).await.unwrap().unwrap();
    assert_eq!(next.seq, 39);
}

#[tokio::test]
async fn a_spy_hears_speaks_changes_mode_and_is_told_the_end() {
    let server = Server::start();
    let request = SpyRequest::new(SpyTarget::Uuid(CALLEE.into()));
    let mut link = server.client().await.spy(&request).await.unwrap();
    assert_eq!((link.facts.mode, link.facts.allowed), (Mode::Listen, Mode::Whisper));
    let mut tap = server.fake.taps.lock().unwrap().pop().unwrap();

    let frame: HeardFrame = std::array::from_fn(|at| i16::try_from(at).unwrap());
    tap.frames.push(frame).unwrap();
    assert_eq!(soon(link.incoming.next()).await.unwrap(), SpyEvent::Heard(Box::new(frame)));

    assert!(link.outgoing.say(&[7; 160]));
    link.outgoing.set_mode(Mode::Whisper, Some(Party::B)).unwrap();
    let SpyEvent::Changed(facts) = soon(link.incoming.next()).await.unwrap() else { panic!("no change") };
    assert_eq!((facts.mode, facts.to), (Mode::Whisper, Side::B));
    // What was said before the change was asked for has arrived before it was granted.
    assert_eq!(tap.voice.pop(), Ok([7; 160]));

    link.outgoing.set_mode(Mode::Barge, None).unwrap();
    let SpyEvent::Refused(refused) = soon(link.incoming.next()).await.unwrap() else { panic!("not refused") };
    assert_eq!(refused.code, FaultCode::Denied);
    link.outgoing.set_hear(Hear::A).unwrap();
    assert!(matches!(soon(link.incoming.next()).await.unwrap(), SpyEvent::Changed(facts) if facts.hear == Hear::A));

    let end = SpyEnd { why: EndedBecause::CallEnded, message: "1001 has hung up".into() };
    tap.frames.push([1; 480]).unwrap();
    tap.news.try_send(SpyNews::Ended(end.clone())).ok().unwrap();
    assert!(matches!(soon(link.incoming.next()).await.unwrap(), SpyEvent::Heard(_)));
    assert_eq!(soon(link.incoming.next()).await.unwrap(), SpyEvent::Ended(end));
}

#[tokio::test]
async fn a_spy_between_two_calls_hears_silence_and_is_told_of_the_next() {
    let server = Server::start();
    let target = SpyTarget::User { user: "1001".into(), follow: true };
    let mut link = server.client().await.spy(&SpyRequest::new(target)).await.unwrap();
    let tap = server.fake.taps.lock().unwrap().pop().unwrap();
    tap.news.try_send(SpyNews::Silence).ok().unwrap();
    for _ in 0..3 {
        assert_eq!(soon(link.incoming.next()).await.unwrap(), SpyEvent::Heard(Box::new([0; 480])));
    }
    assert!(link.outgoing.say(&[7; 160]), "nobody hears it, and the session goes on");
    let (mut heard, frames) = rtrb::RingBuffer::new(4);
    let (voice, _said) = rtrb::RingBuffer::new(4);
    heard.push([3; 480]).unwrap();
    tap.news.try_send(SpyNews::Sound(SpySound { frames, voice })).ok().unwrap();
    let facts = SpyFacts { call: CALLEE.into(), ..link.facts.clone() };
    tap.news.try_send(SpyNews::Facts(facts.clone().into())).ok().unwrap();
    let (mut told, mut sounded) = (false, false);
    while !(told && sounded) {
        match soon(link.incoming.next()).await.unwrap() {
            SpyEvent::Facts(new) => told = *new == facts,
            SpyEvent::Heard(frame) => sounded |= *frame == [3; 480],
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_running_sessions_are_listed() {
    let server = Server::start();
    let spies: Vec<SpyInfo> = server.client().await.list(method::SPIES, &()).await.unwrap();
    assert_eq!((spies[0].who.as_str(), spies[0].facts.call.as_str()), ("1003", CALLER));
}

#[tokio::test]
async fn a_spy_that_vanishes_is_detached() {
    let server = Server::start();
    let request = SpyRequest::new(SpyTarget::Uuid(CALLER.into()));
    let link = server.client().await.spy(&request).await.unwrap();
    let tap = server.fake.taps.lock().unwrap().pop().unwrap();
    drop(link);
    soon(tap.news.closed()).await;
    assert!(tap.frames.is_abandoned() && tap.voice.is_abandoned());
}

#[tokio::test]
async fn a_spy_on_a_call_that_is_not_there_is_refused() {
    let server = Server::start();
    let request = SpyRequest::new(SpyTarget::Uuid("x".into()));
    assert_eq!(fault(server.client().await.spy(&request).await).code, FaultCode::NotFound);
}

#[tokio::test]
async fn an_oversized_frame_ends_its_connection_and_no_other() {
    let server = Server::start();
    let mut other = server.client().await;
    for header in [&b"J\xff\xff\xff\xff"[..], b"J\x00\x10\x00\x01", b"A\x00\x01\x00\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = UnixStream::connect(&server.socket).await.unwrap();
        stream.write_all(header).await.unwrap();
        assert_eq!(soon(stream.read(&mut [0; 64])).await.unwrap_or(0), 0, "{header:?}");
    }
    assert!(other.request::<Status>(method::STATUS, &()).await.is_ok());
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_dropped_and_slows_nobody() {
    let limits = Limits { stall: Duration::from_millis(50), ..Limits::default() };
    let server = Server::with(Fake::default(), limits);
    let mut stalled = UnixStream::connect(&server.socket).await.unwrap();
    let mut out = BytesMut::new();
    let request = br#"{"id":1,"method":"records","params":{"limit":100000}}"#;
    Frame::Json(request.to_vec().into()).put(&mut out).unwrap();
    stalled.write_all(&out).await.unwrap();
    // The next client is answered while the first one's list fills its socket, and after.
    for _ in 0..50 {
        soon(server.client().await.request::<Status>(method::STATUS, &())).await.unwrap();
    }
    // Reading only once the server has given up: what the kernel holds comes, then the end, never the whole list.
    soon(async { while !dropped(&stalled).await {} }).await;
    let mut rest = Vec::new();
    let _ = soon(stalled.read_to_end(&mut rest)).await;
    assert!(!rest.ends_with(br#""end":true}"#), "{} bytes", rest.len());
}

/// Whether the other end is closed: then writing fails.
async fn dropped(stream: &UnixStream) -> bool {
    stream.writable().await.unwrap();
    let closed = stream.try_write(b"J").is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock);
    tokio::task::yield_now().await;
    closed
}

#[tokio::test]
async fn a_client_too_many_is_told_so() {
    let server = Server::with(Fake::default(), Limits { clients: 1, ..Limits::default() });
    let mut first = server.client().await;
    first.request::<Status>(method::STATUS, &()).await.unwrap();
    let mut second = server.client().await;
    assert_eq!(fault(second.request::<Status>(method::STATUS, &()).await).code, FaultCode::TryAgain);
    drop(first);
    let admitted = async { while server.client().await.request::<Status>(method::STATUS, &()).await.is_err() {} };
    soon(admitted).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let server = Server::with(Fake::default(), Limits { idle: Duration::from_millis(20), ..Limits::default() });
    let mut client = server.client().await;
    soon(client.closed()).await;
}

#[tokio::test]
async fn the_own_account_is_an_admin() {
    let server = Server::start();
    server.client().await.list::<CallInfo>(method::CALLS, &()).await.unwrap();
    let who = server.fake.asked_by.lock().unwrap().pop().unwrap();
    assert_eq!(who.uid, rustix::process::geteuid().as_raw());
    assert!(who.admin && who.operator && who.account.is_some());
}

#[test]
fn whatever_bytes_come_the_server_goes_on() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(async { Server::start() });
    let json = prop_oneof![
        ".*".prop_map(String::into_bytes),
        r#"\{"id":[0-9]{1,3},"method":"[a-z.]{1,8}","params":[\[\]{}0-9"a-z:,]{0,20}\}"#.prop_map(String::into_bytes),
    ];
    let framed = json.prop_map(|payload| {
        let mut out = BytesMut::new();
        Frame::Json(payload.into()).put(&mut out).unwrap();
        out.to_vec()
    });
    let any = prop_oneof![prop::collection::vec(any::<u8>(), 0..200), framed];
    proptest!(ProptestConfig::with_cases(200), |(bytes in any)| {
        runtime.block_on(async {
            let mut stream = UnixStream::connect(&server.socket).await.unwrap();
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut rest = Vec::new();
            let _ = soon(stream.read_to_end(&mut rest)).await;
            let mut client = Client::connect(&server.socket).await.unwrap();
            soon(client.request::<Status>(method::STATUS, &())).await.unwrap();
        });
    });
}
