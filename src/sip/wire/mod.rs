//! Bytes to messages and back: the only way into and out of SIP. Bytes become spans (`head`), spans are checked (`check`),
//! what is wrong is answered from the spans (`reject`), and only what is sound becomes rsip's values.
//! Above: `stack`. Streams are cut into messages by [`Framer`].

mod check;
mod framer;
mod head;
mod print;
mod promise;
mod reject;

pub use framer::{Framed, Framer, FramingError, FramingFault};
pub use print::{print, print_request, print_response, to_bytes};
pub use promise::holds;
pub use reject::{DropReason, Reject};

use crate::sip::header::table::{self, Name};
use crate::sip::message::{Message, carry_uri, method, status_code_with};
use check::{StartLine, Verdict};
use head::Head;
use rsip::{Header, Headers, Request, Response, Version};

/// Header lines in one message.
pub const MAX_HEADERS: usize = 256;
/// Bytes of one header's value, unfolded.
pub const MAX_HEADER_LEN: usize = 8 * 1024;
/// Vias in one message.
pub const MAX_VIAS: usize = 70;
/// Bytes of a body on a stream.
pub const MAX_BODY: usize = 1024 * 1024;
/// Bytes of start line and headers on a stream; what a datagram can hold.
pub const MAX_HEAD: usize = 65_535;

/// Parses one whole message: a datagram, or what [`Framer`] cut from a stream.
///
/// The Content-Length header is consumed here and written by [`print()`]: bytes behind the body are ignored (RFC 3261 §18.3).
pub fn parse(bytes: &[u8]) -> Result<Message, Reject> {
    let bytes = head::skip_line_ends(bytes);
    if bytes.is_empty() {
        return Err(Reject::Drop(DropReason::KeepAlive));
    }
    let (text, body) = head::cut(bytes);
    let head = Head::split(&text);
    let start = match check::start_line(head.start) {
        Ok(start) => start,
        Err(reason) => return Err(Reject::Drop(reason)),
    };
    match check::check(&head, &start, body) {
        Verdict::Sound { body } => Ok(build(head, &start, body)),
        Verdict::Faulty(fault) => Err(reject::reject(&head, &start, fault)),
    }
}

fn build(head: Head<'_>, start: &StartLine<'_>, body: &[u8]) -> Message {
    let mut list: Vec<Header> = Vec::with_capacity(head.fields.len() + 4);
    let kept = head.fields.into_iter().filter(|field| field.name != Name::ContentLength);
    list.extend(kept.map(|field| table::build(field.name, field.spelling, field.value.into_owned())));
    let (headers, body) = (Headers::from(list), body.to_vec());
    match start {
        StartLine::Request { method: name, uri, .. } => {
            let method = method(name).unwrap_or(rsip::Method::Options); // `check` let only known methods through
            Message::Request(Request { method, uri: carry_uri(*uri), version: Version::V2, headers, body })
        }
        StartLine::Response { status, reason } => {
            let status_code = status_code_with(*status, reason);
            Message::Response(Response { status_code, version: Version::V2, headers, body })
        }
    }
}

#[cfg(test)]
mod tests;
