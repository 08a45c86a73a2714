//! What the codec promises about any bytes, as one function for fuzzers and property tests.

use super::{Reject, parse, print_response, to_bytes};
use crate::sip::header::{HeadersExt, NameAddr};
use crate::sip::message::{Message, request_uri};
use crate::sip::uri::Uri;

/// Whether the promises hold for these bytes: nothing panics, what was accepted prints as bytes that are the same message
/// again, its headers make sense to every reader, and an answer to junk can be printed and is not much longer than the junk.
pub fn holds(bytes: &[u8]) -> bool {
    match parse(bytes) {
        Ok(message) => parse(&to_bytes(&message)).as_ref() == Ok(&message) && makes_sense(&message),
        Err(Reject::Drop(_)) => true,
        Err(Reject::Answer { response }) => {
            let mut printed = Vec::new();
            print_response(&response, &mut printed);
            // a byte that is no UTF-8 becomes three; the rest is our own lines
            printed.len() <= 3 * bytes.len() + 256 && response.headers.via_count() > 0
        }
    }
}

fn makes_sense(message: &Message) -> bool {
    let headers = message.headers();
    let addresses = [headers.from_addr(), headers.to_addr()];
    let parts = addresses.iter().all(Option::is_some) && headers.top_via().is_some() && headers.cseq().is_some();
    let known = addresses.into_iter().flatten().all(|address| {
        // control characters in a display name are blanks when printed
        let tame = address.display.as_deref().is_none_or(|display| !display.contains(char::is_control));
        address.uri.matches(&address.uri) && (!tame || NameAddr::parse(&address.to_string()).as_ref() == Ok(&address))
    });
    let Message::Request(request) = message else { return parts && known };
    let uri = request_uri(request);
    let same_uri = uri.is_ok_and(|uri| Uri::parse(&uri.to_string()).as_ref() == Ok(&uri));
    let routes = headers.route_set("Route").len() == headers.values("Route").len();
    // `*` beside other contacts is the registrar's to refuse
    let contacts = headers.contacts().is_ok() || headers.values("Contact").contains(&"*");
    parts && known && same_uri && routes && contacts
}
