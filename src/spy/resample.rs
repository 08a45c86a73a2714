//! Another sample rate, as the sound comes: rubato behind the few words we need. Above: `output`, `input`, `device`. Pure.
//! Adds 4 ms of delay; whatever number of samples goes in, whole blocks of 10 ms come out.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Indexing, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction,
    calculate_cutoff,
};
use thiserror::Error;

use super::drift::MOST_DRIFT;

/// Taps of the filter at the lower of the two rates: 64 / 8000 Hz / 2 = 4 ms of delay.
const TAPS: usize = 64;
/// Filters between two samples: a multiple of every whole ratio we meet, so those need no interpolation.
const PHASES: usize = 96;

/// A rate that cannot be made into the other.
#[derive(Debug, Error)]
#[error("cannot change {from_hz} Hz to {to_hz} Hz")]
pub struct RateError {
    from_hz: u32,
    to_hz: u32,
}

/// One stream of interleaved samples on its way to another rate.
pub struct Resampler {
    sides: usize,
    /// None: the rates are equal.
    inner: Option<Async<f32>>,
    waiting: Vec<f32>,
    block: Vec<f32>,
}

impl Resampler {
    /// A stream of so many interleaved sides.
    ///
    /// # Errors
    ///
    /// [`RateError`] for a rate below 1 kHz, above 400 kHz, or without a side.
    pub fn new(from_hz: u32, to_hz: u32, sides: usize) -> Result<Self, RateError> {
        Self::with_reach(from_hz, to_hz, sides, 1.0)
    }

    /// A stream of one side between two clocks, whose ratio [`Resampler::steer`] moves.
    ///
    /// # Errors
    ///
    /// As [`Resampler::new`]; also for equal rates, which nothing here would steer.
    pub fn steered(from_hz: u32, to_hz: u32) -> Result<Self, RateError> {
        if from_hz == to_hz {
            return Err(RateError { from_hz, to_hz });
        }
        Self::with_reach(from_hz, to_hz, 1, 1.0 + 2.0 * MOST_DRIFT)
    }

    /// `reach`: the factor by which the ratio may later be moved.
    fn with_reach(from_hz: u32, to_hz: u32, sides: usize, reach: f64) -> Result<Self, RateError> {
        let refused = RateError { from_hz, to_hz };
        let usable = 1_000..=400_000;
        if sides == 0 || !usable.contains(&from_hz) || !usable.contains(&to_hz) {
            return Err(refused);
        }
        if from_hz == to_hz {
            return Ok(Self { sides, inner: None, waiting: Vec::new(), block: Vec::new() });
        }
        // Downwards the filter is measured in samples of the higher rate, so it needs more of them.
        let taps = TAPS * (from_hz.div_ceil(to_hz) as usize);
        let window = WindowFunction::BlackmanHarris2;
        let parameters = SincInterpolationParameters {
            sinc_len: taps,
            f_cutoff: calculate_cutoff(TAPS, window),
            oversampling_factor: PHASES,
            interpolation: SincInterpolationType::Cubic,
            window,
        };
        let ratio = f64::from(to_hz) / f64::from(from_hz);
        let block = (from_hz / 100) as usize;
        let inner = Async::new_sinc(ratio, reach, &parameters, block, sides, FixedAsync::Input).map_err(|_| refused)?;
        let block = vec![0.0; inner.output_frames_max() * sides];
        Ok(Self { sides, inner: Some(inner), waiting: Vec::new(), block })
    }

    /// Makes that many times as many samples from now on: 1 is the ratio of the rates, others lie within [`MOST_DRIFT`] of it.
    pub fn steer(&mut self, factor: f64) {
        if let Some(inner) = &mut self.inner {
            // Only a factor out of reach is refused, and a clamped one is not.
            let _ = inner.set_resample_ratio_relative(factor.clamp(1.0 - MOST_DRIFT, 1.0 + MOST_DRIFT), true);
        }
    }

    /// Takes interleaved samples and appends what is ready to `out`.
    pub fn process(&mut self, samples: impl IntoIterator<Item = f32>, out: &mut Vec<f32>) {
        let Some(inner) = &mut self.inner else {
            out.extend(samples);
            return;
        };
        self.waiting.extend(samples);
        let mut used = 0;
        while let Some(made) = step(inner, self.waiting.get(used..).unwrap_or_default(), &mut self.block, self.sides) {
            used += made.taken * self.sides;
            out.extend(self.block.iter().take(made.given * self.sides));
        }
        self.waiting.drain(..used);
    }
}

struct Made {
    taken: usize,
    given: usize,
}

/// One block, if there is enough for one. Counts are samples a side.
fn step(inner: &mut Async<f32>, input: &[f32], block: &mut [f32], sides: usize) -> Option<Made> {
    let needed = inner.input_frames_next();
    if input.len() < needed * sides {
        return None;
    }
    let room = block.len() / sides;
    let input = InterleavedSlice::new(input, sides, needed).ok()?;
    let mut output = InterleavedSlice::new_mut(block, sides, room).ok()?;
    let from_start = Indexing { input_offset: 0, output_offset: 0, partial_len: None, active_channels_mask: None };
    let (taken, given) = inner.process_into_buffer(&input, &mut output, Some(&from_start)).ok()?;
    Some(Made { taken, given })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spy::sound::clamp;
    use crate::spy::tone::{level, sine};

    fn whole(samples: &[i16], from_hz: u32, to_hz: u32) -> Vec<i16> {
        let mut out = Vec::new();
        let samples = samples.iter().map(|&sample| f32::from(sample));
        Resampler::new(from_hz, to_hz, 1).expect("rates").process(samples, &mut out);
        out.into_iter().map(clamp).collect()
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_level_between_all_rates() {
        for from_hz in [8_000, 16_000, 44_100, 48_000] {
            for to_hz in [8_000, 16_000, 48_000] {
                let made = whole(&sine(1_000.0, from_hz, from_hz as usize), from_hz, to_hz);
                let short = to_hz as usize - made.len();
                assert!(short <= to_hz as usize / 100, "{from_hz} to {to_hz}: {short} samples are missing");
                let (there, elsewhere) = (level(&made, 1_000.0, to_hz), level(&made, 2_345.0, to_hz));
                assert!((there - 10_000.0).abs() < 200.0, "{from_hz} to {to_hz}: {there}");
                assert!(elsewhere < 100.0, "{from_hz} to {to_hz}: {elsewhere}");
            }
        }
    }

    #[test]
    fn no_sound_above_the_lower_rate_folds_back() {
        let made = whole(&sine(6_000.0, 48_000, 48_000), 48_000, 8_000);
        assert!(level(&made, 2_000.0, 8_000) < 50.0);
    }

    #[test]
    fn a_stream_in_odd_pieces_is_the_stream_in_one() {
        let tone: Vec<f32> = sine(700.0, 8_000, 8_000).into_iter().map(f32::from).collect();
        let (mut at_once, mut in_pieces) = (Vec::new(), Vec::new());
        Resampler::new(8_000, 48_000, 1).expect("rates").process(tone.clone(), &mut at_once);
        let mut resampler = Resampler::new(8_000, 48_000, 1).expect("rates");
        for piece in tone.chunks(37) {
            resampler.process(piece.to_vec(), &mut in_pieces);
        }
        assert_eq!(at_once, in_pieces);
    }

    #[test]
    fn two_sides_stay_apart() {
        let (left, right) = (sine(400.0, 8_000, 8_000), sine(1_300.0, 8_000, 8_000));
        let both = left.iter().zip(&right).flat_map(|(&l, &r)| [f32::from(l), f32::from(r)]);
        let mut out = Vec::new();
        Resampler::new(8_000, 16_000, 2).expect("rates").process(both, &mut out);
        let side = |at: usize| out.iter().skip(at).step_by(2).map(|&s| clamp(s)).collect::<Vec<_>>();
        assert!(level(&side(0), 400.0, 16_000) > 9_000.0 && level(&side(0), 1_300.0, 16_000) < 100.0);
        assert!(level(&side(1), 1_300.0, 16_000) > 9_000.0 && level(&side(1), 400.0, 16_000) < 100.0);
    }

    #[test]
    fn a_steered_stream_is_longer_or_shorter_by_as_much() {
        let second = sine(1_000.0, 48_000, 48_000).into_iter().map(f32::from);
        let samples: Vec<f32> = std::iter::repeat_n(second, 10).flatten().collect();
        let made = |factor| {
            let mut resampler = Resampler::steered(48_000, 8_000).expect("rates");
            resampler.steer(factor);
            let mut out = Vec::new();
            resampler.process(samples.iter().copied(), &mut out);
            out.len() as i64 - 80_000
        };
        let plain = made(1.0);
        assert!((75..=85).contains(&(made(1.001) - plain)), "{}", made(1.001) - plain);
        assert!((-85..=-75).contains(&(made(0.999) - plain)), "{}", made(0.999) - plain);
        assert_eq!(made(2.0), made(1.001), "more than the reach is the reach");
        assert!(Resampler::steered(8_000, 8_000).is_err());
    }

    #[test]
    fn impossible_rates_are_refused() {
        assert!(Resampler::new(0, 8_000, 1).is_err());
        assert!(Resampler::new(8_000, u32::MAX, 1).is_err());
        assert!(Resampler::new(8_000, 8_000, 0).is_err());
    }
}
