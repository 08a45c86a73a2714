//! A token bucket for each source address, asked before anything is parsed (threat S7).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use crate::config::Match;

/// Most sources remembered at one time.
const SOURCES: usize = 65_536;

struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

/// The buckets of all sources; each holds one second's worth of requests.
pub(super) struct Buckets {
    per_second: f64,
    unlimited: Vec<Match>,
    sources: HashMap<IpAddr, Bucket>,
}

impl Buckets {
    /// `per_second` 0 lets everything pass, and so is everything from `unlimited` sources.
    pub(super) fn new(per_second: u32, unlimited: Vec<Match>) -> Self {
        Self { per_second: per_second.into(), unlimited, sources: HashMap::new() }
    }

    /// Takes a token for a message; `false` when the source has none left. Responses cost nothing: we asked for them.
    pub(super) fn admit(&mut self, now: Instant, source: SocketAddr, message: &[u8]) -> bool {
        let is_free = || self.unlimited.iter().any(|sources| sources.covers(source));
        if self.per_second == 0.0 || message.starts_with(b"SIP/") || is_free() {
            return true;
        }
        if self.sources.len() >= SOURCES {
            self.forget_idle(now);
        }
        let full = self.per_second;
        let bucket = self.sources.entry(network(source.ip())).or_insert(Bucket { tokens: full, filled_at: now });
        bucket.tokens =
            (bucket.tokens + now.saturating_duration_since(bucket.filled_at).as_secs_f64() * full).min(full);
        bucket.filled_at = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }

    /// A source silent for a second has a full bucket, so it needs none.
    fn forget_idle(&mut self, now: Instant) {
        self.sources.retain(|_, bucket| now.saturating_duration_since(bucket.filled_at).as_secs() < 1);
        if self.sources.len() >= SOURCES {
            self.sources.clear(); // a flood from more sources than we remember: start anew rather than grow
        }
    }
}

/// One customer of an IPv6 provider has at least a /64.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 5060)
    }

    #[test]
    fn a_source_gets_its_requests_each_second_and_others_are_not_touched() {
        let now = Instant::now();
        let mut buckets = Buckets::new(5, Vec::new());
        let (loud, quiet) = (at("192.0.2.1"), at("192.0.2.2"));
        let admitted = (0..20).filter(|_| buckets.admit(now, loud, b"INVITE")).count();
        assert_eq!(admitted, 5);
        assert!(buckets.admit(now, quiet, b"INVITE"));
        assert!(buckets.admit(now, loud, b"SIP/2.0 200 OK"));
        assert!(buckets.admit(now + Duration::from_millis(250), loud, b"INVITE"));
        assert!(!buckets.admit(now + Duration::from_millis(250), loud, b"INVITE"));
    }

    #[test]
    fn no_limit_an_unlimited_source_and_one_customer_of_ipv6() {
        let now = Instant::now();
        let mut none = Buckets::new(0, Vec::new());
        assert!((0..1000).all(|_| none.admit(now, at("192.0.2.1"), b"x")));
        let mut one = Buckets::new(1, vec!["192.0.2.0/24".parse().unwrap()]);
        assert!((0..1000).all(|_| one.admit(now, at("192.0.2.1"), b"x")));
        assert!(one.admit(now, at("2001:db8::1"), b"x"));
        assert!(!one.admit(now, at("2001:db8::2"), b"x"), "the same network");
        assert!(one.admit(now, at("2001:db8:0:1::1"), b"x"));
    }
}
