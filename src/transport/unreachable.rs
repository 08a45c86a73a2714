//! ICMP's word that a UDP peer cannot be reached (RFC 3261 §18.4), by the kernel's error queue where there is one (Linux).
//! Elsewhere a silent peer is given up by the transactions' own timers.

#[cfg(target_os = "linux")]
pub(super) use linux::{next, watch};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{next, watch};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSliceMut};
    use std::net::SocketAddr;
    use std::os::fd::AsRawFd;

    use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
    use tokio::net::UdpSocket;

    /// `SO_EE_ORIGIN_ICMP` and ICMP's "destination unreachable".
    const ICMP: (u8, u8) = (2, 3);
    /// `SO_EE_ORIGIN_ICMP6` and ICMPv6's "destination unreachable".
    const ICMP6: (u8, u8) = (3, 1);
    /// ICMP's "fragmentation needed" is a kind of the former, yet the peer is there.
    const TOO_BIG: u8 = 4;
    /// Errors looked through for one that counts.
    const LOOK: usize = 16;

    /// Asks the kernel to keep ICMP errors for [`next`].
    pub(in crate::transport) fn watch(socket: &UdpSocket) -> io::Result<()> {
        match socket.local_addr()? {
            SocketAddr::V4(_) => setsockopt(socket, Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvErr, &true)?,
        }
        Ok(())
    }

    /// The next peer that cannot be reached; `None` when the kernel has no more errors.
    pub(in crate::transport) fn next(socket: &UdpSocket) -> Option<SocketAddr> {
        (0..LOOK).map_while(|_| take(socket)).flatten().next()
    }

    /// Takes one error off the queue: the peer it is about, if it counts.
    fn take(socket: &UdpSocket) -> Option<Option<SocketAddr>> {
        let mut datagram = [0; 64];
        let mut into = [IoSliceMut::new(&mut datagram)];
        let mut control = [0; 256];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut into, Some(&mut control), flags).ok()?;
        let counts = message.cmsgs().ok()?.any(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, _) => {
                (error.ee_origin, error.ee_type) == ICMP && error.ee_code != TOO_BIG
            }
            ControlMessageOwned::Ipv6RecvErr(error, _) => (error.ee_origin, error.ee_type) == ICMP6,
            _ => false,
        });
        Some(message.address.filter(|_| counts).and_then(|address| socket_addr(&address)))
    }

    fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::new(v4.ip().into(), v4.port()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::new(v6.ip().into(), v6.port())))
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::net::SocketAddr;

    use tokio::net::UdpSocket;

    /// There is nothing to ask for.
    pub(in crate::transport) fn watch(_: &UdpSocket) -> io::Result<()> {
        Ok(())
    }

    /// There are no errors.
    pub(in crate::transport) fn next(_: &UdpSocket) -> Option<SocketAddr> {
        None
    }
}
