//! The RTP packet (RFC 3550 §5.1): read where it lies, its header written in place.
//! Above: `media/bridge`. Below: nothing; the payload is left to the codec.

use std::ops::Range;

use thiserror::Error;

/// Bytes of a header without contributing sources and extension.
pub const HEADER_BYTES: usize = 12;

/// What a header says, apart from contributing sources and extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// First packet of a talkspurt (RFC 3551 §4.1).
    pub marker: bool,
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Time stamp of the first sample, in units of the codec's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Header {
    /// The twelve bytes of this header; no padding, extension or contributing sources.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = 0x80;
        bytes[1] = self.payload_type & 0x7f | if self.marker { 0x80 } else { 0 };
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// A packet that was looked at: its header, and where in the bytes its payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The fixed part of the header.
    pub header: Header,
    /// The payload without padding. Starts at byte 12 or later, so a new header fits before it.
    pub payload: Range<usize>,
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PacketError {
    /// Shorter than its own header says.
    #[error("{length} bytes end inside the RTP header")]
    Short {
        /// Bytes given.
        length: usize,
    },
    /// Not version 2.
    #[error("RTP version {version}")]
    Version {
        /// The version found.
        version: u8,
    },
    /// The padding is said to be longer than the payload, or empty.
    #[error("padding of {padding} bytes does not fit")]
    Padding {
        /// Bytes of padding claimed.
        padding: u8,
    },
}

impl Packet {
    /// Reads a packet without copying it.
    ///
    /// # Errors
    ///
    /// [`PacketError`] for bytes that are no RTP packet of version 2 (RFC 3550 A.1).
    pub fn parse(bytes: &[u8]) -> Result<Self, PacketError> {
        let short = PacketError::Short { length: bytes.len() };
        let Some((&[flags, kind, s1, s0, t3, t2, t1, t0, c3, c2, c1, c0], rest)) = bytes.split_first_chunk() else {
            return Err(short);
        };
        if flags >> 6 != 2 {
            return Err(PacketError::Version { version: flags >> 6 });
        }
        let mut skipped = usize::from(flags & 0x0f) * 4;
        if flags & 0x10 != 0 {
            // §5.3.1: a profile word, then the length in 32-bit words without the first four bytes.
            let length = rest.get(skipped + 2..skipped + 4).and_then(|bytes| bytes.try_into().ok()).ok_or(short)?;
            skipped += 4 + usize::from(u16::from_be_bytes(length)) * 4;
        }
        let mut payload_length = rest.len().checked_sub(skipped).ok_or(short)?;
        if flags & 0x20 != 0 {
            // §5.1: the last byte counts the padding, itself included.
            let padding = bytes.last().copied().unwrap_or(0);
            if padding == 0 || usize::from(padding) > payload_length {
                return Err(PacketError::Padding { padding });
            }
            payload_length -= usize::from(padding);
        }
        let header = Header {
            marker: kind & 0x80 != 0,
            payload_type: kind & 0x7f,
            sequence: u16::from_be_bytes([s1, s0]),
            timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
            ssrc: u32::from_be_bytes([c3, c2, c1, c0]),
        };
        let start = HEADER_BYTES + skipped;
        Ok(Self { header, payload: start..start + payload_length })
    }

    /// Writes `header` right before the payload and returns the new packet's bytes, payload untouched.
    pub fn rewrite<'a>(&self, header: Header, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let start = self.payload.start - HEADER_BYTES;
        bytes[start..self.payload.start].copy_from_slice(&header.to_bytes());
        &mut bytes[start..self.payload.end]
    }
}

/// Whether bytes that arrived on an RTP port are RTCP (RFC 5761 §4: packet types 192 to 223).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [flags, 192..=223, ..] if flags >> 6 == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header =
        Header { marker: true, payload_type: 101, sequence: 0xfffe, timestamp: 0x0102_0304, ssrc: 0xdead_beef };

    #[test]
    fn a_written_header_reads_back() {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes.extend([1, 2, 3]);
        assert_eq!(Packet::parse(&bytes), Ok(Packet { header: HEADER, payload: 12..15 }));
    }

    #[test]
    fn sources_extension_and_padding_are_no_payload() {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes[0] |= 0x20 | 0x10 | 2;
        bytes.extend([9; 8]); // two contributing sources
        bytes.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]); // an extension of one word
        bytes.extend([5, 6, 0, 0, 3]); // two bytes, then three of padding
        let packet = Packet::parse(&bytes).expect("a packet");
        assert_eq!(&bytes[packet.payload.clone()], [5, 6]);
        let other = Header { payload_type: 8, ..HEADER };
        let rewritten = packet.rewrite(other, &mut bytes).to_vec();
        assert_eq!(Packet::parse(&rewritten), Ok(Packet { header: other, payload: 12..14 }));
        assert_eq!(&rewritten[12..], [5, 6]);
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let whole = HEADER.to_bytes();
        assert_eq!(Packet::parse(&whole[..11]), Err(PacketError::Short { length: 11 }));
        let altered = |flags: u8| Packet::parse(&[&[flags], &whole[1..]].concat());
        assert_eq!(altered(0x40), Err(PacketError::Version { version: 1 }));
        assert_eq!(altered(0x81), Err(PacketError::Short { length: 12 }));
        assert_eq!(altered(0x90), Err(PacketError::Short { length: 12 }));
        assert_eq!(altered(0xa0), Err(PacketError::Padding { padding: 0xef }));
    }

    #[test]
    fn rtcp_is_told_from_rtp() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]) && is_rtcp(&[0x81, 203]));
        assert!(!is_rtcp(&[0x80, 128 + 101]) && !is_rtcp(&[0x80, 0]) && !is_rtcp(&[0, 200]) && !is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_with_its_payload_inside_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.start >= HEADER_BYTES && packet.payload.end <= bytes.len());
                prop_assert!(packet.payload.start <= packet.payload.end);
            }
        }
    }
}
