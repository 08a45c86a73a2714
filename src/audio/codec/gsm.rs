//! GSM full rate, decoding only (ETSI EN 300 961, "06.10"): 33 octets become 160 samples. Above: `raw`, for sound files; `recorder`.

/// Samples a second.
pub const RATE_HZ: u32 = 8_000;

/// Octets of one frame of 20 ms.
pub(crate) const FRAME_OCTETS: usize = 33;

/// Samples of one frame, and of one of its four parts.
const FRAME_SAMPLES: usize = 160;
const PART_SAMPLES: usize = 40;

/// How far back a part may look (§5.3.2).
const LONGEST_LAG: usize = 120;

/// Decodes the whole frames of a file; what is no frame (its first four bits are not 13) gives silence.
pub fn decode(octets: &[u8]) -> Vec<i16> {
    let mut samples = Vec::with_capacity(octets.len() / FRAME_OCTETS * FRAME_SAMPLES);
    Decoder::default().decode(octets, &mut samples);
    samples
}

/// Reads numbers of a few bits, highest bit first.
struct Bits<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> i16 {
        let mut value = 0;
        for _ in 0..count {
            let octet = self.octets.get(self.at / 8).copied().unwrap_or_default();
            value = value << 1 | i16::from(octet >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        value
    }
}

/// Product of two fractions of 2^15, rounded (§5.1 `mult_r`).
fn product(a: i16, b: i16) -> i16 {
    let rounded = (i32::from(a) * i32::from(b) + 16_384) >> 15;
    i16::try_from(rounded).unwrap_or(i16::MAX)
}

/// A stream, of which one part comes after the other.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// The last samples of the excitation, the newest at the end.
    excitation: [i16; LONGEST_LAG],
    lag: usize,
    /// Logarithmic area ratios of the frame before.
    ratios: [i16; 8],
    lattice: [i16; 9],
    /// Last sample of the de-emphasis filter.
    emphasised: i16,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { excitation: [0; LONGEST_LAG], lag: 40, ratios: [0; 8], lattice: [0; 9], emphasised: 0 }
    }
}

impl Decoder {
    /// Adds what the next whole frames mean to `samples`; what is no frame gives silence.
    pub fn decode(&mut self, octets: &[u8], samples: &mut Vec<i16>) {
        for frame in octets.chunks_exact(FRAME_OCTETS) {
            let mut bits = Bits { octets: frame, at: 0 };
            if bits.take(4) == 0xd {
                samples.extend(self.frame(&mut bits));
            } else {
                samples.extend([0; FRAME_SAMPLES]);
            }
        }
    }

    fn frame(&mut self, bits: &mut Bits<'_>) -> [i16; FRAME_SAMPLES] {
        let ratios = ratios(bits);
        let mut frame = [0; FRAME_SAMPLES];
        for part in frame.chunks_exact_mut(PART_SAMPLES) {
            part.copy_from_slice(&self.part(bits));
        }
        self.shape(&ratios, &mut frame);
        for sample in &mut frame {
            // de-emphasis and upscaling; the lowest three bits carry nothing (§5.3.5 to §5.3.7)
            self.emphasised = sample.saturating_add(product(self.emphasised, 28_180));
            *sample = self.emphasised.saturating_add(self.emphasised) & !7;
        }
        frame
    }

    /// One part of the excitation: pulses added to what was a lag ago (§5.3.1, §5.3.2).
    fn part(&mut self, bits: &mut Bits<'_>) -> [i16; PART_SAMPLES] {
        const GAINS: [i16; 4] = [3_277, 11_469, 21_299, 32_767];
        let lag = usize::try_from(bits.take(7)).unwrap_or_default();
        let gain = GAINS[usize::try_from(bits.take(2)).unwrap_or_default() & 3];
        if (40..=LONGEST_LAG).contains(&lag) {
            self.lag = lag;
        }
        let mut part = pulses(bits);
        for (at, sample) in part.iter_mut().enumerate() {
            // the lag is never shorter than a part, so what it looks at is older than the part
            let before = self.excitation.get(LONGEST_LAG - self.lag + at).copied().unwrap_or_default();
            *sample = sample.saturating_add(product(gain, before));
        }
        self.excitation.copy_within(PART_SAMPLES.., 0);
        self.excitation[LONGEST_LAG - PART_SAMPLES..].copy_from_slice(&part);
        part
    }

    /// The short-term synthesis filter, its coefficients gliding from the last frame's (§5.3.3, §5.3.4).
    fn shape(&mut self, ratios: &[i16; 8], frame: &mut [i16; FRAME_SAMPLES]) {
        let before = std::mem::replace(&mut self.ratios, *ratios);
        for (from, to) in [(0, 13), (13, 27), (27, 40), (40, 160)] {
            let reflections: [i16; 8] = std::array::from_fn(|at| {
                let (old, new) = (before[at], ratios[at]);
                let ratio = match from {
                    0 => (old >> 2).saturating_add(new >> 2).saturating_add(old >> 1),
                    13 => (old >> 1).saturating_add(new >> 1),
                    27 => (old >> 2).saturating_add(new >> 2).saturating_add(new >> 1),
                    _ => new,
                };
                reflection(ratio)
            });
            for sample in &mut frame[from..to] {
                let mut value = *sample;
                for at in (0..8).rev() {
                    value = value.saturating_sub(product(reflections[at], self.lattice[at]));
                    self.lattice[at + 1] = self.lattice[at].saturating_add(product(reflections[at], value));
                }
                self.lattice[0] = value;
                *sample = value;
            }
        }
    }
}

/// The eight logarithmic area ratios of a frame (§5.2.8).
fn ratios(bits: &mut Bits<'_>) -> [i16; 8] {
    /// Bits, lowest code, offset, 1/slope.
    const CODES: [(usize, i16, i16, i16); 8] = [
        (6, -32, 0, 13_107),
        (6, -32, 0, 13_107),
        (5, -16, 2_048, 13_107),
        (5, -16, -2_560, 13_107),
        (4, -8, 94, 19_223),
        (4, -8, -1_792, 17_476),
        (3, -4, -341, 31_454),
        (3, -4, -1_144, 29_708),
    ];
    CODES.map(|(count, lowest, offset, slope)| {
        let ratio = ((bits.take(count) + lowest) << 10).saturating_sub(offset << 1);
        let ratio = product(slope, ratio);
        ratio.saturating_add(ratio)
    })
}

/// From a logarithmic area ratio to a reflection coefficient (§5.2.9.2).
fn reflection(ratio: i16) -> i16 {
    let size = ratio.saturating_abs();
    let coefficient = match size {
        ..11_059 => size << 1,
        11_059..20_070 => size + 11_059,
        _ => (size >> 2).saturating_add(26_112),
    };
    if ratio < 0 { -coefficient } else { coefficient }
}

/// The pulses of a part: 13 of them, three samples apart, with one step size (§5.2.15 to §5.2.17).
fn pulses(bits: &mut Bits<'_>) -> [i16; PART_SAMPLES] {
    const MANTISSAS: [i16; 8] = [18_431, 20_479, 22_527, 24_575, 26_623, 28_671, 30_719, 32_767];
    let grid = usize::try_from(bits.take(2)).unwrap_or_default();
    let block = bits.take(6);
    let mut exponent = if block > 15 { (block >> 3) - 1 } else { 0 };
    let mut mantissa = block - (exponent << 3);
    if mantissa == 0 {
        (exponent, mantissa) = (-4, 7);
    } else {
        while mantissa <= 7 {
            mantissa = mantissa << 1 | 1;
            exponent -= 1;
        }
        mantissa -= 8;
    }
    let factor = MANTISSAS[usize::try_from(mantissa).unwrap_or_default() & 7];
    let shift = 6 - exponent;
    let rounding = if shift > 0 { 1 << (shift - 1) } else { 0 };
    let mut part = [0; PART_SAMPLES];
    for at in 0..13 {
        let pulse = (bits.take(3) * 2 - 7) << 12;
        if let Some(sample) = part.get_mut(grid + 3 * at) {
            *sample = product(factor, pulse).saturating_add(rounding) >> shift;
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tone_and_a_sweep_decode_to_what_another_decoder_makes_of_them() {
        let theirs = include_bytes!("../../../tests/data/sounds/tone-from-gsm.sln");
        let theirs: Vec<i16> = theirs.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(decode(include_bytes!("../../../tests/data/sounds/tone.gsm")), theirs);
    }

    #[test]
    fn what_is_no_frame_is_silent_and_half_a_frame_is_nothing() {
        assert_eq!(decode(&[0; 50]), vec![0; 160]);
        assert_eq!(decode(&[0xd0; 32]), Vec::<i16>::new());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(mut octets in prop::collection::vec(any::<u8>(), 0..400)) {
            octets.iter_mut().step_by(FRAME_OCTETS).for_each(|first| *first = 0xd0 | *first & 0xf);
            prop_assert_eq!(decode(&octets).len(), octets.len() / 33 * 160);
        }
    }
}
