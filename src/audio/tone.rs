//! Tones: made for ringing and prompts, found again (Goertzel) by tests and meters.

use std::f32::consts::TAU;

use super::{frame::RATE_HZ, gain};

/// Amplitude of 0 dB: a full-scale sine.
const FULL_SCALE: f32 = 32_767.0;

/// Makes up to two tones at once, sample by sample, without a jump between calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Oscillator {
    /// Where each tone stands in its circle, in turns.
    phase: [f32; 2],
    /// Turns a sample; 0 is no tone.
    step: [f32; 2],
    /// Amplitude of each tone.
    amplitude: f32,
}

impl Oscillator {
    /// Tones of `hz` (0 = none), each at `level_db` relative to full scale.
    pub fn new(hz: [f32; 2], level_db: f32) -> Self {
        let step = hz.map(|hz| hz / RATE_HZ as f32);
        Self { phase: [0.0; 2], step, amplitude: FULL_SCALE * gain::factor(level_db) }
    }

    /// Writes the next samples over `out`.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            let mut sum = 0.0;
            for (phase, &step) in self.phase.iter_mut().zip(&self.step) {
                sum += (*phase * TAU).sin();
                *phase = (*phase + step).fract();
            }
            *sample = gain::clamp(sum * self.amplitude);
        }
    }
}

/// How loud one tone is in the samples, in dB relative to a full-scale sine; −∞ for silence.
pub fn level_db(samples: &[i16], hz: f32) -> f32 {
    let amplitude = amplitude(samples, hz);
    20.0 * (amplitude / FULL_SCALE).log10()
}

/// Amplitude of one tone in the samples (Goertzel).
pub fn amplitude(samples: &[i16], hz: f32) -> f32 {
    let coefficient = 2.0 * (f64::from(hz) * std::f64::consts::TAU / f64::from(RATE_HZ)).cos();
    let (mut last, mut before) = (0f64, 0f64);
    for &sample in samples {
        let next = f64::from(sample) + coefficient * last - before;
        (before, last) = (last, next);
    }
    let power = last * last + before * before - coefficient * last * before;
    (power.max(0.0).sqrt() * 2.0 / samples.len().max(1) as f64) as f32
}

/// Loudness of the samples as a whole, in dB relative to a full-scale sine; −∞ for silence.
pub fn loudness_db(samples: &[i16]) -> f32 {
    let squares: f64 = samples.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum();
    let mean = squares / samples.len().max(1) as f64;
    (20.0 * (mean.sqrt() * std::f64::consts::SQRT_2 / f64::from(FULL_SCALE)).log10()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_found_at_its_level_and_nowhere_else() {
        let mut samples = [0i16; 1_600];
        let mut oscillator = Oscillator::new([440.0, 0.0], -10.0);
        for part in samples.chunks_mut(77) {
            oscillator.fill(part);
        }
        assert!((level_db(&samples, 440.0) + 10.0).abs() < 0.1);
        assert!((loudness_db(&samples) + 10.0).abs() < 0.1);
        assert!(level_db(&samples, 1_000.0) < -60.0);
        assert_eq!(loudness_db(&[0; 160]), f32::NEG_INFINITY);
    }

    #[test]
    fn two_tones_sound_together() {
        let mut samples = [0i16; 8_000];
        Oscillator::new([697.0, 1_209.0], -12.0).fill(&mut samples);
        assert!((level_db(&samples, 697.0) + 12.0).abs() < 0.2);
        assert!((level_db(&samples, 1_209.0) + 12.0).abs() < 0.2);
    }
}
