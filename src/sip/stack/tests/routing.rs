//! Where messages go: responses back to their source (§18.2, RFC 3581), requests by the route set and the Contact (§12.2.1.1).

use bytes::Bytes;

use super::{Command, Lone, SessionId, first_line, header, request};
use crate::sip::header::NameAddr;
use crate::sip::hop::{Hop, Transport};
use crate::sip::stack::{Invite, StackConfig};
use crate::sip::uri::Uri;

pub(super) fn invite(hop: Hop) -> Invite {
    let uri = |text: &str| Uri::parse(text).unwrap();
    Invite {
        hop,
        uri: uri("sip:alice@192.0.2.1"),
        to: NameAddr::new(uri("sip:alice@192.0.2.1")),
        from: NameAddr::new(uri("sip:bob@192.0.2.2")),
        contact: uri("sip:bob@192.0.2.2"),
        routes: Vec::new(),
        headers: Vec::new(),
        offer: Some(Bytes::from_static(b"offer")),
        max_forwards: None,
        call_id: None,
    }
}

/// Takes a call with these header lines, answers and hangs up: the 200 and the BYE, each with its hop.
fn answered_and_ended(lone: &mut Lone, invite: &str) -> (super::Transmit, super::Transmit) {
    lone.says(invite);
    let id = lone.incoming();
    lone.stack.command(lone.now, Command::Answer { id, description: None, headers: Vec::new() });
    let answer = lone.transmits().remove(0);
    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
    lone.says(&super::within("ACK", "ack", (&text, 1)));
    lone.stack.command(lone.now, Command::Hangup { id, reason: None });
    let bye = lone.transmits().remove(0);
    (answer, bye)
}

fn text(transmit: &super::Transmit) -> String {
    String::from_utf8_lossy(&transmit.bytes).into_owned()
}

fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.split_once(": ")).filter(|(known, _)| *known == name).map(|(_, v)| v).collect()
}

#[test]
fn responses_go_back_to_the_source_and_say_what_it_is() {
    let mut lone = Lone::new();
    let behind_nat = request("OPTIONS", "nat", "").replace("192.0.2.1:5070;branch", "10.0.0.9:5060;branch");
    lone.says(&behind_nat);
    let id = lone.request();
    lone.stack.command(lone.now, Command::Respond { id, response: super::ok() });
    let response = lone.transmits().remove(0);
    assert_eq!(response.hop, lone.hop);
    let via = text(&response);
    let via = header(&via, "Via").unwrap();
    assert!(via.contains("received=192.0.2.1") && via.contains("rport=5070"), "{via}");
    lone.run_out();
}

#[test]
fn a_response_over_a_stream_may_be_sent_on_a_new_one_to_the_via() {
    let mut lone = Lone::with(StackConfig::default(), Transport::Tcp);
    lone.says(&request("OPTIONS", "tcp", "").replace("UDP 192.0.2.1:5070", "TCP 192.0.2.1:5090"));
    let id = lone.request();
    lone.stack.command(lone.now, Command::Respond { id, response: super::ok() });
    let response = lone.transmits().remove(0);
    assert_eq!((response.hop, response.reopen_at), (lone.hop, Some(([192, 0, 2, 1], 5090).into())));
    lone.run_out();
}

#[test]
fn loose_routes_are_kept_and_the_contact_is_the_target() {
    let mut lone = Lone::new();
    let routes = "Record-Route: <sip:192.0.2.9:5080;lr>, <sip:192.0.2.8;lr>\r\n";
    let (answer, bye) = answered_and_ended(&mut lone, &request("INVITE", "loose", routes));
    assert_eq!(values(&text(&answer), "Record-Route"), ["<sip:192.0.2.9:5080;lr>, <sip:192.0.2.8;lr>"]);
    assert_eq!(first_line(&text(&bye)), "BYE sip:alice@192.0.2.1:5070 SIP/2.0");
    assert_eq!(values(&text(&bye), "Route"), ["<sip:192.0.2.9:5080;lr>", "<sip:192.0.2.8;lr>"]);
    assert_eq!(bye.hop.remote, ([192, 0, 2, 9], 5080).into());
    lone.run_out();
}

#[test]
fn a_strict_router_gets_its_own_uri_and_the_target_comes_last() {
    let mut lone = Lone::new();
    let routes = "Record-Route: <sip:192.0.2.9:5080>\r\nRecord-Route: <sip:192.0.2.8;lr>\r\n";
    let (_, bye) = answered_and_ended(&mut lone, &request("INVITE", "strict", routes));
    assert_eq!(first_line(&text(&bye)), "BYE sip:192.0.2.9:5080 SIP/2.0");
    assert_eq!(values(&text(&bye), "Route"), ["<sip:192.0.2.8;lr>", "<sip:alice@192.0.2.1:5070>"]);
    assert_eq!(bye.hop.remote, ([192, 0, 2, 9], 5080).into());
    lone.run_out();
}

#[test]
fn contacts_nobody_can_be_reached_at_are_answered_at_the_source() {
    for contact in [
        "sip:alice@10.0.0.9",
        "sip:alice@255.255.255.255",
        "sip:alice@224.0.1.75",
        "sip:alice@0.0.0.0",
        "sip:alice@phone.example",
    ] {
        let mut lone = Lone::new();
        let invite = request("INVITE", "nat", "").replace("sip:alice@192.0.2.1:5070>", &format!("{contact}>"));
        let (_, bye) = answered_and_ended(&mut lone, &invite);
        assert_eq!(first_line(&text(&bye)), format!("BYE {contact} SIP/2.0"));
        assert_eq!(bye.hop, lone.hop, "{contact}");
        lone.run_out();
    }
}

#[test]
fn a_contact_elsewhere_is_followed() {
    let mut lone = Lone::new();
    let invite = request("INVITE", "else", "").replace("sip:alice@192.0.2.1:5070>", "sip:alice@192.0.2.33:6000>");
    let (_, bye) = answered_and_ended(&mut lone, &invite);
    assert_eq!(bye.hop.remote, ([192, 0, 2, 33], 6000).into());
    lone.run_out();
}

#[test]
fn the_advertised_host_stands_in_via_and_contact() {
    let config = StackConfig { advertise: Some("203.0.113.7".to_owned()), ..StackConfig::default() };
    let mut lone = Lone::with(config, Transport::Udp);
    let (answer, bye) = answered_and_ended(&mut lone, &request("INVITE", "adv", ""));
    assert_eq!(header(&text(&answer), "Contact"), Some("<sip:bob@203.0.113.7:5060>"));
    assert!(header(&text(&bye), "Via").unwrap().starts_with("SIP/2.0/UDP 203.0.113.7:5060;branch="));
    lone.run_out();
}

#[test]
fn the_cancel_has_the_branch_and_the_route_of_its_invite() {
    let mut lone = Lone::new();
    let route = NameAddr::parse("<sip:192.0.2.9;lr>").unwrap();
    let invite = Box::new(Invite { routes: vec![route], ..invite(lone.hop) });
    let sent = lone.command(Command::Invite { id: SessionId(1), invite }).remove(0);
    let echo = |names: &[&str]| {
        names.iter().map(|name| format!("{name}: {}\r\n", header(&sent, name).unwrap())).collect::<String>()
    };
    let trying =
        format!("SIP/2.0 100 Trying\r\n{}Content-Length: 0\r\n\r\n", echo(&["Via", "From", "To", "Call-ID", "CSeq"]));
    lone.says(&trying);
    let cancel = lone.command(Command::Hangup { id: SessionId(1), reason: None }).remove(0);
    assert_eq!(first_line(&cancel), first_line(&sent).replace("INVITE", "CANCEL"));
    for name in ["Via", "Route", "From", "To", "Call-ID", "Max-Forwards"] {
        assert_eq!(header(&cancel, name), header(&sent, name), "{name}");
    }
    assert_eq!(header(&cancel, "CSeq"), Some("1 CANCEL"));
    // No final response ever comes: 64·T1 after the CANCEL all is forgotten (§9.1).
    lone.run_out();
}
