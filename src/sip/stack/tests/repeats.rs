//! Repeats to the millisecond: what is sent again, when, and when it is given up (RFC 3261 §17 table 4).

use std::time::Duration;

use super::{Lone, first_line, header, ok, request, status, within};
use crate::sip::header::HeadersExt;
use crate::sip::hop::Transport;
use crate::sip::message;
use crate::sip::stack::{Command, Event, RequestId, SessionEvent, SessionId, StackConfig};

const LONG: Duration = Duration::from_secs(100);

fn times(sent: &[(u128, String)], start: &str) -> Vec<u128> {
    sent.iter().filter(|(_, line)| line.starts_with(start)).map(|(at_ms, _)| *at_ms).collect()
}

fn options(lone: &Lone) -> Command {
    let uri = crate::sip::uri::Uri::parse("sip:alice@192.0.2.1").unwrap();
    let headers = [
        ("Max-Forwards", "70".to_owned()),
        ("From", "<sip:us@192.0.2.2>;tag=us".to_owned()),
        ("To", "<sip:alice@192.0.2.1>".to_owned()),
        ("Call-ID", "ours".to_owned()),
        ("CSeq", "1 OPTIONS".to_owned()),
    ];
    let request = Box::new(message::request(rsip::Method::Options, &uri, &headers));
    Command::Request { id: RequestId(5), hop: lone.hop, request }
}

#[test]
fn an_invite_is_repeated_at_doubling_pauses() {
    let mut lone = Lone::new();
    let invite = Box::new(super::routing::invite(lone.hop));
    lone.command(Command::Invite { id: SessionId(1), invite });
    let sent = lone.passes(LONG);
    assert_eq!(times(&sent, "INVITE"), [500, 1500, 3500, 7500, 15500, 31500]);
    assert!(matches!(lone.event(), Event::Session { event: SessionEvent::Refused { status: 408, .. }, .. }));
    lone.run_out();
}

#[test]
fn another_request_is_repeated_at_pauses_up_to_t2_and_ends_in_a_408() {
    let mut lone = Lone::new();
    let command = options(&lone);
    lone.command(command);
    let sent = lone.passes(LONG);
    assert_eq!(times(&sent, "OPTIONS"), [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    let Event::Response { id, response } = lone.event() else { panic!("a response") };
    assert_eq!((id, response.status_code.code()), (RequestId(5), 408));
    assert_eq!(response.headers.call_id(), Some("ours"));
    lone.run_out();
}

#[test]
fn nothing_is_repeated_over_a_stream_but_the_2xx() {
    let mut lone = Lone::with(StackConfig::default(), Transport::Tcp);
    let command = options(&lone);
    lone.command(command);
    let invite = Box::new(super::routing::invite(lone.hop));
    lone.command(Command::Invite { id: SessionId(1), invite });
    assert!(lone.passes(LONG).is_empty());
    lone.event();
    lone.event();
    lone.says(&request("INVITE", "in", "").replace("UDP", "TCP"));
    let id = lone.incoming();
    lone.command(Command::Answer { id, description: None, headers: Vec::new() });
    assert_eq!(times(&lone.passes(Duration::from_secs(4)), "SIP/2.0 200"), [500, 1500, 3500]);
    lone.run_out();
}

#[test]
fn a_transport_that_fails_counts_as_503() {
    let mut lone = Lone::new();
    let command = options(&lone);
    lone.command(command);
    let invite = Box::new(super::routing::invite(lone.hop));
    lone.command(Command::Invite { id: SessionId(1), invite });
    lone.stack.transport_failed(lone.now, lone.hop);
    let mut statuses = Vec::new();
    while let Some(event) = lone.stack.poll_event() {
        statuses.push(match event {
            Event::Response { response, .. } => response.status_code.code(),
            Event::Session { event: SessionEvent::Refused { status, .. }, .. } => status,
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(statuses, [503, 503]);
    lone.run_out();
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut lone = Lone::new();
    let invite = request("INVITE", "no", "");
    lone.says(&invite);
    let id = lone.incoming();
    let refusal = lone.command(Command::Reject { id, status: 486, headers: Vec::new() }).remove(0);
    assert_eq!(times(&lone.passes(Duration::from_secs(8)), "SIP/2.0 486"), [500, 1500, 3500, 7500]);
    assert_eq!(first_line(&lone.says(&invite)[0]), "SIP/2.0 486 Busy Here");
    let ack = request("ACK", "no", "")
        .replace("To: <sip:bob@192.0.2.2>", &format!("To: {}", header(&refusal, "To").unwrap()));
    assert!(lone.says(&ack).is_empty());
    assert!(lone.passes(LONG).is_empty());
    lone.run_out();
}

#[test]
fn a_refusal_without_ack_is_given_up_after_64_t1() {
    let mut lone = Lone::new();
    lone.says(&request("INVITE", "no", ""));
    let id = lone.incoming();
    lone.command(Command::Reject { id, status: 486, headers: Vec::new() });
    assert_eq!(times(&lone.passes(LONG), "SIP/2.0 486").len(), 10);
    lone.run_out();
}

#[test]
fn a_repeated_request_gets_the_same_answer_for_64_t1() {
    let mut lone = Lone::new();
    let register = request("REGISTER", "again", "");
    lone.says(&register);
    assert!(lone.says(&register).is_empty(), "not answered yet");
    let id = lone.request();
    let first = lone.command(Command::Respond { id, response: ok() });
    assert_eq!(lone.says(&register), first);
    lone.passes(Duration::from_secs(31));
    assert_eq!(lone.says(&register), first);
    lone.passes(Duration::from_secs(2));
    assert!(lone.says(&register).is_empty(), "a new request by now");
    lone.run_out();
}

#[test]
fn a_repeated_invite_gets_the_last_provisional_response() {
    let mut lone = Lone::new();
    let invite = request("INVITE", "ring", "");
    assert_eq!(status(&lone.says(&invite)), ["100"]);
    assert_eq!(status(&lone.says(&invite)), ["100"]);
    let id = lone.incoming();
    lone.command(Command::Progress { id, status: 180, description: None, headers: Vec::new() });
    assert_eq!(status(&lone.says(&invite)), ["180"]);
    assert!(lone.stack.poll_event().is_none());
    lone.run_out();
}

#[test]
fn an_accepted_invite_is_absorbed_and_its_2xx_repeated_by_the_session_alone() {
    let mut lone = Lone::new();
    let invite = request("INVITE", "yes", "");
    lone.says(&invite);
    let id = lone.incoming();
    let answer = lone.command(Command::Answer { id, description: None, headers: Vec::new() }).remove(0);
    assert!(lone.says(&invite).is_empty());
    assert_eq!(times(&lone.passes(Duration::from_secs(12)), "SIP/2.0 200"), [500, 1500, 3500, 7500, 11500]);
    lone.says(&within("ACK", "ack", (&answer, 1)));
    assert!(lone.passes(Duration::from_secs(60)).is_empty());
    lone.run_out();
}

#[test]
fn an_invite_that_expires_gets_487() {
    let mut lone = Lone::new();
    lone.says(&request("INVITE", "brief", "Expires: 10\r\n"));
    lone.incoming();
    assert_eq!(times(&lone.passes(Duration::from_millis(10_400)), "SIP/2.0 487"), [10_000]);
    assert!(matches!(lone.event(), Event::Session { event: SessionEvent::Cancelled { reason: None }, .. }));
    lone.run_out();
}
