//! REGISTERs as phones send them, on virtual time.

use super::*;
use crate::sip::hop::Transport;
use crate::sip::message;

const AOR: &str = "sip:1001@wirechief";
const PHONE: &str = "<sip:1001@192.0.2.1:5060>";
const SOFT: &str = "<sip:1001@192.0.2.2:5062;transport=tcp>";

struct Table {
    registrar: Registrar,
    now: Instant,
}

impl Table {
    fn new() -> Self {
        let limits = Limits { contacts: 3, total: 4, ..Limits::default() };
        Self { registrar: Registrar::new(limits), now: Instant::now() }
    }

    fn register(&mut self, call: (&str, u32), headers: &[(&str, &str)]) -> Result<Vec<String>, RegisterError> {
        self.register_at("192.0.2.1:5060", call, headers)
    }

    fn register_at(
        &mut self,
        from: &str,
        (call_id, cseq): (&str, u32),
        headers: &[(&str, &str)],
    ) -> Result<Vec<String>, RegisterError> {
        let mut request = message::request(rsip::Method::Register, &"sip:wirechief".parse().unwrap(), &[]);
        request.headers.push_header("Call-ID", call_id);
        request.headers.push_header("CSeq", format!("{cseq} REGISTER"));
        for (name, value) in headers {
            request.headers.push_header(name, *value);
        }
        let source =
            Hop { transport: Transport::Udp, local: "192.0.2.9:5060".parse().unwrap(), remote: from.parse().unwrap() };
        let bindings = self.registrar.register(self.now, AOR, &request, &source)?;
        Ok(bindings.iter().map(|binding| binding.contact_value(self.now)).collect())
    }

    fn pass(&mut self, seconds: u64) -> usize {
        self.now += Duration::from_secs(seconds);
        self.registrar.expire(self.now).len()
    }
}

#[test]
fn contacts_gather_refresh_and_go_one_by_one() {
    let mut table = Table::new();
    assert_eq!(
        table.register(("a", 1), &[("Contact", PHONE), ("Expires", "60")]).unwrap(),
        [format!("{PHONE};expires=60")]
    );
    let both = table.register(("b", 1), &[("Contact", &format!("{SOFT};expires=120;q=0.5"))]).unwrap();
    assert_eq!(both, [format!("{PHONE};expires=60"), format!("{SOFT};expires=120;q=0.500")]);
    assert_eq!(table.pass(50), 0);
    table.register(("a", 2), &[("Contact", PHONE), ("Expires", "60")]).unwrap();
    assert_eq!(table.pass(50), 0);
    assert_eq!(table.register(("q", 1), &[]).unwrap().len(), 2);
    assert_eq!(
        table.register(("a", 3), &[("Contact", &format!("{PHONE};expires=0"))]).unwrap(),
        [format!("{SOFT};expires=20;q=0.500")]
    );
    assert_eq!(table.registrar.len(), 1);
}

#[test]
fn bindings_end_on_time_and_the_next_end_is_known() {
    let mut table = Table::new();
    table.register(("a", 1), &[("Contact", PHONE), ("Expires", "60")]).unwrap();
    table.register(("b", 1), &[("Contact", SOFT), ("Expires", "90")]).unwrap();
    assert_eq!(table.registrar.next_expiry(), Some(table.now + Duration::from_secs(60)));
    assert_eq!(table.registrar.bindings(table.now + Duration::from_secs(60), AOR).len(), 1);
    assert_eq!((table.pass(60), table.pass(30)), (1, 1));
    assert!(
        table.registrar.is_empty() && table.registrar.next_expiry().is_none() && table.registrar.all().next().is_none()
    );
}

#[test]
fn times_are_kept_within_limits() {
    let mut table = Table::new();
    let error = table.register(("a", 1), &[("Contact", PHONE), ("Expires", "10")]).unwrap_err();
    assert_eq!((error.status(), error.headers()), (423, vec![("Min-Expires".to_owned(), "30".to_owned())]));
    assert_eq!(
        table.register(("a", 2), &[("Contact", PHONE), ("Expires", "999999999999")]).unwrap(),
        [format!("{PHONE};expires=3600")]
    );
    assert_eq!(table.register(("a", 3), &[("Contact", PHONE)]).unwrap(), [format!("{PHONE};expires=3600")]);
}

#[test]
fn a_device_that_moved_replaces_itself() {
    let mut table = Table::new();
    let at = |uri: &str| format!("{uri};+sip.instance=\"<urn:uuid:1>\"");
    table.register(("a", 1), &[("Contact", &at(PHONE)), ("Expires", "60")]).unwrap();
    let after = table.register(("b", 1), &[("Contact", &at(SOFT)), ("Expires", "60")]).unwrap();
    assert_eq!(after, [format!("{SOFT};expires=60;+sip.instance=\"<urn:uuid:1>\"")]);
}

#[test]
fn star_needs_expires_zero_and_removes_all() {
    let mut table = Table::new();
    table.register(("a", 5), &[("Contact", &format!("{PHONE}, {SOFT}"))]).unwrap();
    assert_eq!(table.register(("a", 6), &[("Contact", "*")]), Err(RegisterError::Star));
    assert_eq!(
        table.register(("a", 6), &[("Contact", &format!("*, {PHONE}")), ("Expires", "0")]),
        Err(RegisterError::Contact(HeaderError::Star))
    );
    assert_eq!(
        table.register(("a", 5), &[("Contact", "*"), ("Expires", "0")]),
        Err(RegisterError::OutOfOrder { cseq: 5, known: 5 })
    );
    assert_eq!(table.registrar.len(), 2);
    assert_eq!(table.register(("a", 6), &[("Contact", "*"), ("Expires", "0")]), Ok(Vec::new()));
}

#[test]
fn a_late_register_changes_nothing_at_all() {
    let mut table = Table::new();
    table.register(("a", 9), &[("Contact", PHONE), ("Expires", "60")]).unwrap();
    let late = table.register(("a", 8), &[("Contact", &format!("{SOFT}, {PHONE};expires=0"))]);
    assert_eq!(late, Err(RegisterError::OutOfOrder { cseq: 8, known: 9 }));
    assert_eq!(table.register(("q", 1), &[]).unwrap(), [format!("{PHONE};expires=60")]);
    // another Call-ID: the phone restarted
    assert!(table.register(("b", 1), &[("Contact", PHONE)]).is_ok());
}

#[test]
fn one_contact_twice_in_a_request_is_one_binding() {
    let mut table = Table::new();
    assert_eq!(
        table.register(("a", 1), &[("Contact", &format!("{PHONE};expires=60, {PHONE};expires=90"))]).unwrap(),
        [format!("{PHONE};expires=90")]
    );
}

#[test]
fn limits_hold_for_one_user_and_for_all() {
    let mut table = Table::new();
    let contacts =
        |range: std::ops::Range<u8>| range.map(|n| format!("<sip:1001@192.0.2.{n}>")).collect::<Vec<_>>().join(", ");
    let many = table.register(("a", 1), &[("Contact", &contacts(1..5))]);
    assert_eq!(many, Err(RegisterError::TooManyContacts { limit: 3 }));
    assert!(table.registrar.is_empty());
    table.register(("a", 1), &[("Contact", &contacts(1..4))]).unwrap();
    let other = message::request(
        rsip::Method::Register,
        &"sip:wirechief".parse().unwrap(),
        &[("Call-ID", "b".into()), ("CSeq", "1 REGISTER".into()), ("Contact", contacts(1..3))],
    );
    let source = Hop {
        transport: Transport::Tcp,
        local: "192.0.2.9:5060".parse().unwrap(),
        remote: "192.0.2.7:4444".parse().unwrap(),
    };
    assert_eq!(
        table.registrar.register(table.now, "sip:1002@wirechief", &other, &source),
        Err(RegisterError::Full { limit: 4 })
    );
}

#[test]
fn uris_with_headers_and_escapes_are_kept_apart() {
    let mut table = Table::new();
    let escaped = "<sip:%00@host5.example.com>, <sip:%00%00@host5.example.com>, <sip:user@example.com?Route=%3Csip:sip.example.com%3E>";
    assert_eq!(table.register(("a", 1), &[("Contact", escaped)]).unwrap().len(), 3);
    assert_eq!(table.register(("a", 2), &[("Contact", "<name:John_Smith>")]), Err(RegisterError::Scheme));
    assert_eq!(
        table.register(("a", 2), &[("Contact", "sip:u@h?Route=%3Csip:x%3E")]),
        Err(RegisterError::Contact(HeaderError::Address))
    );
}

#[test]
fn the_address_of_record_has_one_form_and_a_scheme_we_know() {
    let register = |to: &str| {
        let headers = [("To", to.to_owned()), ("From", "<sip:a@b>;tag=1".to_owned())];
        address_of_record(&message::request(rsip::Method::Register, &"sip:wirechief".parse().unwrap(), &headers))
    };
    assert_eq!(register("\"A\" <sip:%31001@WireChief:5060;x=y>;tag=1"), Ok(AOR.to_owned()));
    assert_eq!(register("<isbn:2983792873>"), Err(RegisterError::Scheme));
}
