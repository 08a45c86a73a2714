//! Whose packets a port takes: the described address, or behind a NAT the source that proves itself, and then no one else.
//! Above: `port`. Never answers anybody; `socket` is told when to connect, so that the kernel drops strangers from then on.

use std::net::{IpAddr, SocketAddr};

use crate::rtp::packet::Header;

/// Consecutive packets of one source that prove an address.
const PROOF: u8 = 4;
/// Sources looked at side by side, so that a stray packet does not undo another's proof.
const CANDIDATES: usize = 4;

/// What a port knows of its peer's address.
#[derive(Debug, Default)]
pub(super) enum Latch {
    /// Nothing yet: everybody is a stranger.
    #[default]
    Closed,
    /// This address only.
    Locked(SocketAddr),
    /// The described address, or any port of the address that signalling came from.
    Seeking(Box<Seeking>),
}

/// A search behind a NAT.
#[derive(Debug)]
pub(super) struct Seeking {
    described: SocketAddr,
    nat: IpAddr,
    candidates: [Option<Candidate>; CANDIDATES],
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    next: u16,
    proof: u8,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Take it.
    Taken,
    /// Take it, and from now on only from here.
    Latched(SocketAddr),
    /// Count it and nothing else.
    Stranger,
}

impl Latch {
    /// A latch for a described address whose signalling came from `nat`.
    pub(super) fn seeking(described: SocketAddr, nat: IpAddr) -> Self {
        Self::Seeking(Box::new(Seeking { described, nat, candidates: [None; CANDIDATES] }))
    }

    /// Judges a packet with an acceptable payload type. `from` is `None` where the kernel lets only the locked address through.
    pub(super) fn admit(&mut self, from: Option<SocketAddr>, header: &Header) -> Admission {
        match self {
            Self::Closed => Admission::Stranger,
            Self::Locked(remote) if from.is_none_or(|from| from == *remote) => Admission::Taken,
            Self::Locked(_) => Admission::Stranger,
            Self::Seeking(seeking) => {
                let Some(from) = from.filter(|from| seeking.allows(*from)) else { return Admission::Stranger };
                let admission = seeking.weigh(from, header);
                if admission == Admission::Latched(from) {
                    *self = Self::Locked(from);
                }
                admission
            }
        }
    }

    /// Whether RTCP from there may be the peer's.
    pub(super) fn allows_report(&self, from: IpAddr) -> bool {
        match self {
            Self::Closed => false,
            Self::Locked(remote) => remote.ip() == from,
            Self::Seeking(seeking) => seeking.described.ip() == from || seeking.nat == from,
        }
    }
}

impl Seeking {
    fn allows(&self, from: SocketAddr) -> bool {
        from == self.described || from.ip() == self.nat
    }

    fn weigh(&mut self, from: SocketAddr, header: &Header) -> Admission {
        let known = self.candidates.iter().position(|candidate| {
            candidate.is_some_and(|candidate| candidate.address == from && candidate.ssrc == header.ssrc)
        });
        let proof = match known.and_then(|at| self.candidates[at]) {
            Some(candidate) if candidate.next == header.sequence => candidate.proof + 1,
            _ => 1,
        };
        if proof >= PROOF {
            return Admission::Latched(from);
        }
        let at = known.unwrap_or_else(|| self.weakest());
        let next = header.sequence.wrapping_add(1);
        self.candidates[at] = Some(Candidate { address: from, ssrc: header.ssrc, next, proof });
        // Until one is proven, the one ahead is heard.
        let is_ahead = self.candidates.iter().flatten().all(|other| other.proof <= proof);
        if is_ahead { Admission::Taken } else { Admission::Stranger }
    }

    fn weakest(&self) -> usize {
        let proofs = self.candidates.iter().map(|candidate| candidate.map_or(0, |candidate| candidate.proof));
        proofs.enumerate().min_by_key(|(_, proof)| *proof).map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn packet(sequence: u16, ssrc: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc }
    }

    #[test]
    fn a_locked_port_takes_one_address_only() {
        let mut latch = Latch::Locked(address("192.0.2.1:4000"));
        assert_eq!(latch.admit(None, &packet(1, 1)), Admission::Taken);
        assert_eq!(latch.admit(Some(address("192.0.2.1:4000")), &packet(1, 1)), Admission::Taken);
        assert_eq!(latch.admit(Some(address("192.0.2.1:4002")), &packet(2, 1)), Admission::Stranger);
        assert_eq!(Latch::Closed.admit(Some(address("192.0.2.1:4000")), &packet(1, 1)), Admission::Stranger);
    }

    #[test]
    fn four_packets_in_a_row_latch_the_source_behind_a_nat() {
        let mut latch = Latch::seeking(address("10.0.0.5:4000"), address("192.0.2.9:1").ip());
        let phone = Some(address("192.0.2.9:61000"));
        for sequence in [0xfffe, 0xffff, 0] {
            assert_eq!(latch.admit(phone, &packet(sequence, 7)), Admission::Taken);
        }
        assert_eq!(latch.admit(Some(address("198.51.100.1:61000")), &packet(1, 7)), Admission::Stranger);
        assert_eq!(latch.admit(phone, &packet(1, 7)), Admission::Latched(address("192.0.2.9:61000")));
        assert_eq!(latch.admit(Some(address("192.0.2.9:61001")), &packet(2, 7)), Admission::Stranger);
        assert_eq!(latch.admit(Some(address("10.0.0.5:4000")), &packet(2, 7)), Admission::Stranger);
        assert_eq!(latch.admit(phone, &packet(9, 8)), Admission::Taken);
    }

    #[test]
    fn a_gap_starts_the_proof_again_and_strays_do_not_hinder_it() {
        let mut latch = Latch::seeking(address("10.0.0.5:4000"), address("192.0.2.9:1").ip());
        let phone = Some(address("192.0.2.9:61000"));
        for (turn, sequence) in [1u16, 2, 3, 5, 6, 7].into_iter().enumerate() {
            let stray = Some(SocketAddr::new(address("192.0.2.9:1").ip(), 2_000 + turn as u16));
            latch.admit(stray, &packet(50, turn as u32));
            assert_eq!(latch.admit(phone, &packet(sequence, 7)), Admission::Taken, "{sequence}");
        }
        assert_eq!(latch.admit(phone, &packet(8, 7)), Admission::Latched(address("192.0.2.9:61000")));
    }
}
