//! The headers of a channel's INVITEs: those that came with its own, and those that the dialplan puts into the ones it sends.
//! Above: `PJSIP_HEADER`, `SIPAddHeader`. Below: `place` sends them.

use rsip::Headers;
use thiserror::Error;

use crate::sip::header::HeadersExt;

/// Headers that a dialplan may add to one channel.
const MOST: usize = 32;
/// Bytes of one header's value.
const MOST_BYTES: usize = 1024;

/// Headers that belong to the stack: what is in them decides where messages go and what they mean.
const OF_THE_STACK: &[&str] = &[
    "Allow",
    "Authorization",
    "CSeq",
    "Call-ID",
    "Contact",
    "From",
    "Max-Forwards",
    "Min-SE",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Record-Route",
    "Require",
    "Route",
    "Server",
    "Session-Expires",
    "Supported",
    "To",
    "User-Agent",
    "Via",
    "WWW-Authenticate",
];

/// Headers received, and headers to send.
#[derive(Default)]
pub struct InviteHeaders {
    received: Headers,
    added: Vec<(String, String)>,
}

/// Why a header is not sent.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum HeaderRefusal {
    /// It would change what the message is, or where it goes.
    #[error("header `{0}` is the stack's own")]
    OfTheStack(String),
    /// Not the name of a header (RFC 3261 §25.1), or a one-letter form.
    #[error("`{0}` is no name of a header")]
    Name(String),
    /// A line end or another control character: it would begin a header of its own.
    #[error("the value of header `{0}` holds a control character")]
    Control(String),
    /// More than a message should carry.
    #[error("header `{0}`: more than {MOST} headers, or than {MOST_BYTES} bytes in one")]
    TooMuch(String),
    /// Nothing to change.
    #[error("no header `{0}` was added")]
    Absent(String),
}

impl InviteHeaders {
    pub(super) fn received(headers: Headers) -> Self {
        Self { received: headers, added: Vec::new() }
    }

    /// Those to send, for another channel.
    pub(super) fn to_send(&self) -> Self {
        Self { received: Headers::default(), added: self.added.clone() }
    }

    /// Puts a header of this server's own into the INVITEs to come, however many there are.
    pub(super) fn put(&mut self, name: &str, value: &str) {
        self.added.push((name.to_owned(), value.to_owned()));
    }

    /// What is to be sent further.
    pub(super) fn added(&self) -> &[(String, String)] {
        &self.added
    }

    /// The value of the `nth` header of that name that came with the INVITE, from 1.
    pub fn read<'a>(&'a self, name: &'a str, nth: usize) -> Option<&'a str> {
        self.received.lines(name).nth(nth.checked_sub(1)?)
    }

    /// Puts a header into the INVITEs to come.
    ///
    /// # Errors
    /// The stack's own, or no header at all.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), HeaderRefusal> {
        check(name, value)?;
        if self.added.len() >= MOST {
            return Err(HeaderRefusal::TooMuch(name.into()));
        }
        self.added.push((name.into(), value.trim().into()));
        Ok(())
    }

    /// Changes the `nth` header of that name that was added, from 1.
    ///
    /// # Errors
    /// As [`Self::add`]; or there is none.
    pub fn update(&mut self, name: &str, nth: usize, value: &str) -> Result<(), HeaderRefusal> {
        check(name, value)?;
        let mut same = self.added.iter_mut().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let absent = || HeaderRefusal::Absent(name.into());
        let (_, old) = nth.checked_sub(1).and_then(|at| same.nth(at)).ok_or_else(absent)?;
        *old = value.trim().into();
        Ok(())
    }

    /// Takes added headers away: those of that name, or with `*` at its end those that begin so.
    pub fn remove(&mut self, name: &str) {
        let (start, whole) = name.strip_suffix('*').map_or((name, true), |start| (start, false));
        self.added.retain(|(known, _)| {
            let begins = known.get(..start.len()).is_some_and(|known| known.eq_ignore_ascii_case(start));
            !begins || whole && known.len() != start.len()
        });
    }
}

fn check(name: &str, value: &str) -> Result<(), HeaderRefusal> {
    let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
    if name.len() < 2 || name.len() > MOST_BYTES || !name.chars().all(token) {
        return Err(HeaderRefusal::Name(name.escape_debug().to_string()));
    }
    let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
    if content || OF_THE_STACK.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(HeaderRefusal::OfTheStack(name.into()));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(HeaderRefusal::Control(name.into()));
    }
    if value.len() > MOST_BYTES { Err(HeaderRefusal::TooMuch(name.into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_line_end_is_no_header_and_begins_none() {
        let mut headers = InviteHeaders::default();
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\u{7f}", "\u{85}"] {
            assert_eq!(headers.add("X-A", value), Err(HeaderRefusal::Control("X-A".into())), "{value:?}");
        }
        assert!(headers.added().is_empty());
        assert_eq!(headers.add("X-A", " <sip:a@b>;c=\"d\" "), Ok(()));
        assert_eq!(headers.added(), [("X-A".to_owned(), "<sip:a@b>;c=\"d\"".to_owned())]);
    }

    #[test]
    fn names_that_the_stack_owns_in_any_spelling_are_refused() {
        let mut headers = InviteHeaders::default();
        for name in ["Via", "via", "FROM", "Call-ID", "content-length", "Content-Type", "Route", "max-forwards"] {
            assert_eq!(headers.add(name, "1"), Err(HeaderRefusal::OfTheStack(name.into())));
        }
        for name in ["v", "", "X A", "X:", "X\r\n", "Ü-a"] {
            assert!(matches!(headers.add(name, "1"), Err(HeaderRefusal::Name(_))), "{name:?}");
        }
        assert!(OF_THE_STACK.is_sorted());
    }

    #[test]
    fn added_headers_can_be_changed_and_taken_back() {
        let mut headers = InviteHeaders::default();
        for value in ["1", "2"] {
            headers.add("X-A", value).unwrap();
        }
        headers.add("X-Ab", "3").unwrap();
        headers.update("x-a", 2, "two").unwrap();
        assert_eq!(headers.added().iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>(), ["1", "two", "3"]);
        assert_eq!(headers.update("X-A", 3, "x"), Err(HeaderRefusal::Absent("X-A".into())));
        headers.remove("x-a");
        assert_eq!(headers.added().len(), 1);
        headers.remove("X-*");
        assert!(headers.added().is_empty());
        for _ in 0..MOST {
            headers.add("X-A", "1").unwrap();
        }
        assert_eq!(headers.add("X-A", "1"), Err(HeaderRefusal::TooMuch("X-A".into())));
    }
}
