//! The Reason header (RFC 3326): why a CANCEL or BYE was sent.

use super::{HeaderError, Params, parse_digits, text};
use std::fmt;

/// One reason: a protocol's word for what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP` (the cause is a status) or `Q.850` (the cause is an ISUP cause), as written.
    pub protocol: String,
    /// The cause in the protocol's numbers.
    pub cause: u16,
    /// Words for people.
    pub text: Option<String>,
}

impl Reason {
    /// A reason in SIP's numbers, such as 200 "Call completed elsewhere".
    pub fn sip(status: u16, text: &str) -> Self {
        Self { protocol: "SIP".to_owned(), cause: status, text: Some(text.to_owned()) }
    }

    /// A reason in ISUP's numbers, such as 16 for a normal end.
    pub fn q850(cause: u16) -> Self {
        Self { protocol: "Q.850".to_owned(), cause, text: None }
    }

    /// Reads one element of a Reason header.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        let (protocol, params) =
            value.split_at_checked(value.find(';').unwrap_or(value.len())).ok_or(HeaderError::Reason)?;
        let protocol = protocol.trim_matches(text::is_blank);
        let params = Params::parse(params)?;
        let cause = params.get("cause").and_then(parse_digits).ok_or(HeaderError::Reason)?;
        if !text::is_token_text(protocol) {
            return Err(HeaderError::Reason);
        }
        Ok(Self { protocol: protocol.to_owned(), cause, text: params.get("text").map(text::unescape) })
    }

    /// Whether the cause counts in SIP statuses.
    pub fn is_sip(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("SIP")
    }

    /// Whether the cause counts in Q.850 causes.
    pub fn is_q850(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("Q.850")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};cause={}", self.protocol, self.cause)?;
        match &self.text {
            Some(text) => write!(f, ";text={}", text::quote(text)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_round_trip() {
        for text in ["SIP;cause=200;text=\"Call completed elsewhere\"", "Q.850;cause=16"] {
            assert_eq!(Reason::parse(text).unwrap().to_string(), text);
        }
        assert!(
            Reason::parse("SIP ; cause = 600 ; text=\"Busy \\\"Everywhere\\\"\"")
                .unwrap()
                .text
                .unwrap()
                .ends_with("\"Everywhere\"")
        );
        assert_eq!(Reason::parse("SIP;text=x"), Err(HeaderError::Reason));
    }
}
