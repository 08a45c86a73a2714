//! What makes a message sound enough to be worked on. Verdicts follow RFC 4475 and RFC 5118; nothing here allocates.

use super::head::Head;
use super::reject::{DropReason, Fault};
use super::{MAX_BODY, MAX_VIAS};
use crate::sip::header::table::Name;
use crate::sip::header::{AddrRef, HeaderError, cseq, parse_digits, text, via};
use crate::sip::message::method;
use crate::sip::uri;

/// A start line that is SIP's at all.
pub(super) enum StartLine<'a> {
    /// Method and URI are empty or odd when `fault` says so.
    Request {
        method: &'a str,
        uri: &'a str,
        fault: Option<Fault>,
    },
    Response {
        status: u16,
        reason: &'a str,
    },
}

pub(super) enum Verdict<'a> {
    Sound { body: &'a [u8] },
    Faulty(Fault),
}

type Check = Result<(), Fault>;

/// Tells requests and responses from what is not SIP.
pub(super) fn start_line(line: &str) -> Result<StartLine<'_>, DropReason> {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return status_line(line).ok_or(DropReason::BadResponse);
    }
    let (method, rest) = line.split_once(' ').ok_or(DropReason::NotSip)?;
    let trimmed = rest.trim_end_matches(text::is_blank);
    let (uri, version) = trimmed.rsplit_once(text::is_blank).ok_or(DropReason::NotSip)?;
    if !text::is_token_text(method) || !version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return Err(DropReason::NotSip);
    }
    let fault = if !version.eq_ignore_ascii_case("SIP/2.0") {
        Some(Fault::VERSION)
    } else if trimmed.len() != rest.len() || uri.contains(text::is_blank) {
        // exactly one blank on either side of the URI (RFC 4475 §3.1.2.8 to .10)
        Some(Fault::bad("Malformed Request Line"))
    } else {
        uri_fault(uri)
    };
    Ok(StartLine::Request { method, uri, fault })
}

fn status_line(line: &str) -> Option<StartLine<'_>> {
    let (version, rest) = line.split_once(' ')?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = if code.len() == 3 { parse_digits::<u16>(code)? } else { return None };
    let sound = version.eq_ignore_ascii_case("SIP/2.0") && (100..700).contains(&status);
    sound.then_some(StartLine::Response { status, reason: reason.trim_matches(text::is_blank) })
}

fn uri_fault(text: &str) -> Option<Fault> {
    match uri::split(text) {
        Err(_) => Some(Fault::bad("Malformed Request-URI")),
        // §19.1.1: a Request-URI has no headers
        Ok(uri) if uri.headers.is_some() => Some(Fault::bad("Headers in Request-URI")),
        Ok(uri) if ["sip", "sips", "tel"].iter().any(|known| uri.scheme.eq_ignore_ascii_case(known)) => None,
        Ok(_) => Some(Fault::SCHEME),
    }
}

/// Checks everything; `body` is what follows the empty line, `None` when there was no empty line.
pub(super) fn check<'b>(head: &Head<'_>, start: &StartLine<'_>, body: Option<&'b [u8]>) -> Verdict<'b> {
    let found = match start {
        StartLine::Request { method, fault, .. } => check_request(head, method, *fault),
        StartLine::Response { .. } => check_common(head),
    };
    match found.and_then(|()| cut_body(head, body)) {
        Ok(body) => Verdict::Sound { body },
        Err(fault) => Verdict::Faulty(fault),
    }
}

fn check_request(head: &Head<'_>, name: &str, start_fault: Option<Fault>) -> Check {
    // a version we do not speak may have any other rules: say so before judging by ours
    match start_fault {
        Some(fault) if fault != Fault::SCHEME => return Err(fault),
        _ => {}
    }
    check_common(head)?;
    if method(name).is_none() {
        return Err(Fault::METHOD); // before the CSeq is compared (RFC 4475 §3.1.2.18)
    }
    let (_, cseq_method) = head.values(Name::CSeq).next().and_then(cseq::split).ok_or(Fault::bad("Malformed CSeq"))?;
    if cseq_method != name {
        return Err(Fault::bad("CSeq Method Mismatch"));
    }
    if head.values(Name::MaxForwards).any(|value| parse_digits::<u8>(value).is_none()) {
        return Err(Fault::bad("Malformed Max-Forwards"));
    }
    addresses(head, Name::Contact, Fault::bad("Malformed Contact"))?;
    addresses(head, Name::Route, Fault::bad("Malformed Route"))?;
    addresses(head, Name::RecordRoute, Fault::bad("Malformed Record-Route"))?;
    if head.values(Name::Date).any(|date| !date.ends_with("GMT")) {
        return Err(Fault::bad("Malformed Date")); // §20.17: no other zone
    }
    start_fault.map_or(Ok(()), Err)
}

/// What requests and responses share: the headers that make up transaction and dialog.
fn check_common(head: &Head<'_>) -> Check {
    if let Some(fault) = head.fault {
        return Err(fault);
    }
    once(head)?;
    let mut vias = head.values(Name::Via).flat_map(text::split_list);
    let well_formed = vias.by_ref().take(MAX_VIAS).try_for_each(via::check);
    well_formed.map_err(|_| Fault::bad("Malformed Via"))?;
    if vias.next().is_some() {
        return Err(Fault::bad("Too Many Vias"));
    }
    for (name, fault) in [(Name::From, Fault::bad("Malformed From")), (Name::To, Fault::bad("Malformed To"))] {
        head.values(name).try_for_each(address).map_err(|_| fault)?;
    }
    if head.values(Name::CSeq).any(|value| cseq::split(value).is_none()) {
        return Err(Fault::bad("Malformed CSeq"));
    }
    let call_id = head.values(Name::CallId).next().unwrap_or_default();
    if call_id.is_empty() || call_id.bytes().any(|b| b <= b' ') {
        return Err(Fault::bad("Malformed Call-ID"));
    }
    Ok(())
}

/// Headers that stand exactly or at most once, counted in one walk.
fn once(head: &Head<'_>) -> Check {
    const ONCE: [(Name, bool, Fault); 9] = [
        (Name::Via, true, Fault::bad("Missing Via")),
        (Name::From, true, Fault::bad("Missing or Repeated From")),
        (Name::To, true, Fault::bad("Missing or Repeated To")),
        (Name::CallId, true, Fault::bad("Missing or Repeated Call-ID")),
        (Name::CSeq, true, Fault::bad("Missing or Repeated CSeq")),
        (Name::MaxForwards, false, Fault::bad("Repeated Max-Forwards")),
        (Name::ContentLength, false, Fault::bad("Repeated Content-Length")),
        (Name::ContentType, false, Fault::bad("Repeated Content-Type")),
        (Name::Expires, false, Fault::bad("Repeated Expires")),
    ];
    let mut counts = [0_u16; 9];
    for field in &head.fields {
        let slot = ONCE.iter().zip(&mut counts).find(|((name, ..), _)| *name == field.name);
        if let Some((_, count)) = slot {
            *count += 1;
        }
    }
    let wrong = ONCE.iter().zip(counts).find(|((name, required, _), count)| match (name, required, count) {
        (Name::Via, ..) => *count == 0,
        (_, true, 1) | (_, false, 0 | 1) => false,
        _ => true,
    });
    wrong.map_or(Ok(()), |((.., fault), _)| Err(*fault))
}

fn address(value: &str) -> Result<(), HeaderError> {
    AddrRef::split(value)?.check().map(drop)
}

fn addresses(head: &Head<'_>, name: Name, fault: Fault) -> Check {
    let mut elements = head.values(name).flat_map(text::split_list);
    let star = |element: &str| name == Name::Contact && element == "*";
    elements.try_for_each(|element| if star(element) { Ok(()) } else { address(element) }).map_err(|_| fault)
}

/// The body by Content-Length; a datagram without one is body to its end (§18.3).
fn cut_body<'b>(head: &Head<'_>, body: Option<&'b [u8]>) -> Result<&'b [u8], Fault> {
    let body = body.ok_or(Fault::bad("Missing Empty Line"))?;
    match head.values(Name::ContentLength).next() {
        None => Ok(body),
        Some(value) => body.get(..content_length(value)?).ok_or(Fault::bad("Body Shorter Than Content-Length")),
    }
}

/// A Content-Length's value in bytes.
pub(super) fn content_length(value: &str) -> Result<usize, Fault> {
    let length = parse_digits::<usize>(value).ok_or(Fault::bad("Malformed Content-Length"))?;
    if length > MAX_BODY { Err(Fault::TOO_LARGE) } else { Ok(length) }
}
