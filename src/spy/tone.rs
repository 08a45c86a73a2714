//! Tones for the tests of this room: made, and found again by Goertzel's filter.

/// A sine of amplitude 10000.
pub(super) fn sine(hz: f32, rate_hz: u32, samples: usize) -> Vec<i16> {
    let step = std::f64::consts::TAU * f64::from(hz) / f64::from(rate_hz);
    (0..samples).map(|at| (10_000.0 * (step * at as f64).sin()) as i16).collect()
}

/// The amplitude of that frequency in the samples.
pub(super) fn level(samples: &[i16], hz: f32, rate_hz: u32) -> f32 {
    let step = std::f64::consts::TAU * f64::from(hz) / f64::from(rate_hz);
    let (mut before, mut last) = (0.0, 0.0);
    for &sample in samples {
        (before, last) = (last, f64::from(sample) + 2.0 * step.cos() * last - before);
    }
    let power = before * before + last * last - 2.0 * step.cos() * before * last;
    (2.0 * power.max(0.0).sqrt() / samples.len() as f64) as f32
}
