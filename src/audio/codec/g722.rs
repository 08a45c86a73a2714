//! G.722 at 64 kbit/s (ITU-T G.722): 16 kHz split into two bands of ADPCM, and joined again. Above: `raw`, for sound files; `recorder`.

/// Samples a second of what it decodes to.
pub const RATE_HZ: u32 = 16_000;

/// An octet that brings a decoder to rest wherever it was, within 20 ms: the least code of each band. What encoders write where all is
/// silent, 0xfa, has a larger step, and can leave an offset behind.
pub const SILENCE: u8 = 0xfd;

/// Decodes a whole stream of octets; each gives two samples.
pub fn decode(octets: &[u8]) -> Vec<i16> {
    let mut samples = Vec::with_capacity(octets.len() * 2);
    Decoder::default().decode(octets, &mut samples);
    samples
}

/// What is known of a stream from one octet to the next.
#[derive(Clone, Debug)]
struct Bands {
    low: Band,
    high: Band,
    /// What the filter between them and the samples has seen last, two for each octet.
    history: [i32; 24],
}

impl Default for Bands {
    fn default() -> Self {
        Self { low: Band::new(LOW), high: Band::new(HIGH), history: [0; 24] }
    }
}

impl Bands {
    /// Shows the filter the next two.
    fn filter(&mut self, next: [i32; 2]) -> &[i32; 24] {
        self.history.copy_within(2.., 0);
        self.history[22..].copy_from_slice(&next);
        &self.history
    }
}

/// A stream, of which one part comes after the other.
#[derive(Clone, Debug, Default)]
pub struct Decoder(Bands);

impl Decoder {
    /// Adds what the next octets mean to `samples`: two for each.
    pub fn decode(&mut self, octets: &[u8], samples: &mut Vec<i16>) {
        samples.reserve(octets.len() * 2);
        for &octet in octets {
            let low = self.0.low.next(usize::from(octet & 0x3f));
            let high = self.0.high.next(usize::from(octet >> 6));
            samples.extend(join(self.0.filter([low + high, low - high])));
        }
    }
}

/// What makes octets of samples.
#[derive(Clone, Debug, Default)]
pub struct Encoder(Bands);

impl Encoder {
    /// Adds the octets of the next samples to `octets`: one for two of them; of an odd number the last is left out.
    pub fn encode(&mut self, samples: &[i16], octets: &mut Vec<u8>) {
        octets.reserve(samples.len() / 2);
        for pair in samples.as_chunks::<2>().0 {
            let [low, high] = split(self.0.filter(pair.map(i32::from)));
            let Bands { low: lower, high: upper, .. } = &mut self.0;
            let low = low_code(low - lower.predicted, lower.step);
            let high = high_code(high - upper.predicted, upper.step);
            lower.next(usize::from(low));
            upper.next(usize::from(high));
            octets.push(high << 6 | low);
        }
    }
}

/// The code of the lower band for what was not predicted (§3.3, tables 7 and 8): the highest for the least.
fn low_code(missed: i32, step: i32) -> u8 {
    const BOUNDS: [i32; 29] = [
        35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
        1458, 1612, 1765, 1980, 2195, 2557, 2919,
    ];
    let size = if missed < 0 { -(missed + 1) } else { missed };
    let level = BOUNDS.partition_point(|bound| size >= (bound * step) >> 12) as u8; // 29 at most
    match (missed < 0, level) {
        (false, level) => 61 - level,
        // The two least of the negative codes stand above those of the positive ones.
        (true, 0 | 1) => 63 - level,
        (true, level) => 33 - level,
    }
}

/// The same of the upper band (table 9).
fn high_code(missed: i32, step: i32) -> u8 {
    let size = if missed < 0 { -(missed + 1) } else { missed };
    let is_large = size >= (564 * step) >> 12;
    match (missed < 0, is_large) {
        (false, false) => 3,
        (false, true) => 2,
        (true, false) => 1,
        (true, true) => 0,
    }
}

/// Of the filters of both bands (§3.1, §3.4, table 11).
const TAPS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// The transmit filter: one sample of each band from the last two of 16 kHz.
fn split(history: &[i32; 24]) -> [i32; 2] {
    let (mut even, mut odd) = (0, 0);
    for (at, pair) in history.chunks_exact(2).enumerate() {
        odd += pair[0] * TAPS[at];
        even += pair[1] * TAPS[11 - at];
    }
    [(even + odd) >> 14, (even - odd) >> 14]
}

/// The receive filter: two samples of 16 kHz from one of each band.
fn join(history: &[i32; 24]) -> [i16; 2] {
    let (mut first, mut second) = (0, 0);
    for (at, pair) in history.chunks_exact(2).enumerate() {
        first += pair[1] * TAPS[11 - at];
        second += pair[0] * TAPS[at];
    }
    [first, second].map(|sum| i16::try_from(limit(sum >> 11)).unwrap_or_default())
}

fn limit(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

/// What differs between the bands: their quantisers and the adaptation of their step (§3.3, §3.5).
#[derive(Debug)]
struct Tables {
    /// Levels of the whole code, and of the part of it that the adaptation looks at.
    levels: &'static [i32],
    adapting: &'static [i32],
    /// Bits of the code the adaptation does not look at.
    dropped_bits: u32,
    /// What a code adds to the logarithm of the step, and its most.
    growth: &'static [i32],
    most: i32,
    /// The logarithm's exponent at a step of one.
    exponent: i32,
    first_step: i32,
}

static LOW: &Tables = &Tables {
    levels: &[
        -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
        -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
        -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
        4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
    ],
    adapting: &[0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0],
    dropped_bits: 2,
    growth: &[-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60],
    most: 18_432,
    exponent: 8,
    first_step: 32,
};

static HIGH: &Tables = &Tables {
    levels: &[-7408, -1616, 7408, 1616],
    adapting: &[-7408, -1616, 7408, 1616],
    dropped_bits: 0,
    growth: &[798, -214, 798, -214],
    most: 22_528,
    exponent: 10,
    first_step: 8,
};

/// 2048 · 2^(n/32): the fraction of the step's logarithm (table 15).
const POWERS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// One band's decoder: a step size, and a predictor of two poles and six zeros (§3.6).
#[derive(Clone, Debug)]
struct Band {
    tables: &'static Tables,
    step: i32,
    step_log: i32,
    /// The sample expected next, and the part of it that comes from the zeros.
    predicted: i32,
    predicted_by_zeros: i32,
    poles: [i32; 2],
    zeros: [i32; 6],
    /// Newest first: reconstructed samples, partial ones, differences.
    samples: [i32; 2],
    partials: [i32; 2],
    differences: [i32; 6],
}

impl Band {
    fn new(tables: &'static Tables) -> Self {
        Self {
            tables,
            step: tables.first_step,
            step_log: 0,
            predicted: 0,
            predicted_by_zeros: 0,
            poles: [0; 2],
            zeros: [0; 6],
            samples: [0; 2],
            partials: [0; 2],
            differences: [0; 6],
        }
    }

    /// The sample that a code stands for.
    fn next(&mut self, code: usize) -> i32 {
        let tables = self.tables;
        let of = |table: &[i32], code: usize| table.get(code).copied().unwrap_or_default();
        let sample = self.predicted + ((self.step * of(tables.levels, code)) >> 15);
        let adapting = code >> tables.dropped_bits;
        let difference = (self.step * of(tables.adapting, adapting)) >> 15;
        self.adapt_step(of(tables.growth, adapting));
        self.predict(difference);
        sample.clamp(-16_384, 16_383)
    }

    fn adapt_step(&mut self, growth: i32) {
        self.step_log = (((self.step_log * 127) >> 7) + growth).clamp(0, self.tables.most);
        let power = POWERS[usize::try_from((self.step_log >> 6) & 31).unwrap_or_default()];
        let shift = self.tables.exponent - (self.step_log >> 11);
        self.step = if shift < 0 { power << -shift } else { power >> shift } << 2;
    }

    /// Adapts the predictor to the difference that came, and predicts the next sample (§3.6.1 to §3.6.4).
    fn predict(&mut self, difference: i32) {
        let sample = limit(self.predicted + difference);
        let partial = limit(self.predicted_by_zeros + difference);
        let negative = |value: i32| value < 0;
        let like_last = negative(partial) == negative(self.partials[0]);
        let like_older = negative(partial) == negative(self.partials[1]);

        let turned = limit(self.poles[0] << 2);
        let turned = if like_last { (-turned).min(32_767) } else { turned };
        let push = if like_older { 128 } else { -128 };
        let second = ((turned >> 7) + push + ((self.poles[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        let bound = limit(15_360 - second);
        let push = if like_last { 192 } else { -192 };
        let first = limit(push + ((self.poles[0] * 32_640) >> 15)).clamp(-bound, bound);

        let push = if difference == 0 { 0 } else { 128 };
        for (zero, older) in self.zeros.iter_mut().zip(self.differences) {
            let push = if negative(older) == negative(difference) { push } else { -push };
            *zero = limit(push + ((*zero * 32_640) >> 15));
        }

        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.samples = [sample, self.samples[0]];
        self.partials = [partial, self.partials[0]];
        self.poles = [first, second];

        let scaled = |factor: i32, value: i32| (factor * limit(2 * value)) >> 15;
        let by_poles = limit(scaled(first, self.samples[0]) + scaled(second, self.samples[1]));
        let by_zeros = self.zeros.iter().zip(self.differences).map(|(zero, value)| scaled(*zero, value)).sum();
        self.predicted_by_zeros = limit(by_zeros);
        self.predicted = limit(by_poles + self.predicted_by_zeros);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::tone::{self, Oscillator};

    #[test]
    fn a_tone_and_a_sweep_decode_to_what_another_decoder_makes_of_them() {
        let theirs = include_bytes!("../../../tests/data/sounds/wide-from-g722.sln16");
        let theirs: Vec<i16> = theirs.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(decode(include_bytes!("../../../tests/data/sounds/wide.g722")), theirs);
    }

    #[test]
    fn a_stream_in_parts_gives_what_it_gives_as_a_whole() {
        let octets = include_bytes!("../../../tests/data/sounds/wide.g722");
        let (mut decoder, mut samples) = (Decoder::default(), Vec::new());
        octets.chunks(160).for_each(|part| decoder.decode(part, &mut samples));
        assert!(samples == decode(octets));
    }

    #[test]
    fn what_is_encoded_is_heard_again_in_both_bands() {
        for hz in [300.0, 1_000.0, 3_000.0, 5_500.0] {
            let mut samples = vec![0; 16_000];
            // An oscillator counts in samples of 8 kHz.
            Oscillator::new([hz / 2.0, 0.0], -12.0).fill(&mut samples);
            let (mut encoder, mut octets) = (Encoder::default(), Vec::new());
            samples.chunks(320).for_each(|packet| encoder.encode(packet, &mut octets));
            assert_eq!(octets.len(), 8_000);
            let level = tone::level_db(&decode(&octets)[1_000..], hz / 2.0);
            assert!((level + 12.0).abs() < 0.5, "{hz} Hz: {level} dB");
        }
    }

    #[test]
    fn what_was_decoded_is_encoded_to_nearly_the_same_sound() {
        let samples = decode(include_bytes!("../../../tests/data/sounds/wide.g722"));
        let (mut encoder, mut octets) = (Encoder::default(), Vec::new());
        encoder.encode(&samples, &mut octets);
        let again = decode(&octets);
        // Both filters together are late by this much (§2.5.1).
        let pairs = || samples.iter().zip(&again[22..]).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let (sound, noise): (f64, f64) =
            (pairs().map(|(a, _)| a * a).sum(), pairs().map(|(a, b)| (a - b).powi(2)).sum());
        let ratio_db = 10.0 * (sound / noise.max(1.0)).log10();
        assert!(ratio_db > 15.0, "{ratio_db} dB");
    }

    #[test]
    fn silence_brings_a_decoder_to_rest_from_wherever_it_was() {
        let (mut loud, mut octets) = (vec![0; 16_000], Vec::new());
        Oscillator::new([450.0, 3_000.0], 0.0).fill(&mut loud);
        Encoder::default().encode(&loud, &mut octets);
        octets.extend([SILENCE; 4_000]);
        let samples = decode(&octets);
        let silent = &samples[16_000 + 640..];
        assert!(silent.iter().all(|sample| sample.abs() < 64), "{:?}", silent.iter().map(|sample| sample.abs()).max());
        assert!(decode(&[SILENCE; 1_000]).iter().all(|sample| sample.abs() < 2), "and leaves one at rest there");
    }

    proptest! {
        #[test]
        fn any_samples_encode_to_half_as_many_octets(samples in prop::collection::vec(any::<i16>(), 0..2_000)) {
            let mut octets = Vec::new();
            Encoder::default().encode(&samples, &mut octets);
            prop_assert_eq!(octets.len(), samples.len() / 2);
        }

        #[test]
        fn any_octets_decode_to_two_samples_each(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
            prop_assert_eq!(decode(&octets).len(), 2 * octets.len());
        }
    }
}
