//! The table of codecs: what each is called in SDP and how its payload becomes samples and back.
//! Above: `media/bridge`, `media/generator`. One file per codec.

mod coding;
mod foreign;
pub mod g711;
pub mod g722;
pub mod gsm;
pub mod opus;

pub use coding::Coding;
pub use foreign::Foreign;

/// A speech codec that a port can send and receive. Both work at 8 kHz with one byte a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0 (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law, static payload type 8 (RFC 3551 §4.5.14).
    Pcma,
}

impl Codec {
    /// The encoding name of SDP's `rtpmap` (RFC 3551 §6).
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The payload type that needs no `rtpmap` (RFC 3551 §6).
    pub fn static_payload(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The byte that decodes to the quietest sample.
    pub fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xff,
            Self::Pcma => 0xd5,
        }
    }

    /// The samples of a payload, 16 bit.
    pub fn samples(self, payload: &[u8]) -> impl Iterator<Item = i16> + '_ {
        let table = match self {
            Self::Pcmu => &g711::ULAW_TO_LINEAR,
            Self::Pcma => &g711::ALAW_TO_LINEAR,
        };
        payload.iter().map(|&byte| table[usize::from(byte)])
    }

    /// Decodes as many bytes as there is room for and returns their number.
    pub fn decode(self, payload: &[u8], out: &mut [i16]) -> usize {
        for (sample, decoded) in out.iter_mut().zip(self.samples(payload)) {
            *sample = decoded;
        }
        payload.len().min(out.len())
    }

    /// Encodes as many samples as there is room for and returns their number.
    pub fn encode(self, samples: &[i16], out: &mut [u8]) -> usize {
        let law = match self {
            Self::Pcmu => g711::to_ulaw,
            Self::Pcma => g711::to_alaw,
        };
        for (byte, &sample) in out.iter_mut().zip(samples) {
            *byte = law(sample);
        }
        samples.len().min(out.len())
    }

    /// Rewrites a payload of this codec as one of `other`, in place; nothing changes when they are the same.
    pub fn transcode(self, other: Self, payload: &mut [u8]) {
        let table = match (self, other) {
            (Self::Pcmu, Self::Pcma) => &g711::ULAW_TO_ALAW,
            (Self::Pcma, Self::Pcmu) => &g711::ALAW_TO_ULAW,
            (Self::Pcmu, Self::Pcmu) | (Self::Pcma, Self::Pcma) => return,
        };
        for byte in payload {
            *byte = table[usize::from(*byte)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcoding_equals_decoding_and_encoding() {
        let all: Vec<u8> = (0..=255).collect();
        for (from, to) in [(Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::Pcmu), (Codec::Pcma, Codec::Pcma)] {
            let (mut samples, mut through, mut direct) = ([0i16; 256], [0u8; 256], all.clone());
            from.decode(&all, &mut samples);
            to.encode(&samples, &mut through);
            from.transcode(to, &mut direct);
            assert_eq!(direct, through, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn the_byte_of_silence_is_the_quietest() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let mut sample = [0i16; 1];
            codec.decode(&[codec.silence()], &mut sample);
            assert!(sample[0].abs() <= 8, "{codec:?}: {}", sample[0]);
        }
    }
}
