//! Addresses of From, To, Contact, Route and their like (RFC 3261 §20.10): `"Display" <uri>;params` or a bare URI.

use super::{HeaderError, Params, params, text};
use crate::sip::uri::{self, Uri, UriRef};
use std::fmt;

/// An address with display name and header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name's meaning, quotes and escapes resolved.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// The header's parameters (those outside `<>`).
    pub params: Params,
}

impl NameAddr {
    /// An address without display name and parameters.
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::default() }
    }

    /// Reads one address.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        let parts = AddrRef::split(value)?;
        let display = match parts.display {
            "" => None,
            quoted if quoted.starts_with('"') => Some(text::unescape(text::strip_quotes(quoted))),
            tokens => Some(tokens.to_owned()),
        };
        Ok(Self { display, uri: Uri::parse(parts.uri)?, params: Params::parse(parts.params)? })
    }

    /// The `tag` parameter; an empty one counts as absent.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The same address with a tag.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", tag);
        self
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", text::quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// The parts of an address, checked but not copied.
pub(crate) struct AddrRef<'a> {
    display: &'a str,
    uri: &'a str,
    params: &'a str,
}

impl<'a> AddrRef<'a> {
    /// Splits an address; quotes, brackets and display name are checked here, URI and parameters by [`AddrRef::check`].
    pub(crate) fn split(value: &'a str) -> Result<Self, HeaderError> {
        let value = value.trim_matches(text::is_blank);
        if value.starts_with('"') {
            let end = text::quoted_end(value).ok_or(HeaderError::Quote)?;
            let (display, rest) = value.split_at_checked(end).ok_or(HeaderError::Quote)?;
            return Self::bracketed(display, rest.trim_start_matches(text::is_blank));
        }
        match value.find(['<', '"']).and_then(|at| value.split_at_checked(at)) {
            Some((display, rest)) if rest.starts_with('<') && !display.contains(';') => {
                let display = display.trim_end_matches(text::is_blank);
                // a display name of bare words; `Bell, Alexander <…>` needs quotes (RFC 4475 §3.1.2.15)
                if display.contains([',', ':', '>']) || display.contains(|c: char| c.is_control() && c != '\t') {
                    return Err(HeaderError::Address);
                }
                Self::bracketed(display, rest)
            }
            _ => Self::bare(value),
        }
    }

    fn bracketed(display: &'a str, rest: &'a str) -> Result<Self, HeaderError> {
        let (uri, params) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).ok_or(HeaderError::Address)?;
        Ok(Self { display, uri, params: params.trim_start_matches(text::is_blank) })
    }

    /// Without brackets every `;` starts a header parameter, and `?` and `,` may not stand in the URI (§20.10).
    fn bare(value: &'a str) -> Result<Self, HeaderError> {
        let at = value.find(';').unwrap_or(value.len());
        let (uri, params) = value.split_at_checked(at).ok_or(HeaderError::Address)?;
        if uri.contains(['?', ',']) {
            return Err(HeaderError::Address);
        }
        Ok(Self { display: "", uri: uri.trim_end_matches(text::is_blank), params })
    }

    /// The URI, as written.
    pub(crate) fn uri(&self) -> &'a str {
        self.uri
    }

    /// The `tag` parameter, without allocating; an empty one counts as absent.
    pub(crate) fn tag(&self) -> Option<&'a str> {
        let is_tag = |(name, _): &(&str, Option<&str>)| name.eq_ignore_ascii_case("tag");
        params::split(self.params).map_while(Result::ok).find(is_tag)?.1.filter(|tag| !tag.is_empty())
    }

    /// Checks URI and parameters, without allocating.
    pub(crate) fn check(&self) -> Result<UriRef<'a>, HeaderError> {
        params::split(self.params).try_for_each(|param| param.map(drop))?;
        Ok(uri::split(self.uri)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_shape_are_understood() {
        for (value, display, uri, tag) in [
            (
                "\"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>  ;  tag = 98asjd8",
                Some("J Rosenberg \\\""),
                "sip:jdrosen@example.com",
                Some("98asjd8"),
            ),
            ("caller<sip:caller@example.com>;tag=323", Some("caller"), "sip:caller@example.com", Some("323")),
            (
                "sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
                None,
                "sip:vivekg@chair-dnrc.example.com",
                Some("1918181833n"),
            ),
            ("\"A <b>\" <sip:a@b>", Some("A <b>"), "sip:a@b", None),
            ("Alice Smith <sip:a@b;lr>", Some("Alice Smith"), "sip:a@b;lr", None),
            ("<tel:+15551234567>;tag=1", None, "tel:+15551234567", Some("1")),
            ("sip:a@b;x=\"<y>\";tag=2", None, "sip:a@b", Some("2")),
        ] {
            let address = NameAddr::parse(value).unwrap();
            assert_eq!(address.display.as_deref(), display, "{value}");
            assert_eq!(address.uri.to_string(), uri, "{value}");
            assert_eq!(address.tag(), tag, "{value}");
            assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
        }
    }

    #[test]
    fn broken_addresses_are_refused() {
        for bad in [
            "\"Mr. J. User <sip:j.user@example.com>",
            "\"Watson, Thomas\" < sip:t.watson@example.org >",
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "\"Joe\" <sip:joe@example.org>;;;;",
            "A\u{f}B <sip:a@b>",
            "<sip:a@b> tail",
            "<sip:a@b",
            "",
        ] {
            assert!(NameAddr::parse(bad).is_err(), "{bad}");
        }
    }
}
