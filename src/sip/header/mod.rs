//! What headers mean: typed views on demand over the text `wire` left in rsip's header list.
//! Compact names are already expanded; names compare without case.

mod contact;
pub(crate) mod cseq;
pub(crate) mod name_addr;
pub(crate) mod params;
mod reason;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod via;

pub use contact::Contact;
pub use cseq::CSeq;
pub(crate) use name_addr::AddrRef;
pub use name_addr::NameAddr;
pub use params::Params;
pub use reason::Reason;
pub use via::{MAGIC_COOKIE, Via};

use crate::sip::uri::UriError;
use rsip::Headers;
use table::{Name, build, make, name_and_value};

/// Why a header's value cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A URI inside is malformed.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// A quoted string does not end.
    #[error("quoted string does not end")]
    Quote,
    /// Display name, brackets or what follows them.
    #[error("malformed address")]
    Address,
    /// A broken `;name=value`.
    #[error("malformed parameter")]
    Params,
    /// Not `SIP/2.0/transport host`.
    #[error("malformed Via")]
    Via,
    /// Not `number method`.
    #[error("malformed CSeq")]
    CSeq,
    /// Not `protocol;cause=…`.
    #[error("malformed Reason")]
    Reason,
    /// `*` beside other contacts.
    #[error("`*` must be the only contact")]
    Star,
}

/// Reading and changing rsip's header list by name, every value counted.
pub trait HeadersExt {
    /// The first value under a name (long form), a comma list left whole.
    fn value(&self, name: &str) -> Option<&str>;
    /// Every header line's value under a name, comma lists left whole.
    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str>;
    /// Every list element under a name; commas split outside quotes and `<>`, empty elements are skipped.
    fn values<'a>(&'a self, name: &'a str) -> Vec<&'a str>;
    /// Whether a comma list under the name holds the token (`Supported`, `Require`, `Allow`), without regard to case.
    fn lists(&self, name: &str, token: &str) -> bool;
    /// Adds a header at the end.
    fn push_header(&mut self, name: &str, value: impl Into<String>);
    /// Adds a header in front of all others.
    fn push_header_first(&mut self, name: &str, value: impl Into<String>);
    /// Puts one value in place of the first under that name and takes the others away; adds it when there is none.
    fn set_header(&mut self, name: &str, value: impl Into<String>);
    /// Takes away every header of that name.
    fn remove_header(&mut self, name: &str);

    /// The Call-ID, as written.
    fn call_id(&self) -> Option<&str>;
    /// The CSeq; `None` when absent or malformed.
    fn cseq(&self) -> Option<CSeq>;
    /// The number in the CSeq; `None` when absent or malformed.
    fn cseq_number(&self) -> Option<u32>;
    /// The From; `None` when absent or malformed.
    #[allow(clippy::wrong_self_convention)] // the header's name is From
    fn from_addr(&self) -> Option<NameAddr>;
    /// The To; `None` when absent or malformed.
    fn to_addr(&self) -> Option<NameAddr>;
    /// All contacts, in order.
    fn contacts(&self) -> Result<Vec<Contact>, HeaderError>;
    /// The topmost Via; `None` when absent or malformed.
    fn top_via(&self) -> Option<Via>;
    /// How many Vias there are, well-formed or not.
    fn via_count(&self) -> usize;
    /// Replaces the topmost Via, leaving the others as they are.
    fn set_top_via(&mut self, via: &Via);
    /// Takes the topmost Via away, leaving the others as they are.
    fn pop_via(&mut self);
    /// The addresses of `Route` or `Record-Route`, in order; malformed ones are left out.
    fn route_set(&self, name: &str) -> Vec<NameAddr>;
    /// The Expires header in seconds; a number too large is the largest, malformed counts as absent (RFC 3261 §20.19).
    fn expires(&self) -> Option<u32>;
    /// The Max-Forwards header; `None` when absent or malformed.
    fn max_forwards(&self) -> Option<u8>;
    /// The first SIP or Q.850 Reason (RFC 3326).
    fn reason(&self) -> Option<Reason>;
}

impl HeadersExt for Headers {
    fn value(&self, name: &str) -> Option<&str> {
        self.iter().map(name_and_value).find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .map(name_and_value)
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn values<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        self.lines(name).flat_map(text::split_list).filter(|element| !element.is_empty()).collect()
    }

    fn lists(&self, name: &str, token: &str) -> bool {
        self.lines(name).flat_map(text::split_list).any(|element| element.eq_ignore_ascii_case(token))
    }

    fn push_header(&mut self, name: &str, value: impl Into<String>) {
        self.push(make(name, value.into()));
    }

    fn push_header_first(&mut self, name: &str, value: impl Into<String>) {
        let mut all = Vec::from(std::mem::take(self));
        all.insert(0, make(name, value.into()));
        *self = Self::from(all);
    }

    fn set_header(&mut self, name: &str, value: impl Into<String>) {
        let mut new = Some(make(name, value.into()));
        let all = Vec::from(std::mem::take(self));
        for header in all {
            if name_and_value(&header).0.eq_ignore_ascii_case(name) {
                self.extend(new.take().into_iter().collect());
            } else {
                self.push(header);
            }
        }
        self.extend(new.into_iter().collect());
    }

    fn remove_header(&mut self, name: &str) {
        self.retain(|header| !name_and_value(header).0.eq_ignore_ascii_case(name));
    }

    fn call_id(&self) -> Option<&str> {
        self.value("Call-ID")
    }

    fn cseq(&self) -> Option<CSeq> {
        CSeq::parse(self.value("CSeq")?).ok()
    }

    fn cseq_number(&self) -> Option<u32> {
        cseq::split(self.value("CSeq")?).map(|(number, _)| number)
    }

    fn from_addr(&self) -> Option<NameAddr> {
        NameAddr::parse(self.value("From")?).ok()
    }

    fn to_addr(&self) -> Option<NameAddr> {
        NameAddr::parse(self.value("To")?).ok()
    }

    fn contacts(&self) -> Result<Vec<Contact>, HeaderError> {
        let contacts = self.values("Contact").into_iter().map(Contact::parse).collect::<Result<Vec<_>, _>>()?;
        if contacts.len() > 1 && contacts.contains(&Contact::Star) {
            return Err(HeaderError::Star);
        }
        Ok(contacts)
    }

    fn top_via(&self) -> Option<Via> {
        Via::parse(text::split_list(self.value("Via")?).next()?).ok()
    }

    fn via_count(&self) -> usize {
        self.lines("Via").flat_map(text::split_list).count()
    }

    fn set_top_via(&mut self, via: &Via) {
        self.replace_first_via(Some(via.to_string()));
    }

    fn pop_via(&mut self) {
        self.replace_first_via(None);
    }

    fn route_set(&self, name: &str) -> Vec<NameAddr> {
        self.values(name).into_iter().filter_map(|route| NameAddr::parse(route).ok()).collect()
    }

    fn expires(&self) -> Option<u32> {
        parse_seconds(self.value("Expires")?)
    }

    fn max_forwards(&self) -> Option<u8> {
        parse_digits(self.value("Max-Forwards")?)
    }

    fn reason(&self) -> Option<Reason> {
        self.values("Reason").into_iter().find_map(|reason| Reason::parse(reason).ok())
    }
}

/// Private half of the Via operations.
trait ReplaceVia {
    fn replace_first_via(&mut self, new: Option<String>);
}

impl ReplaceVia for Headers {
    fn replace_first_via(&mut self, new: Option<String>) {
        let mut all = Vec::from(std::mem::take(self));
        if let Some(at) = all.iter().position(|header| matches!(header, rsip::Header::Via(_))) {
            let mut kept = new.unwrap_or_default();
            for element in all.get(at).into_iter().flat_map(|line| text::split_list(name_and_value(line).1)).skip(1) {
                if !kept.is_empty() {
                    kept.push_str(", ");
                }
                kept.push_str(element);
            }
            if kept.is_empty() {
                all.remove(at);
            } else if let Some(line) = all.get_mut(at) {
                *line = build(Name::Via, "Via", kept);
            }
        }
        *self = Self::from(all);
    }
}

/// Seconds: digits only; a number too large is the largest (RFC 3261 §20.19 allows 2^32-1).
pub(crate) fn parse_seconds(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// A decimal number without sign.
pub(crate) fn parse_digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::uri::Uri;
    use proptest::prelude::*;

    fn headers(list: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in list {
            headers.push_header(name, *value);
        }
        headers
    }

    #[test]
    fn values_of_one_name_are_read_across_lines_and_commas() {
        let headers = headers(&[("Supported", "100rel, timer"), ("X-Other", "a,b"), ("supported", "path")]);
        assert_eq!(headers.values("SUPPORTED"), ["100rel", "timer", "path"]);
        assert!(headers.lists("Supported", "TIMER") && !headers.lists("Supported", "x"));
        assert_eq!(headers.value("x-other"), Some("a,b"));
    }

    #[test]
    fn setting_keeps_the_place_and_leaves_other_unknown_headers_alone() {
        let mut headers = headers(&[("X-A", "1"), ("X-B", "2"), ("x-a", "3"), ("To", "<sip:a@b>")]);
        headers.set_header("X-A", "9");
        headers.set_header("X-C", "8");
        let all: Vec<_> = headers.iter().map(name_and_value).collect();
        assert_eq!(all, [("X-A", "9"), ("X-B", "2"), ("To", "<sip:a@b>"), ("X-C", "8")]);
        headers.remove_header("x-b");
        assert!(headers.value("X-B").is_none());
    }

    #[test]
    fn the_top_via_is_replaced_and_popped_within_a_shared_line() {
        let mut headers =
            headers(&[("Via", "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2"), ("Via", "SIP/2.0/UDP c")]);
        assert_eq!(headers.via_count(), 3);
        let mut via = headers.top_via().unwrap();
        via.params.set("received", "192.0.2.1");
        headers.set_top_via(&via);
        assert_eq!(headers.value("Via"), Some("SIP/2.0/UDP a;branch=1;received=192.0.2.1, SIP/2.0/UDP b;branch=2"));
        headers.pop_via();
        assert_eq!(headers.top_via().unwrap().branch(), Some("2"));
        headers.pop_via();
        headers.pop_via();
        assert_eq!(headers.via_count(), 0);
    }

    #[test]
    fn numbers_too_large_are_the_largest_time_but_no_hop_count() {
        let headers = headers(&[("Expires", "10000000000000000000000000000000000000000"), ("Max-Forwards", "300")]);
        assert_eq!(headers.expires(), Some(u32::MAX));
        assert_eq!(headers.max_forwards(), None);
    }

    /// Text made of what header grammars care about.
    fn text() -> impl Strategy<Value = String> {
        let telling = [
            "\"",
            "\\",
            "<",
            ">",
            ";",
            ",",
            ":",
            "@",
            "%41",
            "%",
            "?",
            "=",
            "[::1]",
            "*",
            " ",
            "sip:",
            "tel:",
            "SIP/2.0/UDP ",
            "é",
            "\u{1}",
        ];
        let piece = prop_oneof![proptest::sample::select(telling.to_vec()).prop_map(str::to_owned), "[a-z0-9.+]{1,4}"];
        proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_is_accepted_prints_as_the_same_again(text in text()) {
            if let Ok(uri) = Uri::parse(&text) {
                prop_assert_eq!(Uri::parse(&uri.to_string()), Ok(uri));
            }
            if let Ok(address) = NameAddr::parse(&text)
                && !address.display.as_deref().unwrap_or_default().contains(char::is_control)
            {
                prop_assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
            }
            if let Ok(via) = Via::parse(&text) {
                prop_assert_eq!(Via::parse(&via.to_string()), Ok(via));
            }
            if let Ok(reason) = Reason::parse(&format!("SIP;cause=1;{text}")) {
                prop_assert_eq!(Reason::parse(&reason.to_string()).map(|again| again.cause), Ok(reason.cause));
            }
            let _ = Contact::parse(&text).map(|contact| (contact.q(), contact.expires(), contact.instance().map(str::len)));
        }
    }
}
