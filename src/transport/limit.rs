//! A token bucket for each source address, asked before anything is parsed (threat S7).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

/// Most sources remembered at one time.
const SOURCES: usize = 65_536;

struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

/// The buckets of all sources; each holds one second's worth of requests.
pub(super) struct Buckets {
    per_second: f64,
    sources: HashMap<IpAddr, Bucket>,
}

impl Buckets {
    /// `per_second` 0 lets everything pass.
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.into(), sources: HashMap::new() }
    }

    /// Takes a token for a message; `false` when the source has none left. Responses cost nothing: we asked for them.
    pub(super) fn admit(&mut self, now: Instant, source: IpAddr, message: &[u8]) -> bool {
        if self.per_second == 0.0 || message.starts_with(b"SIP/") {
            return true;
        }
        if self.sources.len() >= SOURCES {
            self.forget_idle(now);
        }
        let full = self.per_second;
        let bucket = self.sources.entry(network(source)).or_insert(Bucket { tokens: full, filled_at: now });
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

    #[test]
    fn a_source_gets_its_requests_each_second_and_others_are_not_touched() {
        let now = Instant::now();
        let mut buckets = Buckets::new(5);
        let (loud, quiet) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let admitted = (0..20).filter(|_| buckets.admit(now, loud, b"INVITE")).count();
        assert_eq!(admitted, 5);
        assert!(buckets.admit(now, quiet, b"INVITE"));
        assert!(buckets.admit(now, loud, b"SIP/2.0 200 OK"));
        assert!(buckets.admit(now + Duration::from_millis(250), loud, b"INVITE"));
        assert!(!buckets.admit(now + Duration::from_millis(250), loud, b"INVITE"));
    }

    #[test]
    fn zero_is_no_limit_and_one_ipv6_network_is_one_source() {
        let now = Instant::now();
        let mut none = Buckets::new(0);
        assert!((0..1000).all(|_| none.admit(now, IpAddr::from([192, 0, 2, 1]), b"x")));
        let mut one = Buckets::new(1);
        assert!(one.admit(now, "2001:db8::1".parse().unwrap(), b"x"));
        assert!(!one.admit(now, "2001:db8::2".parse().unwrap(), b"x"));
    }
}
