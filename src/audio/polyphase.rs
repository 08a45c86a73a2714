//! Changes the rate of a stream by a whole factor, packet by packet: each gives exactly as many samples as its time has, and what is
//! cut between two packets is not heard. The library behind `resample` works in blocks of its own length, so it is for whole sounds.
//! Above: `recorder`. Below: nothing.

use std::f32::consts::PI;
use std::ops::Range;
use std::sync::LazyLock;

use super::gain;

/// Samples of the lower rate on each side of the one that is made.
const REACH: usize = 16;
/// The end of what passes, as a part of the lower rate, in the middle of the slope.
const CORNER: f32 = 0.47;
/// Shape of the Kaiser window: 60 dB.
const SHAPE: f32 = 5.65;

/// By which factor, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Factor {
    /// So many samples for each.
    Up(usize),
    /// One sample for so many.
    Down(usize),
}

/// A stream whose rate is changed.
#[derive(Clone, Debug)]
pub struct Polyphase {
    factor: Factor,
    /// The weights of each phase.
    phases: &'static [Vec<f32>],
    /// The last samples, then those of the packet in hand.
    samples: Vec<f32>,
    /// How many of the last samples may be followed by something else than silence.
    known: usize,
}

impl Polyphase {
    /// A stream from one rate to another, in Hz; `None` when neither is a multiple of the other that telephony has.
    pub fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        static TABLES: LazyLock<[(Factor, Vec<Vec<f32>>); 4]> =
            LazyLock::new(|| [Factor::Up(2), Factor::Up(3), Factor::Up(6), Factor::Down(2)].map(|f| (f, phases(f))));
        let factor = match (to_hz / from_hz.max(1), from_hz / to_hz.max(1)) {
            (up @ 2.., _) if up * from_hz == to_hz => Factor::Up(up as usize), // 6 at most is found below
            (_, down @ 2..) if down * to_hz == from_hz => Factor::Down(down as usize),
            _ => return None,
        };
        let (_, phases) = TABLES.iter().find(|(known, _)| *known == factor)?;
        Some(Self { factor, phases, samples: Vec::new(), known: 0 })
    }

    /// What comes next follows nothing.
    pub fn reset(&mut self) {
        self.samples.clear();
        self.known = 0;
    }

    /// Adds what a packet becomes to `out`: first the end of what was made before, anew, now that it is known what follows; then its
    /// own. Of a length that the factor does not divide, the rest is left out. How many samples belong to what was before.
    pub fn packet(&mut self, packet: &[i16], out: &mut Vec<i16>) -> usize {
        let (step, reach) = (self.step(), self.reach());
        let end = self.take(packet);
        // As if silence followed.
        self.samples.resize(end + reach, 0.0);
        self.make(2 * reach - self.known..end, out);
        self.samples.truncate(end);
        self.samples.drain(..end - 2 * reach);
        let before = self.known / step * self.phases.len();
        self.known = (self.known + end - 2 * reach).min(reach);
        before
    }

    /// Adds what a packet becomes to `out`, a moment late, so that nothing is made twice.
    pub fn late_packet(&mut self, packet: &[i16], out: &mut Vec<i16>) {
        let reach = self.reach();
        let end = self.take(packet);
        self.make(reach..end - reach, out);
        self.samples.drain(..end - 2 * reach);
    }

    /// Puts a packet behind the samples before it; where it ends.
    fn take(&mut self, packet: &[i16]) -> usize {
        let whole = packet.len() - packet.len() % self.step();
        self.samples.resize(2 * self.reach(), 0.0);
        self.samples.extend(packet.iter().take(whole).map(|&sample| f32::from(sample)));
        self.samples.len()
    }

    /// Makes what belongs to these samples.
    fn make(&self, range: Range<usize>, out: &mut Vec<i16>) {
        let reach = self.reach();
        for at in range.step_by(self.step()) {
            // The sample at `at` is the last of the first half.
            let window = &self.samples[at + 1 - reach..at + 1 + reach];
            out.extend(self.phases.iter().map(|weights| gain::clamp(product(window, weights))));
        }
    }

    /// Samples on each side of the one that is made.
    fn reach(&self) -> usize {
        REACH * self.step()
    }

    fn step(&self) -> usize {
        match self.factor {
            Factor::Up(_) => 1,
            Factor::Down(factor) => factor,
        }
    }
}

/// The weights of a factor's phases, each for a window of samples: that at its middle is the last before, or at, what is made.
fn phases(factor: Factor) -> Vec<Vec<f32>> {
    let (phases, stretch) = match factor {
        Factor::Up(factor) => (factor, 1),
        Factor::Down(factor) => (1, factor),
    };
    let reach = (REACH * stretch) as f32;
    let phase = |phase: usize| {
        let offset = phase as f32 / phases as f32;
        let weight = |at: usize| {
            let time = at as f32 - (reach - 1.0) - offset; // of the sample, seen from what is made
            sinc(2.0 * CORNER * time / stretch as f32) * kaiser(time / reach)
        };
        let weights: Vec<f32> = (0..2 * REACH * stretch).map(weight).collect();
        // Steady sound stays as loud as it is.
        let sum: f32 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    };
    (0..phases).map(phase).collect()
}

fn sinc(x: f32) -> f32 {
    if x.abs() < 1e-6 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The Kaiser window over −1 to 1.
fn kaiser(x: f32) -> f32 {
    if x.abs() >= 1.0 { 0.0 } else { bessel(SHAPE * (1.0 - x * x).sqrt()) / bessel(SHAPE) }
}

/// The modified Bessel function of the first kind, order 0, by its series.
fn bessel(x: f32) -> f32 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..24 {
        term *= (x / 2.0 / n as f32).powi(2);
        sum += term;
    }
    sum
}

/// The sum of products, in eight lanes.
fn product(window: &[f32], weights: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (samples, weights) in window.as_chunks::<8>().0.iter().zip(weights.as_chunks::<8>().0) {
        for (lane, (sample, weight)) in lanes.iter_mut().zip(samples.iter().zip(weights)) {
            *lane += sample * weight;
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone;
    use proptest::prelude::*;

    fn tone_at(hz: f32, rate_hz: u32, count: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * f64::from(hz) / f64::from(rate_hz);
        (0..count).map(|at| ((at as f64 * step).sin() * 10_000.0) as i16).collect()
    }

    /// A sound in packets, each laid where it belongs.
    fn in_packets(sound: &[i16], (from_hz, to_hz): (u32, u32), lengths: &[usize]) -> Vec<i16> {
        let mut stream = Polyphase::new(from_hz, to_hz).expect("a factor");
        let (mut laid, mut made, mut rest) = (Vec::new(), Vec::new(), sound);
        for length in lengths.iter().cycle() {
            let (packet, later) = rest.split_at((*length).min(rest.len()));
            made.clear();
            let before = stream.packet(packet, &mut made);
            laid.truncate(laid.len() - before);
            laid.extend(&made);
            rest = later;
            if rest.is_empty() {
                return laid;
            }
        }
        laid
    }

    #[test]
    fn a_tone_keeps_its_place_its_level_and_its_pitch() {
        for rates in [(8_000, 16_000), (8_000, 48_000), (16_000, 48_000), (16_000, 8_000)] {
            let (from_hz, to_hz) = rates;
            let sound = tone_at(440.0, from_hz, from_hz as usize);
            let made = in_packets(&sound, rates, &[160]);
            let wanted = tone_at(440.0, to_hz, to_hz as usize);
            assert_eq!(made.len(), wanted.len());
            // But for the ends, which silence surrounds.
            let inner = 200..made.len() - 200;
            let off = made[inner.clone()].iter().zip(&wanted[inner]).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off < Some(60), "{rates:?}: {off:?}");
        }
    }

    #[test]
    fn late_packets_are_the_same_a_moment_later() {
        let sound = tone_at(440.0, 8_000, 1_600);
        let (mut stream, mut made) = (Polyphase::new(8_000, 16_000).expect("a factor"), Vec::new());
        sound.chunks(160).for_each(|packet| stream.late_packet(packet, &mut made));
        assert_eq!(made.len(), 3_200);
        assert!(made[2 * REACH..] == in_packets(&sound, (8_000, 16_000), &[160])[..3_200 - 2 * REACH]);
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_not_there() {
        let level = |samples: &[i16]| tone::loudness_db(&samples[400..samples.len() - 400]);
        let high = in_packets(&tone_at(5_000.0, 16_000, 16_000), (16_000, 8_000), &[320]);
        assert!(level(&high) < -60.0, "{}", level(&high));
        // The mirror image of 3 kHz, which a simple repetition of samples has at 5 kHz.
        let up = in_packets(&tone_at(3_000.0, 8_000, 8_000), (8_000, 16_000), &[160]);
        let step = std::f64::consts::TAU * 5_000.0 / 16_000.0;
        let sum = |wave: fn(f64) -> f64| -> f64 {
            (400..15_600).map(|at| f64::from(up[at]) * wave(at as f64 * step)).sum::<f64>()
        };
        let amplitude = 2.0 * sum(f64::sin).hypot(sum(f64::cos)) / 15_200.0;
        assert!(amplitude < 20.0, "{amplitude} of 10,000");
    }

    #[test]
    fn other_factors_are_not_known() {
        for (from_hz, to_hz) in [(8_000, 8_000), (8_000, 44_100), (0, 8_000), (8_000, 0), (8_000, 32_000)] {
            assert!(Polyphase::new(from_hz, to_hz).is_none(), "{from_hz} to {to_hz}");
        }
    }

    proptest! {
        #[test]
        fn packets_of_any_length_give_the_same_as_the_whole(
            sound in prop::collection::vec(any::<i16>(), 1..600), lengths in prop::collection::vec(1usize..90, 1..8),
        ) {
            for rates in [(8_000, 16_000), (8_000, 48_000), (16_000, 48_000)] {
                let whole = in_packets(&sound, rates, &[sound.len()]);
                prop_assert_eq!(whole.len(), sound.len() * (rates.1 / rates.0) as usize);
                prop_assert!(in_packets(&sound, rates, &lengths) == whole);
            }
            let even: Vec<usize> = lengths.iter().map(|length| length * 2).collect();
            let sound = &sound[..sound.len() / 2 * 2];
            if !sound.is_empty() {
                prop_assert!(in_packets(sound, (16_000, 8_000), &even) == in_packets(sound, (16_000, 8_000), &[600]));
            }
        }
    }
}
