//! The Via header (RFC 3261 §20.42, rport of RFC 3581).

use super::{HeaderError, Params, params, parse_digits, text};
use crate::sip::uri::{Host, parse_v6, split_host_port};
use std::fmt;
use std::net::IpAddr;

/// What every branch made by RFC 3261 starts with.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One step of the way a request took, and its responses go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The transport, as written (`UDP`, `TCP`, or one we do not speak).
    pub transport: String,
    /// The sender's host.
    pub host: Host,
    /// The sender's port, when written.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, `maddr` and the rest.
    pub params: Params,
}

impl Via {
    /// Reads one element of a Via header.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        let parts = split(value)?;
        let host = Host::parse(parts.host).ok_or(HeaderError::Via)?;
        Ok(Self { transport: parts.transport.to_owned(), host, port: parts.port, params: Params::parse(parts.params)? })
    }

    /// The branch parameter, as written.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// The branch when it identifies the transaction by itself: magic cookie and something behind it (RFC 3261 §17.2.3;
    /// the cookie alone is no more than an RFC 2543 branch).
    pub fn unique_branch(&self) -> Option<&str> {
        self.branch().filter(|branch| {
            branch.len() > MAGIC_COOKIE.len()
                && branch.get(..MAGIC_COOKIE.len()).is_some_and(|cookie| cookie.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }

    /// The rport parameter: `Some(None)` asks us to fill it, `Some(Some(port))` is filled.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.has("rport").then(|| self.params.get("rport").and_then(parse_digits))
    }

    /// The received parameter, with or without brackets around IPv6 (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let value = self.params.get("received")?;
        let bare = value.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(value);
        bare.parse().ok().or_else(|| parse_v6(bare).map(IpAddr::V6))
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

struct ViaRef<'a> {
    transport: &'a str,
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
}

/// Checks one element, without allocating.
pub(crate) fn check(value: &str) -> Result<(), HeaderError> {
    let parts = split(value)?;
    params::split(parts.params).try_for_each(|param| param.map(drop))
}

fn split(value: &str) -> Result<ViaRef<'_>, HeaderError> {
    parts(value).ok_or(HeaderError::Via)
}

/// Blanks may stand around both slashes, the colon and every `;` (RFC 4475 §3.1.1.1).
fn parts(value: &str) -> Option<ViaRef<'_>> {
    let (name, rest) = value.split_once('/')?;
    let (version, rest) = rest.split_once('/')?;
    let rest = rest.trim_start_matches(text::is_blank);
    let (transport, rest) = rest.split_once(text::is_blank)?;
    let is = |text: &str, wanted: &str| text.trim_matches(text::is_blank).eq_ignore_ascii_case(wanted);
    if !is(name, "SIP") || !is(version, "2.0") || !text::is_token_text(transport) {
        return None;
    }
    let sent_by_end = rest.find(';').unwrap_or(rest.len());
    let (sent_by, params) = rest.split_at_checked(sent_by_end)?;
    let sent_by = sent_by.trim_matches(text::is_blank);
    let (host, port) = match sent_by.rsplit_once(':') {
        // `host : port`
        Some((host, port)) if host.ends_with(text::is_blank) || port.starts_with(text::is_blank) => {
            let (host, _) = split_host_port(host.trim_end_matches(text::is_blank)).ok()?;
            (host, Some(parse_digits(port.trim_start_matches(text::is_blank))?))
        }
        _ => split_host_port(sent_by).ok()?,
    };
    Some(ViaRef { transport, host, port, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_everywhere_and_ipv6_are_understood() {
        let via = Via::parse("SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8").unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8");
        let via = Via::parse("SIP/2.0/UDP [2001:db8::9:1] : 6050;rport;received=2001:db8::9:255").unwrap();
        assert_eq!((via.port, via.rport()), (Some(6050), Some(None)));
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
        assert_eq!(via.to_string(), "SIP/2.0/UDP [2001:db8::9:1]:6050;rport;received=2001:db8::9:255");
        let via = Via::parse("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255]").unwrap();
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
    }

    #[test]
    fn the_bare_cookie_identifies_nothing() {
        let unique =
            |branch: &str| Via::parse(&format!("SIP/2.0/UDP h;branch={branch}")).unwrap().unique_branch().is_some();
        assert!(unique("z9hG4bKx") && !unique("z9hG4bK") && !unique("390skdjuw"));
    }

    #[test]
    fn broken_vias_are_refused() {
        for bad in [
            "SIP/2.0/UDP 192.0.2.15;;",
            ";",
            "",
            "SIP/2.0/UDP",
            "SIP/7.0/UDP h",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP h:99999",
            "HTTP/2.0/TCP h",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
