//! Start line and headers as spans over the received bytes: lines, unfolding, name lookup. No meaning yet.

use super::reject::Fault;
use super::{MAX_HEADER_LEN, MAX_HEADERS};
use crate::sip::header::table::{self, Name};
use crate::sip::header::text;
use std::borrow::Cow;

/// One header line, unfolded and trimmed.
pub(super) struct Field<'a> {
    pub(super) name: Name,
    pub(super) spelling: &'a str,
    pub(super) value: Cow<'a, str>,
}

/// Start line and headers; the first thing found wrong with their form is kept, and reading goes on so that an answer can be made.
pub(super) struct Head<'a> {
    pub(super) start: &'a str,
    pub(super) fields: Vec<Field<'a>>,
    pub(super) fault: Option<Fault>,
}

/// Drops the line ends that may stand before a start line (RFC 3261 §7.5).
pub(super) fn skip_line_ends(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r', b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Cuts a message at its empty line; without one, all of it is head and there is no body to speak of.
/// Bytes that are no UTF-8 (a Latin-1 display name) become replacement characters.
pub(super) fn cut(bytes: &[u8]) -> (Cow<'_, str>, Option<&[u8]>) {
    // the checked conversion is several times as fast as the lossy one
    let text = |bytes| std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    match memchr::memmem::find(bytes, b"\r\n\r\n").and_then(|at| Some((bytes.get(..at + 2)?, bytes.get(at + 4..)?))) {
        Some((head, body)) => (text(head), Some(body)),
        None => (text(bytes), None),
    }
}

impl<'a> Head<'a> {
    /// Splits the text before the empty line.
    pub(super) fn split(text: &'a str) -> Self {
        let mut lines = Lines { rest: text, fault: None };
        let start = lines.next().unwrap_or_default();
        let mut head = Self { start, fields: Vec::with_capacity(24), fault: None };
        // NUL may stand only as a quoted pair (RFC 3261 §25.1)
        if memchr::memchr_iter(0, text.as_bytes()).any(|at| !is_escaped(text.as_bytes(), at)) {
            head.note(Fault::bad("NUL in Headers"));
        }
        while let Some(line) = lines.next() {
            if line.starts_with(text::is_blank) {
                head.fold(line);
            } else if head.fields.len() >= MAX_HEADERS {
                head.note(Fault::bad("Too Many Headers"));
                break;
            } else {
                head.field(line);
            }
        }
        if let Some(fault) = lines.fault {
            head.note(fault);
        }
        if head.fields.iter().any(|field| field.value.len() > MAX_HEADER_LEN) {
            head.note(Fault::bad("Header Too Long"));
        }
        head
    }

    fn field(&mut self, line: &'a str) {
        let parts = line.split_once(':').map(|(name, value)| (name.trim_end_matches(text::is_blank), value));
        match parts {
            Some((spelling, value)) if text::is_token_text(spelling) => {
                let value = Cow::Borrowed(value.trim_matches(text::is_blank));
                self.fields.push(Field { name: table::find(spelling), spelling, value });
            }
            _ => self.note(Fault::bad("Malformed Header Line")),
        }
    }

    /// A line that starts with a blank goes on with the header before it (§7.3.1).
    fn fold(&mut self, line: &'a str) {
        let more = line.trim_matches(text::is_blank);
        match self.fields.last_mut() {
            Some(field) if field.value.is_empty() => field.value = Cow::Borrowed(more),
            Some(_) if more.is_empty() => {}
            Some(field) => {
                let value = field.value.to_mut();
                value.push(' ');
                value.push_str(more);
            }
            None => self.note(Fault::bad("Folded Start Line")),
        }
    }

    fn note(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// All values under one name, in order.
    pub(super) fn values(&self, name: Name) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| &*field.value)
    }
}

/// Whether a backslash stands before the byte at that place.
pub(super) fn is_escaped(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\\')
}

/// Lines without their CRLF; a bare CR or LF is noted, and still ends the line so that reading can go on.
struct Lines<'a> {
    rest: &'a str,
    fault: Option<Fault>,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr::memchr(b'\n', self.rest.as_bytes()) {
            Some(at) => (self.rest.get(..at)?, self.rest.get(at + 1..)?),
            None => (self.rest, ""),
        };
        self.rest = rest;
        let whole = line.strip_suffix('\r');
        let line = whole.unwrap_or(line);
        if whole.is_none() || memchr::memchr(b'\r', line.as_bytes()).is_some() {
            self.fault.get_or_insert(Fault::bad("Malformed Line End"));
        }
        Some(line)
    }
}
