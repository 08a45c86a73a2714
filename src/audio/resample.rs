//! Changes the sample rate of a whole sound, ahead of playing it. Never called in a tick.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use thiserror::Error;

use super::frame::RATE_HZ;
use super::gain;

/// Input samples worked on at a time.
const CHUNK: usize = 1_024;

/// Why a sound cannot be brought to another rate.
#[derive(Debug, Error)]
pub enum ResampleError {
    /// A rate of 0, or one that the filter cannot be built for.
    #[error("cannot resample from {from_hz} Hz to {to_hz} Hz: {reason}")]
    Rate {
        /// The rate of the sound, in Hz.
        from_hz: u32,
        /// The rate asked for, in Hz.
        to_hz: u32,
        /// What the resampler says.
        reason: String,
    },
}

/// A sound of `from_hz` as one of 8 kHz, the rate inside media threads.
///
/// # Errors
///
/// [`ResampleError::Rate`] when `from_hz` is 0 or absurd.
pub fn to_8khz(samples: &[i16], from_hz: u32) -> Result<Vec<i16>, ResampleError> {
    resample(samples, from_hz, RATE_HZ)
}

/// A sound of `from_hz` as one of `to_hz`.
///
/// # Errors
///
/// [`ResampleError::Rate`] when a rate is 0 or absurd.
pub fn resample(samples: &[i16], from_hz: u32, to_hz: u32) -> Result<Vec<i16>, ResampleError> {
    if from_hz == to_hz {
        return Ok(samples.to_vec());
    }
    let wrong = |reason: String| ResampleError::Rate { from_hz, to_hz, reason };
    if !(1_000..=384_000).contains(&from_hz) || !(1_000..=384_000).contains(&to_hz) {
        return Err(wrong("rates from 1 kHz to 384 kHz are known".to_owned()));
    }
    let (from, to) = (from_hz as usize, to_hz as usize);
    let mut resampler =
        Fft::<f32>::new(from, to, CHUNK, 1, 1, FixedSync::Both).map_err(|error| wrong(error.to_string()))?;
    let input: Vec<f32> = samples.iter().map(|&sample| f32::from(sample)).collect();
    let input_adapter = InterleavedSlice::new(&input, 1, input.len()).map_err(|error| wrong(error.to_string()))?;
    let room = resampler.process_all_needed_output_len(input.len());
    let mut output = vec![0f32; room];
    let mut output_adapter =
        InterleavedSlice::new_mut(&mut output, 1, room).map_err(|error| wrong(error.to_string()))?;
    let (_, length) = resampler
        .process_all_into_buffer(&input_adapter, &mut output_adapter, input.len(), None)
        .map_err(|error| wrong(error.to_string()))?;
    Ok(output.iter().take(length).map(|&sample| gain::clamp(sample)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone;

    #[test]
    fn a_tone_keeps_its_pitch_level_and_length() {
        for from_hz in [16_000u32, 22_050, 44_100, 48_000] {
            let step = 440.0 * std::f32::consts::TAU / from_hz as f32;
            let sound: Vec<i16> = (0..from_hz).map(|at| ((at as f32 * step).sin() * 10_000.0) as i16).collect();
            let resampled = to_8khz(&sound, from_hz).expect("a rate");
            assert!(resampled.len().abs_diff(8_000) <= 1, "{from_hz}: {}", resampled.len());
            let amplitude = tone::amplitude(&resampled[400..7_600], 440.0);
            assert!((amplitude - 10_000.0).abs() < 200.0, "{from_hz}: {amplitude}");
        }
    }

    #[test]
    fn a_tone_above_4_khz_is_filtered_out() {
        let sound: Vec<i16> = (0..48_000)
            .map(|at| ((at as f32 * 6_000.0 * std::f32::consts::TAU / 48_000.0).sin() * 10_000.0) as i16)
            .collect();
        let resampled = to_8khz(&sound, 48_000).expect("a rate");
        assert!(tone::loudness_db(&resampled[400..7_600]) < -60.0);
    }

    #[test]
    fn an_absurd_rate_is_refused() {
        assert!(to_8khz(&[1, 2, 3], 0).is_err());
        assert!(to_8khz(&[], 16_000).is_ok());
    }
}
