//! What is refused before anybody above hears of it, and how (RFC 3261 §8.2, §9.2, §12.2.2, §16.3).

use super::{Lone, first_line, header, ok, request, status, within};
use crate::sip::hop::Transport;
use crate::sip::stack::{Command, StackConfig};

#[test]
fn methods_we_do_not_have_get_405_with_those_we_have() {
    let mut lone = Lone::new();
    for method in ["MESSAGE", "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH"] {
        let sent = lone.says(&request(method, method, ""));
        assert_eq!(status(&sent), ["405"], "{method}");
        assert!(header(&sent[0], "Allow").unwrap().contains("INVITE"));
    }
    lone.run_out();
}

#[test]
fn requests_of_no_dialog_get_481_and_a_stray_ack_nothing() {
    let mut lone = Lone::new();
    for method in ["BYE", "UPDATE", "PRACK", "INFO", "CANCEL"] {
        assert_eq!(status(&lone.says(&request(method, method, ""))), ["481"], "{method}");
    }
    let foreign = "SIP/2.0 200 OK\r\nTo: <sip:bob@192.0.2.2>;tag=none\r\nCall-ID: none\r\n";
    for method in ["INVITE", "OPTIONS", "REFER", "BYE"] {
        let sent = lone.says(&within(method, &format!("in{method}"), (foreign, 2)));
        assert_eq!(status(&sent), ["481"], "{method}");
    }
    assert!(lone.says(&request("ACK", "ack", "")).is_empty());
    assert!(lone.says(&within("ACK", "ack2", (foreign, 1))).is_empty());
    lone.run_out();
}

#[test]
fn an_extension_we_do_not_have_is_named_in_the_420() {
    let mut lone = Lone::new();
    let sent = lone.says(&request("INVITE", "ext", "Require: 100rel, timer\r\nRequire: nothing\r\n"));
    assert_eq!((status(&sent), header(&sent[0], "Unsupported")), (vec!["420"], Some("timer, nothing")));
    let sent = lone.says(&request("INVITE", "rel", "Require: 100rel\r\n"));
    assert_eq!(status(&sent), ["100"]);
    lone.run_out();
}

#[test]
fn bodies_we_do_not_understand_get_415_unless_they_may_be_ignored() {
    let mut lone = Lone::new();
    let with_body = |branch: &str, more: &str| {
        request("INVITE", branch, more).replace("Content-Length: 0\r\n\r\n", "Content-Length: 4\r\n\r\nbody")
    };
    let sent = lone.says(&with_body("b1", "Content-Type: application/other\r\n"));
    assert_eq!((status(&sent), header(&sent[0], "Accept")), (vec!["415"], Some("application/sdp")));
    let sent = lone.says(&with_body("b2", "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n"));
    assert_eq!((status(&sent), header(&sent[0], "Accept-Encoding")), (vec!["415"], Some("identity")));
    let optional = "Content-Type: application/other\r\nContent-Disposition: session; handling=optional\r\n";
    assert_eq!(status(&lone.says(&with_body("b3", optional))), ["100"]);
    let sent = lone.says(&request("INVITE", "b4", "Accept: text/strange\r\n"));
    assert_eq!(status(&sent), ["406"]);
    lone.run_out();
}

#[test]
fn a_request_that_comes_back_to_us_is_a_loop() {
    let mut lone = Lone::new();
    let call =
        lone.command(Command::Invite { id: super::SessionId(1), invite: Box::new(super::routing::invite(lone.hop)) });
    let via = header(&call[0], "Via").unwrap();
    let sent = lone.says(&request("INVITE", "loop", &format!("Via: {via}\r\n")));
    assert_eq!(status(&sent), ["482"]);
    lone.run_out();
}

#[test]
fn the_same_request_by_two_ways_is_taken_once() {
    let mut lone = Lone::new();
    let first = request("INVITE", "way1", "");
    assert_eq!(status(&lone.says(&first)), ["100"]);
    assert_eq!(status(&lone.says(&first.replace("z9hG4bKway1", "z9hG4bKway2"))), ["482"]);
    lone.run_out();
    assert_eq!(status(&lone.says(&first.replace("z9hG4bKway1", "z9hG4bKway3"))), ["100"], "forgotten with the call");
    lone.run_out();
}

#[test]
fn a_full_stack_answers_503_without_a_transaction_and_still_lets_calls_end() {
    let config = StackConfig { max_sessions: 1, max_transactions: 8, ..StackConfig::default() };
    let mut lone = Lone::with(config, Transport::Udp);
    lone.says(&request("INVITE", "first", ""));
    let id = lone.incoming();
    let answer = lone.command(Command::Answer { id, description: None, headers: Vec::new() });
    let transactions = lone.stack.counts().transactions;
    let sent = lone.says(&request("INVITE", "second", ""));
    assert_eq!((status(&sent), header(&sent[0], "Retry-After")), (vec!["503"], Some("5")));
    assert_eq!((lone.stack.counts().transactions, lone.stack.counts().overload), (transactions, 1));
    for number in 0..10 {
        lone.says(&request("OPTIONS", &format!("flood{number}"), ""));
    }
    assert_eq!(lone.stack.counts().transactions, 8);
    assert_eq!(status(&lone.says(&within("BYE", "bye", (&answer[0], 2)))), ["200"]);
    lone.run_out();
}

#[test]
fn a_lower_number_within_a_dialog_gets_500() {
    let mut lone = Lone::new();
    lone.says(&request("INVITE", "call", ""));
    let id = lone.incoming();
    let answer = lone.command(Command::Answer { id, description: None, headers: Vec::new() }).remove(0);
    lone.says(&within("ACK", "ack", (&answer, 1)));
    assert_eq!(status(&lone.says(&within("INFO", "i1", (&answer, 9)))), ["200"]);
    assert_eq!(status(&lone.says(&within("INFO", "i2", (&answer, 8)))), ["500"]);
    assert_eq!(status(&lone.says(&within("REFER", "i3", (&answer, 10)))), ["405"]);
    let sent = lone.says(&within("OPTIONS", "i4", (&answer, 11)));
    assert_eq!(status(&sent), ["200"]);
    assert!(header(&sent[0], "Allow").is_some() && header(&sent[0], "Accept").is_some());
    lone.run_out();
}

#[test]
fn the_200_of_a_cancel_has_the_tag_of_the_487() {
    let mut lone = Lone::new();
    lone.says(&request("INVITE", "call", ""));
    let sent = lone.says(&request("CANCEL", "call", "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"));
    assert_eq!(status(&sent), ["200", "487"]);
    assert_eq!(header(&sent[0], "To"), header(&sent[1], "To"));
    lone.run_out();
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut lone = Lone::new();
    lone.says(&request("INVITE", "call", ""));
    let id = lone.incoming();
    lone.command(Command::Answer { id, description: None, headers: Vec::new() });
    assert_eq!(status(&lone.says(&request("CANCEL", "call", ""))), ["200"]);
    assert!(lone.stack.poll_event().is_none());
    lone.run_out();
}

#[test]
fn options_and_register_go_up_and_their_answer_goes_back() {
    let mut lone = Lone::new();
    for method in ["OPTIONS", "REGISTER"] {
        assert!(lone.says(&request(method, method, "")).is_empty());
        let id = lone.request();
        let sent = lone.command(Command::Respond { id, response: ok() });
        assert_eq!(first_line(&sent[0]), "SIP/2.0 200 OK");
        assert!(header(&sent[0], "To").unwrap().contains(";tag="));
        assert!(lone.command(Command::Respond { id, response: ok() }).is_empty(), "answered once");
    }
    lone.run_out();
}

#[test]
fn a_request_nobody_answers_is_forgotten() {
    let mut lone = Lone::new();
    lone.says(&request("OPTIONS", "silent", ""));
    assert_eq!(lone.stack.counts().requests, 1);
    lone.run_out();
}

#[test]
fn a_header_of_ours_cannot_break_out_of_its_line() {
    let mut lone = Lone::new();
    lone.says(&request("OPTIONS", "inject", ""));
    let id = lone.request();
    let evil = |value: &str| ("X-Name".to_owned(), value.to_owned());
    let headers = vec![
        evil("a\r\nX-Evil: 1"),
        ("X Bad\r\nX-Evil".to_owned(), "2".to_owned()),
        ("Content-Length".to_owned(), "9".to_owned()),
    ];
    let sent = lone.command(Command::Respond { id, response: super::Reply { headers, ..ok() } });
    assert_eq!(header(&sent[0], "X-Evil"), None);
    assert_eq!(header(&sent[0], "X-Name"), Some("a  X-Evil: 1"));
    assert_eq!(sent[0].matches("Content-Length").count(), 1);
    lone.run_out();
}

#[test]
fn a_via_nobody_can_read_goes_back_unchanged_to_where_it_came_from() {
    for (via, version, expected) in
        [("SIP/2.0/UDP 192.0.2.15;;,;,,", "2.0", "400"), ("SIP/7.0/UDP c.example.com;branch=z9hG4bKx", "7.0", "505")]
    {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut lone = Lone::with(StackConfig::default(), transport);
            let own = "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKodd;rport";
            let text =
                request("OPTIONS", "odd", "").replace(own, via).replacen("SIP/2.0", &format!("SIP/{version}"), 1);
            lone.stack.receive(lone.now, lone.hop, text.as_bytes());
            let sent = lone.transmits();
            assert_eq!((sent.len(), sent[0].hop, sent[0].reopen_at), (1, lone.hop, None));
            let answer = String::from_utf8_lossy(&sent[0].bytes).into_owned();
            assert_eq!((first_line(&answer).split(' ').nth(1), header(&answer, "Via")), (Some(expected), Some(via)));
            lone.run_out();
        }
    }
}

#[test]
fn nobody_is_made_to_answer_a_crowd() {
    for remote in ["255.255.255.255:5060", "224.0.1.75:5060", "[ff02::1]:5060", "0.0.0.0:5060", "192.0.2.1:0"] {
        let mut lone = Lone::new();
        lone.hop.remote = remote.parse().unwrap();
        assert!(lone.says(&request("OPTIONS", "crowd", "")).is_empty());
        assert!(lone.says("OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP ;\r\n\r\n").is_empty());
        assert_eq!((lone.stack.counts().malformed, lone.stack.counts().transactions), (2, 0), "{remote}");
    }
}
