//! Source addresses in the settings: an address, a CIDR block, either with a port. Used by `trunks.match` and `guests.from`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// One entry of an address list: `192.0.2.0/24`, `192.0.2.7:5080`, `2001:db8::/32`, `[2001:db8::1]:5060`, `[2001:db8::/32]:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    network: IpAddr,
    prefix_bits: u8,
    port: Option<u16>,
}

impl Match {
    /// The block of all addresses whose first `prefix_bits` are those of `network`, at any port.
    pub fn block(network: IpAddr, prefix_bits: u8) -> Self {
        Self { network: network.to_canonical(), prefix_bits, port: None }
    }

    /// Whether a message from `source` is meant; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn covers(&self, source: SocketAddr) -> bool {
        let same_net = bits(source.ip().to_canonical(), self.prefix_bits) == bits(self.network, self.prefix_bits);
        same_net && self.port.is_none_or(|port| port == source.port())
    }
}

/// Family and the leading `prefix_bits` of an address.
fn bits(address: IpAddr, prefix_bits: u8) -> (bool, u128) {
    let (v6, left_aligned) = match address {
        IpAddr::V4(v4) => (false, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (true, v6.to_bits()),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
    (v6, left_aligned & mask)
}

impl FromStr for Match {
    type Err = MatchError;

    fn from_str(text: &str) -> Result<Self, MatchError> {
        let (block, port) = split_port(text)?;
        let (address, prefix) =
            block.split_once('/').map_or((block, None), |(address, prefix)| (address, Some(prefix)));
        let network = IpAddr::from_str(address).map_err(|_| MatchError::Address(address.to_owned()))?.to_canonical();
        let most = if network.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => most,
            Some(text) => match text.parse() {
                Ok(bits) if bits <= most => bits,
                _ => return Err(MatchError::Prefix { prefix: text.to_owned(), most }),
            },
        };
        Ok(Self { network, prefix_bits, port })
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), MatchError> {
    let (block, port) = if let Some(inner) = text.strip_prefix('[') {
        let (block, rest) = inner.split_once(']').ok_or_else(|| MatchError::Address(text.to_owned()))?;
        match rest.strip_prefix(':') {
            Some(port) => (block, Some(port)),
            None if rest.is_empty() => (block, None),
            None => return Err(MatchError::Address(text.to_owned())),
        }
    } else {
        match text.split_once(':') {
            Some((block, port)) if !port.contains(':') => (block, Some(port)),
            _ => (text, None),
        }
    };
    match port.map(|port| port.parse::<u16>().map_err(|_| MatchError::Port(port.to_owned()))) {
        None => Ok((block, None)),
        Some(Ok(port)) if port > 0 => Ok((block, Some(port))),
        Some(Ok(port)) => Err(MatchError::Port(port.to_string())),
        Some(Err(error)) => Err(error),
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.network, self.port) {
            (IpAddr::V6(_), Some(port)) => write!(f, "[{}/{}]:{port}", self.network, self.prefix_bits),
            (_, Some(port)) => write!(f, "{}/{}:{port}", self.network, self.prefix_bits),
            (_, None) => write!(f, "{}/{}", self.network, self.prefix_bits),
        }
    }
}

/// Why a text is no entry of an address list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// Not an IPv4 or IPv6 address.
    #[error("`{0}` is no IP address (write 192.0.2.0/24, 192.0.2.7:5060 or [2001:db8::/32]:5060)")]
    Address(String),
    /// The part after `/`.
    #[error("`/{prefix}` is no prefix length from 0 to {most}")]
    Prefix {
        /// As written.
        prefix: String,
        /// 32 or 128.
        most: u8,
    },
    /// The part after the last `:`.
    #[error("`{0}` is no port from 1 to 65535")]
    Port(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(entry: &str, source: &str) -> bool {
        entry.parse::<Match>().unwrap().covers(source.parse().unwrap())
    }

    #[test]
    fn a_block_covers_its_addresses_at_any_port() {
        assert!(covers("192.0.2.0/24", "192.0.2.255:1024"));
        assert!(!covers("192.0.2.0/24", "192.0.3.0:1024"));
        assert!(covers("0.0.0.0/0", "203.0.113.9:1"));
        assert!(!covers("0.0.0.0/0", "[2001:db8::1]:1"));
        assert!(covers("2001:db8::/32", "[2001:db8:ffff::1]:5060"));
        assert!(covers("192.0.2.0/24", "[::ffff:192.0.2.1]:5060"));
    }

    #[test]
    fn a_port_in_the_entry_must_be_the_sources() {
        assert!(covers("192.0.2.7:5080", "192.0.2.7:5080"));
        assert!(!covers("192.0.2.7:5080", "192.0.2.7:5060"));
        assert!(covers("[2001:db8::/32]:5080", "[2001:db8::1]:5080"));
        assert!(!covers("127.0.0.0/8:5080", "127.0.0.1:5081"));
    }

    #[test]
    fn what_is_no_entry_is_refused_with_the_part_that_is_wrong() {
        let error = |text: &str| text.parse::<Match>().unwrap_err();
        assert_eq!(error("example.com"), MatchError::Address("example.com".into()));
        assert_eq!(error("10.0.0.0/33"), MatchError::Prefix { prefix: "33".into(), most: 32 });
        assert_eq!(error("10.0.0.1:0"), MatchError::Port("0".into()));
        assert_eq!(error("10.0.0.1:sip"), MatchError::Port("sip".into()));
        assert!(matches!(error("[::1"), MatchError::Address(_)));
    }

    #[test]
    fn printing_and_reading_an_entry_is_the_identity() {
        for text in ["192.0.2.0/24", "192.0.2.7/32:5080", "2001:db8::/32", "[2001:db8::1/128]:5060"] {
            assert_eq!(text.parse::<Match>().unwrap().to_string(), text);
        }
    }
}
