//! Writes the messages that the stack itself makes: requests in dialogs, ACK and CANCEL, and all responses to one request.
//! Above: `session`, `stack` and the transactions. It refuses to let a value break a line: every header passes `header`.

use std::fmt::Write as _;

use bytes::Bytes;
use rsip::Request;

use super::body::SDP;
use super::header::HeadersExt;
use super::header::text::split_list;
use super::message::reason_phrase;

/// What we understand within and outside dialogs, as the Allow header says it.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REGISTER";
/// The one extension we have (RFC 3262).
pub(crate) const RELIABLE: &str = "100rel";

/// A message under construction.
pub(crate) struct Writer {
    text: String,
}

impl Writer {
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        let mut writer = Self { text: String::with_capacity(768) };
        writer.push(method);
        writer.text.push(' ');
        writer.push(uri);
        writer.text.push_str(" SIP/2.0\r\n");
        writer
    }

    fn response(status: u16, reason: &str) -> Self {
        let mut writer = Self { text: String::with_capacity(768) };
        let _ = write!(writer.text, "SIP/2.0 {status} ");
        writer.push(reason);
        writer.text.push_str("\r\n");
        writer
    }

    /// Adds a header; line breaks and other control characters in the value become blanks.
    pub(crate) fn header(&mut self, name: &str, value: &str) -> &mut Self {
        self.push(name);
        self.text.push_str(": ");
        self.push(value);
        self.text.push_str("\r\n");
        self
    }

    pub(crate) fn headers(&mut self, headers: &[(String, String)]) -> &mut Self {
        for (name, value) in headers {
            // The length is ours to say: a second one would split the message.
            if !name.eq_ignore_ascii_case("Content-Length") && is_token(name) {
                self.header(name, value);
            }
        }
        self
    }

    /// The finished message, its Content-Type among the headers.
    pub(crate) fn body(&mut self, body: &[u8]) -> Bytes {
        let _ = write!(self.text, "Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        bytes.extend_from_slice(body);
        Bytes::from(bytes)
    }

    /// The finished message with a description, or without a body.
    pub(crate) fn description(&mut self, description: Option<&[u8]>) -> Bytes {
        if description.is_some() {
            self.header("Content-Type", SDP);
        }
        self.body(description.unwrap_or_default())
    }

    fn push(&mut self, value: &str) {
        if value.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            self.text.extend(value.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }));
        } else {
            self.text.push_str(value);
        }
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// The part of a request that all responses to it begin with (§8.2.6.2): Via, From, To, Call-ID, CSeq.
#[derive(Clone, Debug)]
pub(crate) struct ReplyHead {
    /// The lines before the To value, that value included.
    before_tag: Box<str>,
    /// `;tag=…` of ours, or nothing when To came with a tag.
    tag: Box<str>,
    after_tag: Box<str>,
    /// Record-Route lines, for responses that make a dialog (§12.1.1).
    record_routes: Box<str>,
}

impl ReplyHead {
    /// Takes what is needed of a request whose topmost Via has been completed; `tag` goes into To unless there is one.
    pub(crate) fn new(request: &Request, tag: Option<&str>) -> Self {
        let headers = &request.headers;
        let mut writer = Writer { text: String::with_capacity(512) };
        for via in headers.lines("Via").flat_map(split_list).filter(|via| !via.is_empty()) {
            writer.header("Via", via);
        }
        writer.header("From", headers.value("From").unwrap_or_default());
        writer.header("Call-ID", headers.call_id().unwrap_or_default());
        writer.header("CSeq", headers.value("CSeq").unwrap_or_default());
        if let Some(timestamp) = headers.value("Timestamp") {
            writer.header("Timestamp", timestamp); // §8.2.6.1
        }
        let mut routes = Writer { text: String::new() };
        for route in headers.lines("Record-Route") {
            routes.header("Record-Route", route);
        }
        writer.text.push_str("To: ");
        writer.push(headers.value("To").unwrap_or_default());
        Self {
            before_tag: writer.text.into_boxed_str(),
            tag: tag.map(|tag| format!(";tag={tag}")).unwrap_or_default().into_boxed_str(),
            after_tag: "\r\n".into(),
            record_routes: routes.text.into_boxed_str(),
        }
    }

    /// Starts a response; what makes a dialog carries the Record-Route of the request.
    pub(crate) fn reply(&self, status: u16, agent: &str) -> Writer {
        let mut writer = Writer::response(status, reason_phrase(status));
        writer.text.push_str(&self.before_tag);
        if status > 100 {
            writer.text.push_str(&self.tag); // §8.2.6.2: all but 100
        }
        writer.text.push_str(&self.after_tag);
        if (101..300).contains(&status) {
            writer.text.push_str(&self.record_routes);
        }
        writer.header("Server", agent);
        writer
    }
}

/// The ACK of a 3xx–6xx: same branch, To of the response (§17.1.1.3).
pub(crate) fn ack_of_refusal(invite: &[u8], to: &str) -> Bytes {
    derive(invite, "ACK", Some(to), None)
}

/// The CANCEL of an INVITE: same branch, same To (§9.1).
pub(crate) fn cancel(invite: &[u8], reason: Option<&str>) -> Bytes {
    derive(invite, "CANCEL", None, reason)
}

/// Copies from an INVITE that this module wrote what ACK and CANCEL have in common with it.
fn derive(invite: &[u8], method: &str, to: Option<&str>, reason: Option<&str>) -> Bytes {
    let text = String::from_utf8_lossy(invite);
    let mut lines = text.split("\r\n");
    let uri = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let mut writer = Writer::request(method, uri);
    let mut vias = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name {
            "Via" => {
                vias += 1;
                if vias == 1 {
                    writer.header(name, value);
                }
            }
            "To" => {
                writer.header(name, to.unwrap_or(value));
            }
            "CSeq" => {
                let number = value.split(' ').next().unwrap_or_default();
                writer.header(name, &format!("{number} {method}"));
            }
            "Route" | "From" | "Call-ID" | "Max-Forwards" => {
                writer.header(name, value);
            }
            _ => {}
        }
    }
    if let Some(reason) = reason {
        writer.header("Reason", reason);
    }
    writer.body(&[])
}
