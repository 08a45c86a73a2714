//! From a URI to the addresses it may be reached at (RFC 3263, as far as A and AAAA go): never awaited in the `sip` task.

use std::net::SocketAddr;

use tokio::net::lookup_host;

use crate::sip::hop::Transport;
use crate::sip::uri::{Host, Uri};

/// The port of SIP over UDP and TCP.
pub const DEFAULT_PORT: u16 = 5060;

/// Why a host has no address for us.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The URI wants a transport we do not speak.
    #[error("cannot reach {uri}: transport `{transport}` is not supported")]
    Transport {
        /// The URI.
        uri: String,
        /// What its `transport` parameter says.
        transport: String,
    },
    /// The lookup failed.
    #[error("cannot find the address of {host}: {cause}")]
    Lookup {
        /// The name.
        host: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The lookup gave nothing.
    #[error("{host} has no address")]
    NoAddress {
        /// The name.
        host: String,
    },
}

/// The transport a URI asks for; UDP when it asks for none (RFC 3263 §4.1).
pub fn transport_of(uri: &Uri) -> Result<Transport, ResolveError> {
    match uri.params.get("transport") {
        None => Ok(Transport::Udp),
        Some(name) => Transport::from_name(name)
            .ok_or_else(|| ResolveError::Transport { uri: uri.to_string(), transport: name.to_owned() }),
    }
}

/// The addresses of a URI's host, in the system's order.
pub async fn resolve(uri: &Uri) -> Result<(Transport, Vec<SocketAddr>), ResolveError> {
    let transport = transport_of(uri)?;
    let addresses = resolve_host(&uri.host, uri.port).await?;
    Ok((transport, addresses))
}

/// The addresses of a host, in the system's order; without a port, SIP's own.
pub async fn resolve_host(host: &Host, port: Option<u16>) -> Result<Vec<SocketAddr>, ResolveError> {
    let port = port.unwrap_or(DEFAULT_PORT);
    if let Some(ip) = host.ip() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let name = host.to_string();
    let found = lookup_host((name.as_str(), port)).await;
    let addresses: Vec<_> = found.map_err(|cause| ResolveError::Lookup { host: name.clone(), cause })?.collect();
    if addresses.is_empty() { Err(ResolveError::NoAddress { host: name }) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_need_no_lookup_and_get_the_default_port() {
        let found = resolve(&Uri::parse("sip:bob@192.0.2.7").unwrap()).await.unwrap();
        assert_eq!(found, (Transport::Udp, vec!["192.0.2.7:5060".parse().unwrap()]));
        let found = resolve(&Uri::parse("sip:bob@[2001:db8::7]:5070;transport=tcp").unwrap()).await.unwrap();
        assert_eq!(found, (Transport::Tcp, vec!["[2001:db8::7]:5070".parse().unwrap()]));
    }

    #[tokio::test]
    async fn a_foreign_transport_is_named() {
        let error = resolve(&Uri::parse("sip:bob@192.0.2.7;transport=sctp").unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("sctp"), "{error}");
    }
}
