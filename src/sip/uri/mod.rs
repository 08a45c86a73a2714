//! URIs (RFC 3261 §19.1, RFC 3986 hosts, `tel:` of RFC 3966): split without allocating, typed, compared.
//! Below `message` and the headers; knows nothing of them.

mod compare;

use crate::sip::header::{HeaderError, Params, params, text};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a text is no URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// No `scheme:` in front, or a character no scheme has.
    #[error("URI without a scheme")]
    Scheme,
    /// A character that must be escaped, or a broken `%` escape, in the user part.
    #[error("malformed user part in URI")]
    User,
    /// Neither a name nor an address.
    #[error("malformed host in URI")]
    Host,
    /// Not a number up to 65,535.
    #[error("malformed port in URI")]
    Port,
    /// A broken `;name=value`.
    #[error("malformed parameter in URI")]
    Params,
    /// A character that must not stand in the `?headers` part, or in an opaque URI.
    #[error("malformed text in URI")]
    Text,
}

/// What comes before the colon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, as written.
    Other(String),
}

/// The host of a URI or a Via.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; printed in brackets.
    V6(Ipv6Addr),
    /// A name, as written; empty in URIs that have no host (`tel:` and unknown schemes).
    Name(String),
}

/// A URI in its parts, escapes left as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// What comes before the colon.
    pub scheme: Scheme,
    /// The user part; the number of a `tel:`; everything of an unknown scheme.
    pub user: Option<String>,
    /// What follows the user part's colon.
    pub password: Option<String>,
    /// Host or address.
    pub host: Host,
    /// Port, when written.
    pub port: Option<u16>,
    /// `;` parameters.
    pub params: Params,
    /// What follows `?`, as written.
    pub headers: Option<String>,
}

/// The same parts, borrowed from a text that was found valid.
pub(crate) struct UriRef<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) user: Option<&'a str>,
    password: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
    pub(crate) headers: Option<&'a str>,
}

impl Uri {
    /// Reads a whole text as one URI.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let parts = split(text)?;
        let scheme = match parts.scheme {
            s if s.eq_ignore_ascii_case("sip") => Scheme::Sip,
            s if s.eq_ignore_ascii_case("sips") => Scheme::Sips,
            s if s.eq_ignore_ascii_case("tel") => Scheme::Tel,
            s => Scheme::Other(s.to_owned()),
        };
        Ok(Self {
            scheme,
            user: parts.user.map(str::to_owned),
            password: parts.password.map(str::to_owned),
            host: Host::parse(parts.host).ok_or(UriError::Host).or_else(|error| match parts.host {
                "" => Ok(Host::Name(String::new())),
                _ => Err(error),
            })?,
            port: parts.port,
            params: Params::parse(parts.params).map_err(|_| UriError::Params)?,
            headers: parts.headers.map(str::to_owned),
        })
    }

    /// A plain `sip:` URI; characters that may not stand in a user part are escaped.
    pub fn sip(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        let user = user.map(escape_user);
        Self { scheme: Scheme::Sip, user, password: None, host, port, params: Params::default(), headers: None }
    }

    /// The user part with escapes resolved (`%61` is `a`); not UTF-8 becomes the replacement character.
    pub fn user_plain(&self) -> Option<Cow<'_, str>> {
        self.user.as_deref().map(unescape)
    }

    /// The port, or the scheme's own: 5061 for `sips:`, else 5060.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == Scheme::Sips { 5061 } else { 5060 })
    }
}

impl Host {
    /// Reads a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            return parse_v6(inner.strip_suffix(']')?).map(Self::V6);
        }
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        is_host_name(text).then(|| Self::Name(text.to_owned()))
    }

    /// The address, when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4(address) => Some((*address).into()),
            Self::V6(address) => Some((*address).into()),
            Self::Name(_) => None,
        }
    }

    /// Names compare without case.
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => self == other,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            if matches!(self.scheme, Scheme::Sip | Scheme::Sips) {
                f.write_str("@")?;
            }
        }
        write!(f, "{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        match &self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// Checks a URI and finds its parts, without allocating.
pub(crate) fn split(text: &str) -> Result<UriRef<'_>, UriError> {
    let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !scheme_ok {
        return Err(UriError::Scheme);
    }
    if rest.bytes().any(|b| b <= b' ' || b >= 0x7f || matches!(b, b'"' | b'<' | b'>')) {
        return Err(UriError::Text);
    }
    if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") {
        return split_sip(scheme, rest);
    }
    if rest.is_empty() {
        return Err(UriError::Text);
    }
    let at = if scheme.eq_ignore_ascii_case("tel") { rest.find(';').unwrap_or(rest.len()) } else { rest.len() };
    let (user, params) = rest.split_at_checked(at).unwrap_or((rest, ""));
    check_params(params)?;
    Ok(UriRef { scheme, user: Some(user), password: None, host: "", port: None, params, headers: None })
}

fn split_sip<'a>(scheme: &'a str, rest: &'a str) -> Result<UriRef<'a>, UriError> {
    let (userinfo, rest) = match rest.split_once('@') {
        Some((userinfo, rest)) => (Some(userinfo), rest),
        None => (None, rest),
    };
    let (user, password) = match userinfo.map(|info| info.split_once(':').ok_or(info)) {
        None => (None, None),
        Some(Ok((user, password))) => (Some(user), Some(password)),
        Some(Err(user)) => (Some(user), None),
    };
    if user.is_some_and(|user| user.is_empty() || !is_user(user)) || password.is_some_and(|password| !is_user(password))
    {
        return Err(UriError::User);
    }
    let (rest, headers) = match rest.split_once('?') {
        Some((rest, headers)) => (rest, Some(headers)),
        None => (rest, None),
    };
    if headers.is_some_and(|headers| !escapes_are_whole(headers)) {
        return Err(UriError::Text);
    }
    let at = rest.find(';').unwrap_or(rest.len());
    let (host_port, params) = rest.split_at_checked(at).unwrap_or((rest, ""));
    let (host, port) = split_host_port(host_port)?;
    check_params(params)?;
    Ok(UriRef { scheme, user, password, host, port, params, headers })
}

/// Splits `host[:port]` where the host may be an IPv6 address in brackets; both are checked.
pub(crate) fn split_host_port(text: &str) -> Result<(&str, Option<u16>), UriError> {
    let host_end = match text.strip_prefix('[') {
        Some(inner) => inner.find(']').map(|at| at + 2).ok_or(UriError::Host)?,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at_checked(host_end).ok_or(UriError::Host)?;
    let host_ok = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').and_then(parse_v6).is_some(),
        None => is_host_name(host),
    };
    if !host_ok {
        return Err(UriError::Host);
    }
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok((host, None)),
        Some(port) => Ok((host, Some(parse_port(port).ok_or(UriError::Port)?))),
        None => Err(UriError::Host),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// An IPv6 address. RFC 3261's grammar let a third colon stand before an embedded IPv4 address; RFC 5118 §4.10 asks
/// receivers to bear it.
pub(crate) fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| {
        let (head, tail) = text.split_once(":::")?;
        let _: Ipv4Addr = tail.parse().ok()?;
        format!("{head}::{tail}").parse().ok()
    })
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// User parts as phones write them: `#` passes though the grammar wants it escaped.
fn is_user(text: &str) -> bool {
    escapes_are_whole(text) && !text.bytes().any(|b| matches!(b, b'[' | b']' | b'\\' | b'@' | b':'))
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| after.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())))
}

fn check_params(text: &str) -> Result<(), UriError> {
    params::split(text).try_for_each(|param| param.map(drop)).map_err(|_: HeaderError| UriError::Params)
}

/// Escapes whatever may not stand bare in a user part.
fn escape_user(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for byte in plain.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b) => escaped.push(char::from(b)),
            b => escaped.push_str(&format!("%{b:02X}")),
        }
    }
    escaped
}

/// Resolves `%` escapes.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes: Vec<u8> = decode(text).map(|(byte, _)| byte).collect();
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Bytes of a text with escapes resolved, and whether each was escaped.
fn decode(text: &str) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            rest = after;
            return Some((u8::try_from(high * 16 + low).unwrap_or_default(), true));
        }
        rest = tail;
        Some((first, false))
    })
}

impl std::str::FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text.trim_matches(text::is_blank))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_uri_prints_as_it_was_written() {
        for uri in [
            "sip:vivekg@chair-dnrc.example.com;unknownparam",
            "sip:user;par=u%40example.net@example.com",
            "sips:alice:pass@[2001:db8::10]:5070;transport=tcp;lr?Route=%3Csip:example.com%3E&x=y",
            "sip:192.0.2.1:5060",
            "tel:+1-201-555-0123;phone-context=example.com",
            "nobodyKnowsThisScheme:totallyopaquecontent",
            "soap.beep://192.0.2.103:3002",
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
        ] {
            assert_eq!(Uri::parse(uri).unwrap().to_string(), uri);
        }
    }

    #[test]
    fn malformed_uris_are_refused_with_the_part_that_is_wrong() {
        for (uri, error) in [
            ("<sip:user@example.com>", UriError::Scheme),
            ("user@example.com", UriError::Scheme),
            ("sip:2001:db8::10", UriError::Port),
            ("sip:[2001:db8::10", UriError::Host),
            ("sip:[2001:db8::10]x", UriError::Host),
            ("sip:a@b:70000", UriError::Port),
            ("sip:a@b:", UriError::Port),
            ("sip:a@", UriError::Host),
            ("sip:@b", UriError::User),
            ("sip:a%4@b", UriError::User),
            ("sip:a b@c", UriError::Text),
            ("sip:a@b;;", UriError::Params),
            ("tel:", UriError::Text),
        ] {
            assert_eq!(Uri::parse(uri), Err(error), "{uri}");
        }
    }

    #[test]
    fn the_third_colon_of_rfc_3261_is_borne() {
        let uri = Uri::parse("sip:user@[2001:db8:::192.0.2.1]").unwrap();
        assert_eq!(uri.host, Host::V6("2001:db8::192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_user_made_from_any_text_is_escaped() {
        let uri = Uri::sip(Some("a b@c\r\nVia: x"), Host::Name("h".into()), None);
        assert_eq!(uri.to_string(), "sip:a%20b%40c%0D%0AVia%3A%20x@h");
        assert_eq!(uri.user_plain().unwrap(), "a b@c\r\nVia: x");
    }
}
