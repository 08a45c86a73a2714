//! The mixer's arithmetic: sum once, subtract one's own, clamp last.

use super::frame::FRAME_SAMPLES;

/// A sum of frames, wide enough for 65,536 voices.
pub type Total = [i32; FRAME_SAMPLES];

/// Adds samples to a sum, as many as both have.
pub fn add(total: &mut [i32], samples: &[i16]) {
    for (sum, &sample) in total.iter_mut().zip(samples) {
        *sum += i32::from(sample);
    }
}

/// What one party of several hears: the sum without its own voice.
pub fn minus_own(total: &[i32], own: &[i16], out: &mut [i16]) {
    for ((out, &sum), &own) in out.iter_mut().zip(total).zip(own) {
        *out = clamp(sum - i32::from(own));
    }
}

/// Clamps a sum to samples.
pub fn clamp_into(total: &[i32], out: &mut [i16]) {
    for (out, &sum) in out.iter_mut().zip(total) {
        *out = clamp(sum);
    }
}

fn clamp(sum: i32) -> i16 {
    sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_voice_is_taken_out_before_clamping() {
        let voices = [[30_000i16; 4], [30_000; 4], [-20_000; 4]];
        let mut total = [0i32; 4];
        for voice in &voices {
            add(&mut total, voice);
        }
        let mut heard = [0i16; 4];
        minus_own(&total, &voices[0], &mut heard);
        assert_eq!(heard, [10_000; 4]);
        minus_own(&total, &voices[2], &mut heard);
        assert_eq!(heard, [i16::MAX; 4]);
        clamp_into(&total, &mut heard);
        assert_eq!(heard, [i16::MAX; 4]);
    }
}
