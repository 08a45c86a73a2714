//! Opus, decoding only (RFC 6716), by a kept library, at any of its rates. Above: `recorder`, `source`.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opus_rs::OpusDecoder;
use thiserror::Error;

use crate::audio::gain;

/// The longest packet, in ms (RFC 6716 §3.2.5).
const LONGEST_MS: u32 = 120;

/// Why a packet gives no samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpusError {
    /// The library has no decoder for this rate.
    #[error("Opus cannot be decoded at {rate_hz} Hz")]
    Rate {
        /// Samples a second.
        rate_hz: u32,
    },
    /// It is none.
    #[error("{bytes} bytes are no Opus packet: {why}")]
    Packet {
        /// Bytes of it.
        bytes: usize,
        /// What the library says.
        why: &'static str,
    },
}

/// A stream, of which one packet comes after the other.
pub struct Decoder {
    rate_hz: u32,
    channels: usize,
    inner: OpusDecoder,
    /// Room for the longest packet.
    room: Vec<f32>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opus at {} Hz", self.rate_hz)
    }
}

impl Decoder {
    /// A stream from its beginning, in so many samples a second. At 8 kHz the library lets what is above 4 kHz come back as its mirror
    /// image.
    ///
    /// # Errors
    ///
    /// [`OpusError::Rate`] when that is none of 8, 12, 16, 24 and 48 kHz.
    pub fn new(rate_hz: u32) -> Result<Self, OpusError> {
        Self::of_channels(rate_hz, 1)
    }

    /// The same with two channels, side by side.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn stereo(rate_hz: u32) -> Result<Self, OpusError> {
        Self::of_channels(rate_hz, 2)
    }

    fn of_channels(rate_hz: u32, channels: usize) -> Result<Self, OpusError> {
        let room = vec![0.0; (rate_hz / 1_000 * LONGEST_MS) as usize * channels]; // 5,760 each at 48 kHz
        Ok(Self { rate_hz, channels, inner: inner(rate_hz, channels)?, room })
    }

    /// Adds what the next packet means to `samples`. One that only says how long nothing is sent gives as much of the noise behind
    /// the speech.
    ///
    /// # Errors
    ///
    /// [`OpusError::Packet`] when that is no packet; the stream goes on with the next.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<i16>) -> Result<(), OpusError> {
        let bytes = packet.len();
        if packet.is_empty() {
            return Err(OpusError::Packet { bytes, why: "it is empty" });
        }
        let (inner, room) = (&mut self.inner, &mut self.room);
        // All recordings of a server hang on the thread that this runs in, and packets come from strangers.
        let most = room.len() / self.channels;
        let decoded = catch_unwind(AssertUnwindSafe(|| inner.decode(packet, most, room)));
        let decoded = match decoded {
            Ok(decoded) => decoded.map_err(|why| OpusError::Packet { bytes, why }),
            Err(_) => {
                self.inner = self::inner(self.rate_hz, self.channels)?;
                Err(OpusError::Packet { bytes, why: "the decoder gives it up" })
            }
        };
        let count = decoded? * self.channels;
        samples.extend(self.room.iter().take(count).map(|sample| gain::clamp(sample * 32_768.0)));
        Ok(())
    }
}

fn inner(rate_hz: u32, channels: usize) -> Result<OpusDecoder, OpusError> {
    let wrong = OpusError::Rate { rate_hz };
    let rate = i32::try_from(rate_hz).map_err(|_| wrong)?;
    OpusDecoder::new(rate, channels).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The packets of an Ogg Opus file, behind the two that describe it.
    fn packets(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = ogg::PacketReader::new(std::io::Cursor::new(bytes));
        let packets = std::iter::from_fn(|| reader.read_packet().expect("Ogg").map(|packet| packet.data));
        packets.skip(2).collect()
    }

    /// How strong a tone is in samples of a rate, of 1.0 for full scale.
    fn strength(samples: &[i16], hz: f64, rate_hz: u32) -> f64 {
        let step = std::f64::consts::TAU * hz / f64::from(rate_hz);
        let sum = |wave: fn(f64) -> f64| -> f64 {
            samples.iter().enumerate().map(|(at, sample)| f64::from(*sample) * wave(at as f64 * step)).sum()
        };
        2.0 * sum(f64::sin).hypot(sum(f64::cos)) / samples.len() as f64 / 32_768.0
    }

    #[test]
    fn another_encoders_packets_are_decoded_at_wide_and_at_full_rate() {
        let packets = packets(include_bytes!("../../../tests/data/sounds/high.opus"));
        for rate_hz in [16_000, 48_000] {
            let (mut decoder, mut samples) = (Decoder::new(rate_hz).expect("a rate"), Vec::new());
            packets.iter().for_each(|packet| decoder.decode(packet, &mut samples).expect("a packet"));
            assert_eq!(samples.len() as u32, packets.len() as u32 * rate_hz / 50, "20 ms each");
            let inner = &samples[rate_hz as usize / 10..rate_hz as usize / 10 * 9];
            let found = [440.0, 5_000.0].map(|hz| strength(inner, hz, rate_hz));
            assert!((0.17..0.22).contains(&found[0]) && (0.11..0.19).contains(&found[1]), "{rate_hz}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_packet_is_refused_and_the_stream_goes_on() {
        let packets = packets(include_bytes!("../../../tests/data/sounds/high.opus"));
        let (mut decoder, mut samples) = (Decoder::new(16_000).expect("a rate"), Vec::new());
        // Nothing; two frames of an odd length together; more than 120 ms (RFC 6716 §3.2.3, §3.2.5).
        for broken in [&[][..], &[0x01, 1], &[0x1b, 63, 0, 0]] {
            assert!(decoder.decode(broken, &mut samples).is_err(), "{broken:?}");
        }
        assert!(samples.is_empty());
        decoder.decode(&packets[0], &mut samples).expect("a packet");
        assert_eq!(samples.len(), 320);
        assert_eq!(Decoder::new(44_100).map(|_| ()), Err(OpusError::Rate { rate_hz: 44_100 }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_nor_last_longer_than_120_ms(
            packets in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..400)), 1..20),
            rate_hz in prop::sample::select(vec![8_000u32, 16_000, 48_000]),
        ) {
            let mut decoder = Decoder::new(rate_hz).expect("a rate");
            for (first, rest) in packets {
                let (mut packet, mut samples) = (vec![first], Vec::new());
                packet.extend(rest);
                let _ = decoder.decode(&packet, &mut samples);
                prop_assert!(samples.len() as u32 <= rate_hz * 120 / 1_000);
            }
        }
    }
}
