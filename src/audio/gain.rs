//! Loudness: decibels to factors and samples scaled in place.

/// The factor of an amplitude change in dB: 6 dB is about twice.
pub fn factor(gain_db: f32) -> f32 {
    10f32.powf(gain_db / 20.0)
}

/// Scales samples in place by `factor`, clamped to 16 bit.
pub fn apply(factor: f32, samples: &mut [i16]) {
    for sample in samples {
        *sample = clamp(f32::from(*sample) * factor);
    }
}

/// Rounds to the nearest 16-bit sample.
pub(crate) fn clamp(value: f32) -> i16 {
    // `as` from float to integer saturates.
    value.round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_decibels_double_and_clamp() {
        let mut samples = [1_000, -1_000, 30_000, -30_000];
        apply(factor(6.0206), &mut samples);
        assert_eq!(samples, [2_000, -2_000, i16::MAX, i16::MIN]);
    }
}
