//! What to do with bytes that are no acceptable message: an answer made from the spans, or a counted drop.

use super::check::StartLine;
use super::head::Head;
use crate::sip::header::table::{self, Name};
use crate::sip::message::{method_name, status_code_with, tagged};
use rsip::{Headers, Method, Response, Version};

/// What bytes that are no acceptable message deserve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// To be counted, never answered.
    Drop(DropReason),
    /// To be answered, without any transaction: the same bytes always get the same answer.
    Answer {
        /// The whole answer; its Vias are the request's.
        response: Response,
    },
}

/// Why bytes are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Nothing but line ends: a keep-alive.
    KeepAlive,
    /// No SIP start line.
    NotSip,
    /// A malformed response.
    BadResponse,
    /// A malformed ACK, which must never be answered.
    BadAck,
    /// A malformed request without a Via to answer to.
    NoVia,
}

/// A status and the words that say what is wrong (RFC 3261 §21.4.1 asks for them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    status: u16,
    phrase: &'static str,
}

impl Fault {
    pub(super) const SCHEME: Self = Self { status: 416, phrase: "Unsupported URI Scheme" };
    pub(super) const METHOD: Self = Self { status: 501, phrase: "Not Implemented" };
    pub(super) const VERSION: Self = Self { status: 505, phrase: "Version Not Supported" };
    pub(super) const TOO_LARGE: Self = Self { status: 413, phrase: "Request Entity Too Large" };

    pub(super) const fn bad(phrase: &'static str) -> Self {
        Self { status: 400, phrase }
    }
}

/// The verdict on a message with a fault.
pub(super) fn reject(head: &Head<'_>, start: &StartLine<'_>, fault: Fault) -> Reject {
    match start {
        StartLine::Response { .. } => Reject::Drop(DropReason::BadResponse),
        StartLine::Request { method, .. } if *method == method_name(Method::Ack) => Reject::Drop(DropReason::BadAck),
        StartLine::Request { .. } if head.values(Name::Via).next().is_none() => Reject::Drop(DropReason::NoVia),
        StartLine::Request { .. } => Reject::Answer { response: answer(head, fault) },
    }
}

/// Copies what is there of Via, From, To, Call-ID and CSeq, the last four once (RFC 3261 §8.2.6.2).
fn answer(head: &Head<'_>, fault: Fault) -> Response {
    let mut headers = Headers::default();
    for value in head.values(Name::Via) {
        headers.push(table::build(Name::Via, "", value.to_owned()));
    }
    for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
        let Some(value) = head.values(name).next() else { continue };
        let value = if name == Name::To { tagged(value, Some(&stateless_tag(head))) } else { value.to_owned() };
        headers.push(table::build(name, "", value));
    }
    let status_code = status_code_with(fault.status, fault.phrase);
    Response { status_code, version: Version::V2, headers, body: Vec::new() }
}

/// A To tag that a repeated request gets again (§8.2.7): FNV-1a over what identifies it.
fn stateless_tag(head: &Head<'_>) -> String {
    let identity =
        [Name::Via, Name::CallId, Name::CSeq, Name::From].into_iter().flat_map(|name| head.values(name).next());
    let hash = identity
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
