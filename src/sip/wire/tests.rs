//! The codec's own tests; the messages of RFC 4475 and 5118 are in `tests/torture.rs`.

use super::*;
use crate::sip::header::HeadersExt;
use crate::sip::message::{reason_of, request_uri_text};
use proptest::prelude::*;

const OPTIONS: &str = "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";

fn request(bytes: &[u8]) -> Request {
    match parse(bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn status(bytes: &[u8]) -> (u16, String) {
    match parse(bytes) {
        Err(Reject::Answer { response }) => (response.status_code.code(), reason_of(&response.status_code).to_owned()),
        other => panic!("no answer: {other:?}"),
    }
}

#[test]
fn folded_compact_and_odd_headers_are_read() {
    let bytes = "OPTIONS sip:b@[2001:db8::1];x SIP/2.0\r\nv: SIP  / 2.0 /UDP\r\n   a ;branch=z9hG4bK1\r\nf : <sip:a@h>;tag=1\r\nTO: <sip:b@h>\r\n\
        i: c\r\ncSeQ: 0009\r\n  OPTIONS\r\ns :\r\nx: 90\r\nX-Own: a\r\n\tb\r\nl: 3\r\n\r\nabcdef";
    let request = request(bytes.as_bytes());
    assert_eq!(request_uri_text(&request), "sip:b@[2001:db8::1];x");
    assert_eq!(request.headers.top_via().unwrap().to_string(), "SIP/2.0/UDP a;branch=z9hG4bK1");
    assert_eq!(request.headers.cseq().unwrap().number, 9);
    assert_eq!(request.headers.value("Subject"), Some(""));
    assert_eq!(request.headers.value("Session-Expires"), Some("90"));
    assert_eq!(request.headers.value("X-Own"), Some("a b"));
    assert_eq!(request.body, b"abc");
}

#[test]
fn an_answer_is_made_from_the_spans_and_is_the_same_each_time() {
    let bytes = format!("{OPTIONS}Content-Length: 9\r\n\r\nabc");
    let Err(Reject::Answer { response }) = parse(bytes.as_bytes()) else { panic!() };
    assert_eq!(response.status_code.code(), 400);
    assert_eq!(response.headers.value("Via"), Some("SIP/2.0/UDP a;branch=z9hG4bK1"));
    assert!(response.headers.to_addr().unwrap().tag().is_some());
    assert_eq!(parse(bytes.as_bytes()), Err(Reject::Answer { response }));
}

#[test]
fn responses_and_acks_are_dropped_when_malformed() {
    assert_eq!(parse(b"\r\n\r\n"), Err(Reject::Drop(DropReason::KeepAlive)));
    assert_eq!(parse(b"\x00\x01\x00\x00\x21\x12\xa4\x42"), Err(Reject::Drop(DropReason::NotSip)));
    assert_eq!(parse(b"SIP/2.0 4294967301 x\r\n\r\n"), Err(Reject::Drop(DropReason::BadResponse)));
    assert_eq!(parse(b"ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n"), Err(Reject::Drop(DropReason::BadAck)));
    assert_eq!(parse(b"BYE sip:a@b SIP/2.0\r\n\r\n"), Err(Reject::Drop(DropReason::NoVia)));
}

#[test]
fn line_ends_and_nul_bytes_cannot_smuggle_headers() {
    for smuggled in ["X: a\nVia: b", "X: a\rVia: b", "X: a\0b", "no colon", ": x"] {
        assert_eq!(status(format!("{OPTIONS}{smuggled}\r\n\r\n").as_bytes()).0, 400, "{smuggled:?}");
    }
    let mut sound = request(format!("{OPTIONS}\r\n").as_bytes());
    sound.headers.push_header("X-Own", "a\r\nVia: b\0");
    let printed = to_bytes(&Message::Request(sound));
    assert_eq!(request(&printed).headers.value("X-Own"), Some("a  Via: b"));
}

#[test]
fn limits_are_kept() {
    let many = "X: y\r\n".repeat(MAX_HEADERS);
    assert_eq!(status(format!("{OPTIONS}{many}\r\n").as_bytes()).1, "Too Many Headers");
    let long = "y".repeat(MAX_HEADER_LEN + 1);
    assert_eq!(status(format!("{OPTIONS}X: {long}\r\n\r\n").as_bytes()).1, "Header Too Long");
    let vias = "Via: SIP/2.0/UDP a\r\n".repeat(MAX_VIAS);
    assert_eq!(status(format!("{OPTIONS}{vias}\r\n").as_bytes()).1, "Too Many Vias");
}

#[test]
fn printing_and_parsing_again_gives_the_same_message() {
    let bytes = format!("{OPTIONS}X-Own: \"caf\u{e9}\"\r\nContent-Type: text/plain\r\n\r\n\0\u{1}binary");
    let message = parse(bytes.as_bytes()).unwrap();
    assert_eq!(parse(&to_bytes(&message)), Ok(message));
}

#[test]
fn a_stream_is_cut_whatever_the_pieces() {
    let one = format!("{OPTIONS}Content-Length: 3\r\n\r\nabc");
    let stream = format!("\r\n{one}\r\n\r\n{one}{one}");
    for size in 1..stream.len() {
        let mut framer = Framer::new();
        let mut found = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            framer.push(piece);
            while let Some(framed) = framer.next().unwrap() {
                found.push(framed);
            }
        }
        let message = Framed::Message(one.clone().into_bytes());
        assert_eq!(found, [message.clone(), Framed::Ping, message.clone(), message]);
        assert_eq!(framer.pending(), 0);
    }
}

#[test]
fn a_stream_that_cannot_be_cut_is_answered_and_ends() {
    for (bad, answered) in [
        (format!("{OPTIONS}Content-Length: 13\r\nContent-Length: 5\r\n\r\n"), true),
        (format!("{OPTIONS}\r\n"), true),
        (format!("{OPTIONS}Content-Length: -1\r\n\r\n"), true),
        (format!("{OPTIONS}Content-Length: 99999999\r\n\r\n"), true),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), false),
        ("x".repeat(MAX_HEAD + 1), false),
    ] {
        let mut framer = Framer::new();
        framer.push(bad.as_bytes());
        let error = framer.next().unwrap_err();
        assert_eq!(error.answer.is_some(), answered, "{bad}");
        framer.push(bad.as_bytes());
        assert_eq!(framer.next(), Ok(None));
    }
}

#[test]
fn a_response_with_an_impossible_status_is_cut_out_and_the_stream_goes_on() {
    let bad = "SIP/2.0 4294967301 x\r\nContent-Length: 2\r\n\r\nab";
    let mut framer = Framer::new();
    framer.push(format!("{bad}{OPTIONS}Content-Length: 0\r\n\r\n").as_bytes());
    assert_eq!(framer.next(), Ok(Some(Framed::Message(bad.as_bytes().to_vec()))));
    assert_eq!(parse(bad.as_bytes()), Err(Reject::Drop(DropReason::BadResponse)));
    assert!(matches!(framer.next(), Ok(Some(Framed::Message(next))) if next.starts_with(b"OPTIONS")));
    framer.push(b"SIP/2.0 4294967301 x\r\n\r\n");
    assert_eq!(framer.next(), Err(FramingError { cause: FramingFault::ContentLength, answer: None }));
}

#[test]
fn a_nul_survives_as_a_quoted_pair_only() {
    let sound = request(format!("{OPTIONS}X-Own: \"\\\0\"\r\n\r\n").as_bytes());
    assert_eq!(sound.headers.value("X-Own"), Some("\"\\\0\""));
    assert!(holds(format!("{OPTIONS}X-Own: \"\\\0\"\r\n\r\n").as_bytes()));
}

#[test]
fn an_unknown_method_is_told_before_a_cseq_of_another() {
    let bytes = OPTIONS.replacen("OPTIONS", "NEWMETHOD", 1);
    assert_eq!(status(format!("{bytes}\r\n").as_bytes()).0, 501);
}

/// Messages with something of everything, to be broken by the properties below.
const SEEDS: [&str; 3] = [
    "INVITE sip:b%41@[2001:db8::1]:5060;transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP [::1]:5060;branch=z9hG4bK1;rport, SIP/2.0/UDP a\r\n\
    From: \"A \\\" <b>\" <sip:a@h;x=y?z=1>;tag=1\r\nTo: tel:+1-2;phone-context=x\r\nCall-ID: c@d\r\nCSeq: 1 INVITE\r\n\
    m: \"X, Y\" <sip:a@192.0.2.1>;q=0.5;expires=60,<sip:c@d>\r\nRoute: <sip:p;lr>,\r\n <sip:q;lr>\r\nMax-Forwards: 70\r\n\
    c: application/sdp\r\nl: 4\r\n\r\nv=0\n",
    "SIP/2.0 183 Session Progress\r\nv: SIP/2.0/UDP h;received=[::1];rport=5\r\nf: <sip:a@h>;tag=1\r\nt: B <sip:b@h>;tag=2\r\n\
    i: c\r\nCSeq: 1 INVITE\r\nRecord-Route: <sip:p;lr>\r\nReason: Q.850;cause=16;text=\"x\"\r\n\r\n",
    "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: sip:a@h;tag=1\r\nTo: sip:a@h\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n\
    Contact: *\r\nExpires: 0\r\nAuthorization: Digest username=\"a\"\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\n\r\n",
];

/// Bytes that mean something to a SIP parser, besides any byte.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let telling = proptest::sample::select(vec![
        "\r\n",
        "\r\n\r\n",
        "\r\n ",
        "\n",
        "\"",
        "\\",
        "<",
        ">",
        ";",
        ";;",
        ",",
        ":",
        "@",
        "%",
        "%4",
        "?",
        "=",
        "[",
        "]",
        " ",
        "\t",
        "*",
        "Via: ",
        "l: 9\r\n",
        "Contact:",
        "sip:",
        "SIP/2.0",
        "99999999999",
        "-1",
        "\0",
        "\u{fe}",
        "tag=",
        "é",
    ]);
    prop_oneof![telling.prop_map(|text| text.as_bytes().to_vec()), proptest::collection::vec(any::<u8>(), 0..4)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_promises_hold_for_broken_messages(
        seed in proptest::sample::select(SEEDS.to_vec()),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..6, fragment()), 0..4),
    ) {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, cut, new) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, new);
        }
        prop_assert!(holds(&bytes), "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn the_promises_hold_for_noise(bytes in proptest::collection::vec(fragment(), 0..60)) {
        prop_assert!(holds(&bytes.concat()));
    }

    #[test]
    fn a_framer_never_panics_nor_holds_back_a_whole_message(pieces in proptest::collection::vec(fragment(), 0..40), at in 0_usize..40) {
        let whole = format!("{OPTIONS}Content-Length: 3\r\n\r\nabc");
        let mut framer = Framer::new();
        framer.push(whole.as_bytes());
        prop_assert_eq!(framer.next(), Ok(Some(Framed::Message(whole.into_bytes()))));
        for piece in pieces.iter().skip(at) {
            framer.push(piece);
            while let Ok(Some(_)) = framer.next() {}
        }
    }
}

#[test]
fn the_seeds_are_sound() {
    for seed in SEEDS {
        assert!(parse(seed.as_bytes()).is_ok() && holds(seed.as_bytes()), "{:?}", parse(seed.as_bytes()));
    }
}
