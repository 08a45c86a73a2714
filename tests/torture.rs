//! RFC 4475 and RFC 5118: every message as the RFC says, against the table `data/torture.txt`.

mod live;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wirechief::sip::HeadersExt;
use wirechief::sip::header::{NameAddr, Via};
use wirechief::sip::message::{Message, reason_of, request_uri};
use wirechief::sip::uri::{Host, Uri};
use wirechief::sip::wire::{self, Reject};

use crate::harness::Text;

/// One line of the table.
struct Row {
    name: String,
    wire: Vec<String>,
    udp: Vec<String>,
    tcp: Vec<String>,
}

impl Row {
    fn parse(line: &str) -> Self {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let list = |column: &str| column.split('|').map(str::to_owned).collect();
        Self { name: columns[0].to_owned(), wire: list(columns[1]), udp: list(columns[2]), tcp: list(columns[3]) }
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn table() -> Vec<Row> {
    let text = std::fs::read_to_string(data().join("torture.txt")).expect("tests/data/torture.txt");
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(Row::parse).collect()
}

#[test]
fn every_message_has_one_line_in_the_table_and_every_line_a_message() {
    let rows = table();
    let named: BTreeSet<String> = rows.iter().map(|row| row.name.clone()).collect();
    assert_eq!(named.len(), rows.len(), "a message is named twice");
    let mut stored = BTreeSet::new();
    for (folder, count) in [("rfc4475", 49), ("rfc5118", 12)] {
        let files: Vec<_> = std::fs::read_dir(data().join(folder)).expect(folder).flatten().collect();
        assert_eq!(files.len(), count, "{folder}");
        stored.extend(files.iter().map(|file| format!("{folder}/{}", file.path().file_stem().unwrap().display())));
    }
    assert_eq!(named, stored);
    for row in rows {
        let verdicts = row.wire.iter().chain(&row.udp).chain(&row.tcp);
        for verdict in verdicts {
            let status = verdict.trim_start_matches("no:").trim_start_matches("ok:").trim_end_matches("+close");
            let known = ["drop", "served", "wait"].contains(&status)
                || status.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            assert!(known, "{}: {verdict}", row.name);
        }
    }
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(data().join(format!("{name}.dat"))).expect(name)
}

/// What the parser makes of a message, in the words of the table.
fn wire_verdict(bytes: &[u8]) -> String {
    match wire::parse(bytes) {
        Ok(Message::Request(request)) => format!("ok:{}", request.method),
        Ok(Message::Response(response)) => format!("ok:{}", response.status_code.code()),
        Err(Reject::Answer { response }) => format!("no:{}", response.status_code.code()),
        Err(Reject::Drop(_)) => "drop".to_owned(),
    }
}

#[test]
fn the_parser_says_of_each_message_what_the_table_says() {
    let wrong: Vec<String> = table()
        .into_iter()
        .filter_map(|row| {
            let verdict = wire_verdict(&bytes_of(&row.name));
            (!row.wire.contains(&verdict)).then(|| format!("{}: {verdict} instead of {:?}", row.name, row.wire))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_answer_to_a_malformed_request_copies_what_a_response_must_copy() {
    for row in table() {
        let bytes = bytes_of(&row.name);
        let (Err(Reject::Answer { response }), Some(request)) = (wire::parse(&bytes), Text::parse(&bytes)) else {
            continue;
        };
        let mut printed = Vec::new();
        wire::print(&Message::Response(response), &mut printed);
        let answer = Text::parse(&printed).expect("a message");
        assert_eq!(answer.all("Via").len(), request.all("Via").len(), "{}: every Via goes back", row.name);
        if row.name.ends_with("multi01") {
            continue; // which of the two is copied is anyone's choice
        }
        for header in ["Call-ID", "CSeq", "From"] {
            assert_eq!(answer.header(header), request.header(header), "{}: {header}", row.name);
        }
        let unreadable = ["quotbal", "badaspec", "baddn"].iter().any(|name| row.name.ends_with(name));
        if request.header("To").is_some() && !unreadable {
            assert!(answer.tag("To").is_some_and(|tag| !tag.is_empty()), "{}: a tag in To", row.name);
        }
    }
}

#[test]
fn what_was_accepted_is_the_same_after_print_and_parse() {
    for row in table() {
        let bytes = bytes_of(&row.name);
        let Ok(message) = wire::parse(&bytes) else { continue };
        let mut printed = Vec::new();
        wire::print(&message, &mut printed);
        assert_eq!(wire::parse(&printed).as_ref(), Ok(&message), "{}", row.name);
    }
}

fn request(name: &str) -> rsip::Request {
    match wire::parse(&bytes_of(name)) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

fn contact(request: &rsip::Request, at: usize) -> NameAddr {
    request.headers.contacts().expect("contacts")[at].address().expect("an address").clone()
}

#[test]
fn the_tortuous_invite_is_understood() {
    let invite = request("rfc4475/wsinv");
    let headers = &invite.headers;
    let uri = request_uri(&invite).expect("a URI");
    assert_eq!((uri.user.as_deref(), uri.params.has("unknownparam")), (Some("vivekg"), true));
    assert_eq!(headers.to_addr().expect("To").tag(), Some("1918181833n"));
    let from = headers.from_addr().expect("From");
    assert_eq!((from.display.as_deref(), from.tag()), (Some("J Rosenberg \\\""), Some("98asjd8")));
    assert_eq!(headers.max_forwards(), Some(68));
    let cseq = headers.cseq().expect("CSeq");
    assert_eq!((cseq.number, cseq.method.as_str()), (9, "INVITE"));
    let vias: Vec<Via> = headers.values("Via").into_iter().map(|via| Via::parse(via).expect("a Via")).collect();
    let seen: Vec<_> = vias.iter().map(|via| (via.transport.as_str(), via.host.to_string(), via.branch())).collect();
    assert_eq!(
        seen,
        [
            ("UDP", "192.0.2.2".to_owned(), Some("390skdjuw")),
            ("TCP", "spindle.example.com".to_owned(), Some("z9hG4bK9ikj8")),
            ("UDP", "192.168.255.111".to_owned(), Some("z9hG4bK30239")),
        ]
    );
    let contact = contact(&invite, 0);
    assert_eq!(contact.display.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("q"), Some("0.33"));
    assert!(contact.params.has("secondparam"));
    assert_eq!(headers.value("Subject"), Some(""));
    assert_eq!(headers.value("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    assert_eq!(headers.value("NewFangledHeader"), Some("newfangled value continued newfangled value"));
    let route = &headers.route_set("Route")[0].uri;
    assert_eq!(route.params.get("unknownwith"), Some("value"));
    assert!(route.params.has("lr") && route.params.has("unknown-no-value"));
    assert_eq!(invite.body.len(), 150);
}

#[test]
fn percent_escapes_count_where_the_grammar_has_them_and_nowhere_else() {
    let invite = request("rfc4475/esc01");
    let uri = request_uri(&invite).expect("a URI");
    assert_eq!(uri.user_plain().as_deref(), Some("sips:user@example.com"));
    assert_eq!(uri.host.to_string(), "example.net");
    let to = invite.headers.to_addr().expect("To").uri;
    assert!(to.matches(&Uri::parse("sip:user@example.com").expect("a URI")));
    assert_eq!(invite.headers.from_addr().expect("From").uri.user_plain().as_deref(), Some("I have spaces"));
    assert_eq!(contact(&invite, 0).uri.user_plain().as_deref(), Some("caller"));

    let register = request("rfc4475/escnull");
    let users: Vec<_> = (0..2).map(|at| contact(&register, at).uri.user_plain().map(|user| user.len())).collect();
    assert_eq!(users, [Some(1), Some(2)], "a NUL ends nothing");
    let (one, two) = (contact(&register, 0).uri, contact(&register, 1).uri);
    assert!(!one.matches(&two));
    assert_eq!(register.headers.to_addr().expect("To").uri.user_plain().as_deref(), Some("null-\0-null"));
}

#[test]
fn parameters_belong_where_they_are_written() {
    let options = request("rfc4475/semiuri");
    let uri = request_uri(&options).expect("a URI");
    assert_eq!(uri.user_plain().as_deref(), Some("user;par=u@example.net"));
    assert!(uri.params.is_empty());

    let outside = contact(&request("rfc4475/cparam01"), 0);
    assert!(outside.params.has("unknownparam") && outside.uri.params.is_empty());
    let inside = contact(&request("rfc4475/cparam02"), 0);
    assert!(inside.params.is_empty() && inside.uri.params.has("unknownparam"));
    let escaped = contact(&request("rfc4475/regescrt"), 0);
    assert_eq!(escaped.uri.headers.as_deref(), Some("Route=%3Csip:sip.example.com%3E"));
}

#[test]
fn bodies_end_where_content_length_says() {
    assert_eq!(request("rfc4475/dblreq").body.len(), 0, "the INVITE behind is noise");
    let multipart = request("rfc4475/mpart01").body;
    assert_eq!(multipart.len(), 553);
    assert!(multipart.contains(&0) && multipart.ends_with(b"--7a9cbec02ceef655--\r\n"));
    assert_eq!(request("rfc4475/inv2543").body.len(), 105, "without Content-Length: to the end of the datagram");
}

#[test]
fn long_and_many_values_are_kept_whole() {
    let invite = request("rfc4475/longreq");
    assert_eq!(invite.headers.values("Via").len(), 34);
    let last = Via::parse(invite.headers.values("Via")[33]).expect("a Via");
    assert_eq!(last.received(), Some("192.0.2.5".parse().expect("an address")));
    assert_eq!(last.branch().map(str::len), Some("very".len() + 50 * "long".len() + "branchvalue".len()));
    assert_eq!(invite.headers.from_addr().expect("From").tag().map(str::len), Some(2 + 150 + 3));
    let to = invite.headers.to_addr().expect("To");
    assert_eq!(to.uri.port, Some(6000));
    assert_eq!(to.display.map(|name| name.len()), Some("I have a user name of  proportion".len() + 70));
}

#[test]
fn reason_phrases_are_kept_as_they_came() {
    let words = |name: &str| match wire::parse(&bytes_of(name)) {
        Ok(Message::Response(response)) => reason_of(&response.status_code).to_owned(),
        other => panic!("{name}: {other:?}"),
    };
    assert!(words("rfc4475/unreason").starts_with("= 2**3 * 5**2 но сто"), "{}", words("rfc4475/unreason"));
    assert_eq!(words("rfc4475/noreason"), "");
}

#[test]
fn ipv6_addresses_and_their_ports_are_told_apart() {
    let uri = |name: &str| request_uri(&request(name)).expect("a URI");
    let address = |text: &str| Host::V6(text.parse().expect("an address"));
    assert_eq!((uri("rfc5118/ipv6-good").host, uri("rfc5118/ipv6-good").port), (address("2001:db8::10"), None));
    let ambiguous = uri("rfc5118/port-ambiguous");
    assert_eq!((ambiguous.host, ambiguous.port), (address("2001:db8::10:5070"), None));
    let clear = uri("rfc5118/port-unambiguous");
    assert_eq!((clear.host, clear.port), (address("2001:db8::10"), Some(5070)));
    for name in ["rfc5118/via-received-param-with-delim", "rfc5118/via-received-param-no-delim"] {
        let via = request(name).headers.top_via().expect("a Via");
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().expect("an address")), "{name}");
    }
    let vias = request("rfc5118/mult-ip-in-header").headers;
    let vias: Vec<Via> = vias.values("Via").into_iter().map(|via| Via::parse(via).expect("a Via")).collect();
    assert_eq!((&vias[0].host, vias[0].port), (&address("2001:db8::9:1"), Some(6050)));
    assert_eq!(vias[2].received(), Some("192.0.2.200".parse().expect("an address")));
    let mapped = request("rfc5118/ipv4-mapped-ipv6").headers.top_via().expect("a Via");
    assert_eq!((mapped.host, mapped.port), (address("::ffff:192.0.2.10"), Some(19_823)));
    let three = uri("rfc5118/ipv6-bug-abnf-3-colons").host;
    assert_eq!(three, uri("rfc5118/ipv6-correct-abnf-2-colons").host);
    assert_eq!(three, address("2001:db8::192.0.2.1"));
}
