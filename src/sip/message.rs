//! Messages: rsip's types as a bag of fields, and the few things every user of them needs (method and reason names,
//! the Request-URI, a response that belongs to a request). Bytes are `wire`'s work.

use crate::sip::header::HeadersExt;
use crate::sip::header::table::name_and_value;
use crate::sip::uri::{Uri, UriError};
use rsip::common::uri::host_with_port::{Domain, Host};
use rsip::{Headers, Method, Request, Response, StatusCode, Version};
use std::borrow::Cow;

/// One SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// The headers of either.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The body of either.
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }
}

/// The Request-URI, typed.
pub fn request_uri(request: &Request) -> Result<Uri, UriError> {
    Uri::parse(&request_uri_text(request))
}

/// The Request-URI as it stands on the wire.
pub fn request_uri_text(request: &Request) -> Cow<'_, str> {
    let uri = &request.uri;
    match (&uri.scheme, &uri.host_with_port.host) {
        (None, Host::Domain(text)) => Cow::Borrowed(text.value()),
        _ => Cow::Owned(fields_text(uri)),
    }
}

/// A URI's text as rsip carries it. rsip's URI holds neither IPv6, `tel:`, unknown schemes nor escapes exactly, so the text
/// travels whole in the host field, without a scheme; [`request_uri`] gives it its meaning.
pub fn carry_uri(text: impl Into<String>) -> rsip::Uri {
    let host = Host::Domain(Domain::new(text.into()));
    rsip::Uri { scheme: None, auth: None, host_with_port: host.into(), params: Vec::new(), headers: Vec::new() }
}

/// The text of a URI that somebody built from rsip's own fields; parameters of such a URI are not carried.
fn fields_text(uri: &rsip::Uri) -> String {
    let host = match &uri.host_with_port.host {
        Host::Domain(name) => crate::sip::uri::Host::Name(name.value().to_owned()),
        Host::IpAddr(address) => (*address).into(),
    };
    let port = uri.host_with_port.port.as_ref().map(|port| *port.value());
    Uri::sip(uri.auth.as_ref().map(|auth| auth.user.as_str()), host, port).to_string()
}

/// A request with these headers and no body.
pub fn request(method: Method, uri: &Uri, headers: &[(&str, String)]) -> Request {
    let mut list = Headers::default();
    for (name, value) in headers {
        list.push_header(name, value.as_str());
    }
    Request { method, uri: carry_uri(uri.to_string()), version: Version::V2, headers: list, body: Vec::new() }
}

/// The response to a request: its Vias, From, To, Call-ID and CSeq (RFC 3261 §8.2.6.2), a Timestamp in a 100 (§8.2.6.1).
/// `to_tag` is added when the To has none yet; a 100 takes none.
pub fn response_to(request: &Request, status: u16, to_tag: Option<&str>) -> Response {
    let mut headers = Headers::default();
    for header in request.headers.iter() {
        match header {
            rsip::Header::To(_) => headers.push_header("To", tagged(name_and_value(header).1, to_tag)),
            rsip::Header::Timestamp(_) if status == 100 => headers.push(header.clone()),
            rsip::Header::Via(_) | rsip::Header::From(_) | rsip::Header::CallId(_) | rsip::Header::CSeq(_) => {
                headers.push(header.clone());
            }
            _ => {}
        }
    }
    Response { status_code: status_code(status), version: Version::V2, headers, body: Vec::new() }
}

/// A To value with a tag; one that has a tag already (or cannot be read) stays as it is.
pub(crate) fn tagged(to: &str, tag: Option<&str>) -> String {
    match (crate::sip::header::NameAddr::parse(to), tag) {
        (Ok(address), Some(tag)) if !address.params.has("tag") => format!("{to};tag={tag}"),
        _ => to.to_owned(),
    }
}

/// A status with the usual words. Compare statuses by `.code()`: one received with unusual words is not equal to rsip's constant.
pub fn status_code(status: u16) -> StatusCode {
    match StatusCode::from(status) {
        StatusCode::Other(status, _) => StatusCode::Other(status, reason_phrase(status).to_owned()),
        known => known,
    }
}

/// A status with the words it came with.
pub fn status_code_with(status: u16, reason: &str) -> StatusCode {
    match status_code(status) {
        usual if reason_of(&usual) == reason => usual,
        _ => StatusCode::Other(status, reason.to_owned()),
    }
}

/// The words of a status, as received or the usual ones.
pub fn reason_of(status: &StatusCode) -> &str {
    match status {
        StatusCode::Other(_, reason) => reason,
        known => reason_phrase(known.code()),
    }
}

/// The usual words for a status (RFC 3261 §21 and the IANA registry).
pub fn reason_phrase(status: u16) -> &'static str {
    const PHRASES: &[(u16, &str)] = &[
        (100, "Trying"),
        (180, "Ringing"),
        (181, "Call Is Being Forwarded"),
        (182, "Queued"),
        (183, "Session Progress"),
        (199, "Early Dialog Terminated"),
        (200, "OK"),
        (202, "Accepted"),
        (204, "No Notification"),
        (300, "Multiple Choices"),
        (301, "Moved Permanently"),
        (302, "Moved Temporarily"),
        (305, "Use Proxy"),
        (380, "Alternative Service"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (402, "Payment Required"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (406, "Not Acceptable"),
        (407, "Proxy Authentication Required"),
        (408, "Request Timeout"),
        (410, "Gone"),
        (412, "Conditional Request Failed"),
        (413, "Request Entity Too Large"),
        (414, "Request-URI Too Long"),
        (415, "Unsupported Media Type"),
        (416, "Unsupported URI Scheme"),
        (417, "Unknown Resource-Priority"),
        (420, "Bad Extension"),
        (421, "Extension Required"),
        (422, "Session Interval Too Small"),
        (423, "Interval Too Brief"),
        (428, "Use Identity Header"),
        (429, "Provide Referrer Identity"),
        (430, "Flow Failed"),
        (433, "Anonymity Disallowed"),
        (436, "Bad Identity Info"),
        (437, "Unsupported Credential"),
        (438, "Invalid Identity Header"),
        (439, "First Hop Lacks Outbound Support"),
        (440, "Max-Breadth Exceeded"),
        (469, "Bad Info Package"),
        (470, "Consent Needed"),
        (480, "Temporarily Unavailable"),
        (481, "Call/Transaction Does Not Exist"),
        (482, "Loop Detected"),
        (483, "Too Many Hops"),
        (484, "Address Incomplete"),
        (485, "Ambiguous"),
        (486, "Busy Here"),
        (487, "Request Terminated"),
        (488, "Not Acceptable Here"),
        (489, "Bad Event"),
        (491, "Request Pending"),
        (493, "Undecipherable"),
        (494, "Security Agreement Required"),
        (500, "Server Internal Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Server Time-out"),
        (505, "Version Not Supported"),
        (513, "Message Too Large"),
        (580, "Precondition Failure"),
        (600, "Busy Everywhere"),
        (603, "Decline"),
        (604, "Does Not Exist Anywhere"),
        (606, "Not Acceptable"),
        (607, "Unwanted"),
        (608, "Rejected"),
    ];
    let found = PHRASES.binary_search_by_key(&status, |(status, _)| *status).ok().and_then(|at| PHRASES.get(at));
    match (found, status / 100) {
        (Some((_, phrase)), _) => phrase,
        (None, 1) => "Progress",
        (None, 2) => "OK",
        (None, 3) => "Redirection",
        (None, 4) => "Request Failure",
        (None, 5) => "Server Failure",
        (None, _) => "Global Failure",
    }
}

const METHODS: [(Method, &str); 14] = [
    (Method::Invite, "INVITE"),
    (Method::Ack, "ACK"),
    (Method::Bye, "BYE"),
    (Method::Register, "REGISTER"),
    (Method::Options, "OPTIONS"),
    (Method::Cancel, "CANCEL"),
    (Method::Info, "INFO"),
    (Method::PRack, "PRACK"),
    (Method::Update, "UPDATE"),
    (Method::Message, "MESSAGE"),
    (Method::Notify, "NOTIFY"),
    (Method::Publish, "PUBLISH"),
    (Method::Refer, "REFER"),
    (Method::Subscribe, "SUBSCRIBE"),
];

/// The method of that name; methods have case. `None` for those outside rsip's fourteen.
pub fn method(name: &str) -> Option<Method> {
    METHODS.iter().find(|(_, known)| *known == name).map(|(method, _)| *method)
}

/// A method's name on the wire.
pub fn method_name(method: Method) -> &'static str {
    METHODS.iter().find(|(known, _)| *known == method).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_copies_what_belongs_to_the_transaction_and_tags_the_to_once() {
        let mut invite = request(
            Method::Invite,
            &Uri::parse("sip:b@h").unwrap(),
            &[("Via", "SIP/2.0/UDP h;branch=z9hG4bK1".into()), ("To", "<sip:b@h>".into()), ("Subject", "x".into())],
        );
        let response = response_to(&invite, 180, Some("t1"));
        assert_eq!(response.headers.value("To"), Some("<sip:b@h>;tag=t1"));
        assert!(response.headers.value("Via").is_some() && response.headers.value("Subject").is_none());
        invite.headers.set_header("To", "<sip:b@h>;tag=old");
        assert_eq!(response_to(&invite, 200, Some("t1")).headers.value("To"), Some("<sip:b@h>;tag=old"));
    }

    #[test]
    fn phrases_are_sorted_and_unusual_ones_survive() {
        assert_eq!(reason_of(&status_code(486)), "Busy Here");
        assert_eq!(reason_of(&status_code(499)), "Request Failure");
        assert_eq!(status_code_with(200, "OK"), StatusCode::OK);
        assert_eq!(reason_of(&status_code_with(200, "= 2**3")), "= 2**3");
        let listed = (100..700).filter(|status| reason_of(&status_code(*status)) == reason_phrase(*status)).count();
        assert_eq!(listed, 600);
    }

    #[test]
    fn every_method_finds_its_name_back() {
        for known in Method::all() {
            assert_eq!(method(method_name(known)), Some(known));
        }
        assert_eq!(method("invite"), None);
    }
}
