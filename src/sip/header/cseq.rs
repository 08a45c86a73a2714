//! The CSeq header (RFC 3261 §20.16).

use super::{HeaderError, parse_digits, text};
use std::fmt;

/// Sequence number and method of a request, repeated in its responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Order of requests within a dialog.
    pub number: u32,
    /// The method, as written (methods have case).
    pub method: String,
}

impl CSeq {
    /// Reads `number method`.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        split(value).map(|(number, method)| Self { number, method: method.to_owned() }).ok_or(HeaderError::CSeq)
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Number and method, without allocating.
pub(crate) fn split(value: &str) -> Option<(u32, &str)> {
    let (number, method) = value.split_once(text::is_blank)?;
    let method = method.trim_matches(text::is_blank);
    text::is_token_text(method).then_some((parse_digits(number)?, method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_count_for_nothing_and_more_than_32_bits_are_refused() {
        assert_eq!(CSeq::parse("0009   INVITE"), Ok(CSeq { number: 9, method: "INVITE".into() }));
        for bad in ["36893488147419103232 REGISTER", "-1 INVITE", "9INVITE", "9", "", "9 IN VITE"] {
            assert_eq!(CSeq::parse(bad), Err(HeaderError::CSeq), "{bad}");
        }
    }
}
