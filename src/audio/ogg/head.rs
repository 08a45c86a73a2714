//! The two packets before the sound of an Ogg Opus stream (RFC 7845 §5).

/// How a stream's channels come out of its Opus streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Channels.
    pub channels: u8,
    /// Samples of 48 kHz at the beginning that are not played.
    pub pre_skip: u16,
    /// Samples a second of what was encoded, as somebody says.
    pub input_rate_hz: u32,
    /// In 256ths of a decibel.
    pub gain: i16,
    /// Opus streams in each packet, and how many of them, the first ones, have two channels.
    pub streams: u8,
    /// The same.
    pub coupled: u8,
    /// Which decoded channel each channel is; 255: silence (§5.1.1).
    pub mapping: Vec<u8>,
}

impl Head {
    /// One mono stream for each side: the caller left, the callee right, supervisors between them.
    pub fn of_sides(sides: u16) -> Self {
        // Three channels are left, centre, right (§5.1.1.2).
        let mapping = match sides {
            0 | 1 => vec![0],
            2 => vec![0, 1],
            _ => vec![0, 2, 1],
        };
        let channels = mapping.len() as u8; // three at most
        Self { channels, pre_skip: 0, input_rate_hz: super::CLOCK_HZ, gain: 0, streams: channels, coupled: 0, mapping }
    }

    /// Its packet.
    pub fn print(&self) -> Vec<u8> {
        let mut bytes = b"OpusHead\x01".to_vec();
        bytes.push(self.channels);
        bytes.extend(self.pre_skip.to_le_bytes());
        bytes.extend(self.input_rate_hz.to_le_bytes());
        bytes.extend(self.gain.to_le_bytes());
        if self.streams == 1 && self.channels <= 2 {
            bytes.push(0);
        } else {
            // Family 1: loudspeakers in the order of Vorbis.
            bytes.extend([1, self.streams, self.coupled]);
            bytes.extend(&self.mapping);
        }
        bytes
    }

    /// Reads its packet; `None` where it is none, or one that no player could obey.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fixed: &[u8; 19] = bytes.get(..19)?.try_into().ok()?;
        let [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', version, channels, s0, s1, r0, r1, r2, r3, g0, g1, family] =
            *fixed
        else {
            return None;
        };
        // The low half may grow (§5.1).
        if version & 0xf0 != 0 || channels == 0 {
            return None;
        }
        let (streams, coupled, mapping) = match family {
            0 if channels <= 2 => (1, channels - 1, (0..channels).collect()),
            0 => return None,
            _ => (*bytes.get(19)?, *bytes.get(20)?, bytes.get(21..21 + usize::from(channels))?.to_vec()),
        };
        let decoded = u16::from(streams) + u16::from(coupled);
        let is_fit = streams > 0
            && coupled <= streams
            && decoded <= 255
            && mapping.iter().all(|at| *at == 255 || u16::from(*at) < decoded);
        is_fit.then_some(Self {
            channels,
            pre_skip: u16::from_le_bytes([s0, s1]),
            input_rate_hz: u32::from_le_bytes([r0, r1, r2, r3]),
            gain: i16::from_le_bytes([g0, g1]),
            streams,
            coupled,
            mapping,
        })
    }
}

/// The second packet: who wrote it, and no comments (§5.2).
pub fn tags() -> Vec<u8> {
    let vendor = concat!("wirechief ", env!("CARGO_PKG_VERSION")).as_bytes();
    let mut bytes = b"OpusTags".to_vec();
    bytes.extend(u32::try_from(vendor.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(vendor);
    bytes.extend([0; 4]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads_of_one_to_three_sides_are_read_as_written() {
        for sides in 1..=3 {
            let head = Head::of_sides(sides);
            assert_eq!(Head::parse(&head.print()), Some(head));
        }
        assert_eq!(&Head::of_sides(2).print()[18..], [1, 2, 0, 0, 1]);
        let stereo = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
        let head = Head::parse(stereo).expect("a head of two coupled channels");
        assert_eq!((head.streams, head.coupled, head.pre_skip, head.mapping), (1, 1, 312, vec![0, 1]));
    }

    #[test]
    fn a_head_cut_or_impossible_is_none() {
        let whole = Head::of_sides(2).print();
        assert!((0..whole.len()).all(|at| Head::parse(&whole[..at]).is_none()));
        for (at, value) in [(8, 0x10), (9, 0), (18, 0), (19, 0), (20, 3), (21, 2)] {
            let mut wrong = Head::of_sides(3).print();
            wrong[at] = value;
            let is_wrong = Head::parse(&wrong).is_none();
            // Three sides have three decoded channels: 2 is one of them.
            assert_eq!(is_wrong, at != 21 && (at, value) != (20, 3), "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let bytes = [b"OpusHead\x01".as_slice(), &bytes].concat();
            if let Some(head) = Head::parse(&bytes) {
                prop_assert_eq!(head.mapping.len(), usize::from(head.channels));
            }
        }
    }
}
