//! Which addresses a remote may have: a name that leads into the private network is refused, and what was checked is what is
//! connected to. Above: `web`. Below: the system's resolver.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::config::Match;

/// Finds the addresses of a name.
pub trait Lookup: Send + Sync {
    /// The addresses of `name`; their ports do not count.
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// So many names are looked up at once.
const AT_ONCE: usize = 8;

/// Their places. One that nobody waits for any more holds its place until the system has answered, so that a
/// resolver that is slow takes no more than these threads from the disk.
static LOOKUPS: Semaphore = Semaphore::const_new(AT_ONCE);

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let name = name.to_owned();
        Box::pin(in_turn(&LOOKUPS, move || (name.as_str(), 0).to_socket_addrs().map(Iterator::collect)))
    }
}

/// Looks something up when a place is free.
async fn in_turn<T: Send + 'static>(
    places: &'static Semaphore,
    look: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    // The semaphore is never closed.
    let place = places.acquire().await;
    let found = spawn_blocking(move || {
        let found = look();
        drop(place);
        found
    });
    found.await.map_err(io::Error::other)?
}

/// Looks names up anew for each connection and lets through only the addresses that may be connected to.
pub(super) struct Guard {
    lookup: Arc<dyn Lookup>,
    allowed: Vec<Match>,
    /// Entries of `allowed` may carry a port.
    port: u16,
}

impl Guard {
    pub(super) fn new(lookup: Arc<dyn Lookup>, allowed: Vec<Match>, port: u16) -> Self {
        Self { lookup, allowed, port }
    }

    fn admits(allowed: &[Match], name: &str, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        // RFC 6761 §6.3: this name means loopback and nothing else
        if name.eq_ignore_ascii_case("localhost") {
            return ip.is_loopback();
        }
        is_public(ip) || allowed.iter().any(|entry| entry.covers(address))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.lookup.lookup(name.as_str());
        let (allowed, port) = (self.allowed.clone(), self.port);
        Box::pin(async move {
            let found = found.await?;
            let with_port = found.iter().map(|address| SocketAddr::new(address.ip(), port));
            let (good, refused): (Vec<_>, Vec<_>) =
                with_port.partition(|address| Self::admits(&allowed, name.as_str(), *address));
            match (good.is_empty(), refused.first()) {
                (true, Some(address)) => {
                    Err(RefusedAddress { name: name.as_str().to_owned(), address: address.ip() }.into())
                }
                (true, None) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()),
                (false, _) => {
                    // port 0 leaves the port to the URL
                    let addresses: Addrs = Box::new(good.into_iter().map(|address| SocketAddr::new(address.ip(), 0)));
                    Ok(addresses)
                }
            }
        })
    }
}

/// A name led to an address that nobody has listed.
#[derive(Debug)]
pub(super) struct RefusedAddress {
    name: String,
    address: IpAddr,
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address } = self;
        write!(
            f,
            "{name} leads to {address}, which is private: not connected (list it in allow_addresses if it is meant)"
        )
    }
}

impl std::error::Error for RefusedAddress {}

/// Whether an address is one of the public internet (the special-purpose registries of RFC 6890 and what came after).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local() // the metadata services of the clouds as well
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // RFC 6598
        || (a == 192 && b == 0 && c == 0) // RFC 6890
        || (a == 192 && b == 88 && c == 99) // RFC 7526
        || (a == 198 && (18..20).contains(&b))) // RFC 2544
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [[w, x], [y, z]] = [high.to_be_bytes(), low.to_be_bytes()];
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b) {
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => embedded(g, h), // RFC 6052: an IPv4 address behind a translator
        (0x2002, _) => embedded(b, c),                              // RFC 3056
        (0x2001, 0x0db8 | 0) => false,                              // RFC 3849, RFC 4380
        // only 2000::/3 has been given out (RFC 4291 §2.4); this leaves out fc00::/7, fe80::/10, ff00::/8, ::1
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn addresses_of_the_own_network_are_not_public_in_any_writing() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "192.0.2.1",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::7f00:1",
            "64:ff9b:1::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "64:ff9b::808:808", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_ninth_name_waits_for_eight_others_even_where_nobody_waits_for_those_any_more() {
        static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
        // A thread is free for the ninth: nothing but their number can keep it waiting.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(AT_ONCE + 1).build().unwrap();
        runtime.block_on(async {
            let (begins, begun) = mpsc::channel();
            let mut answers = Vec::new();
            for nth in 0..AT_ONCE {
                let (begins, (answer, answered)) = (begins.clone(), mpsc::channel::<()>());
                let look = in_turn(&PLACES, move || {
                    begins.send(nth).unwrap();
                    // Over when its sender is gone too.
                    let _ = answered.recv();
                    Ok(())
                });
                assert!(look.now_or_never().is_none(), "it is slow");
                answers.push(answer);
            }
            let next = || begun.recv_timeout(Duration::from_secs(60)).expect("eight begin within a minute");
            let mut all: Vec<usize> = (0..AT_ONCE).map(|_| next()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..AT_ONCE).collect::<Vec<_>>());
            let ninth = in_turn(&PLACES, move || begins.send(AT_ONCE).map_err(io::Error::other));
            let mut ninth = std::pin::pin!(ninth);
            assert!(ninth.as_mut().now_or_never().is_none());
            // Behind it, had it gone to a thread.
            spawn_blocking(|| ()).await.unwrap();
            assert!(begun.try_recv().is_err(), "it has not begun");
            answers.pop();
            ninth.await.unwrap();
            assert_eq!(begun.recv(), Ok(AT_ONCE));
        });
    }

    struct Fixed(Vec<SocketAddr>);

    impl Lookup for Fixed {
        fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let found = self.0.clone();
            Box::pin(async move { Ok(found) })
        }
    }

    async fn through(name: &str, found: &[&str], allowed: &[&str]) -> Result<Vec<String>, String> {
        let found = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        let allowed = allowed.iter().map(|entry| entry.parse().unwrap()).collect();
        let guard = Guard::new(Arc::new(Fixed(found)), allowed, 443);
        match guard.resolve(name.parse().unwrap()).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn only_public_and_listed_addresses_come_through() {
        assert_eq!(through("crm.example", &["10.0.0.5", "8.8.8.8"], &[]).await, Ok(vec!["8.8.8.8".into()]));
        let refused = through("crm.example", &["169.254.169.254"], &[]).await.unwrap_err();
        assert!(refused.contains("crm.example leads to 169.254.169.254"), "{refused}");
        assert_eq!(through("crm.example", &["10.0.0.5"], &["10.0.0.0/8"]).await, Ok(vec!["10.0.0.5".into()]));
        assert_eq!(through("crm.example", &["10.0.0.5"], &["10.0.0.5:443"]).await, Ok(vec!["10.0.0.5".into()]));
        assert!(through("crm.example", &["10.0.0.5"], &["10.0.0.5:80"]).await.is_err());
        assert!(through("crm.example", &[], &[]).await.is_err());
    }

    #[tokio::test]
    async fn localhost_is_loopback_whatever_the_resolver_says() {
        assert_eq!(through("localhost", &["127.0.0.1", "8.8.8.8"], &[]).await, Ok(vec!["127.0.0.1".into()]));
        assert!(through("localhost", &["8.8.8.8"], &[]).await.is_err());
    }
}
