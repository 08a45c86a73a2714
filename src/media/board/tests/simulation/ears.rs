//! Voices that cannot be mistaken for each other, even when one begins or ends within a frame, and ears that name them.

use std::f32::consts::TAU;
use std::sync::OnceLock;

use crate::audio::frame::{FRAME_SAMPLES, Frame};

/// Supervisors at most.
pub(super) const SUPERVISORS: usize = 3;
/// Voices: four parties, the supervisors, the music.
pub(super) const VOICES: usize = 4 + SUPERVISORS + 1;
/// The music's.
pub(super) const MUSIC: usize = VOICES - 1;
/// Peak of a voice; five at once do not clip.
const PEAK: f32 = 3_000.0;
/// A voice above this part of its peak was heard, in whatever way. A voice cut within a frame leaks less than a twentieth into
/// each of the others, since they are seven waves a frame apart.
pub(super) const HEARD: f32 = 0.2;

/// How strong each voice was, 1 being as it is spoken.
pub(super) type Strengths = [f32; VOICES];

/// 20 ms of each voice: a whole number of waves, so that it goes on without a seam.
fn waves() -> &'static [[(f32, f32); FRAME_SAMPLES]; VOICES] {
    static WAVES: OnceLock<[[(f32, f32); FRAME_SAMPLES]; VOICES]> = OnceLock::new();
    WAVES.get_or_init(|| {
        std::array::from_fn(|voice| {
            let step = TAU * 7.0 * (voice + 1) as f32 / FRAME_SAMPLES as f32;
            std::array::from_fn(|at| (step * at as f32).sin_cos())
        })
    })
}

/// 20 ms of a voice, with a faint noise of its own for each `nth` of them.
pub(super) fn frame_of(voice: usize, nth: u64) -> Frame {
    let mut noise = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::array::from_fn(|at| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (waves()[voice][at].0 * PEAK) as i16 + (noise >> 59) as i16
    })
}

/// Which voices are in 20 ms of sound.
pub(super) fn voices(samples: &[i16]) -> Strengths {
    std::array::from_fn(|voice| {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (sample, wave) in samples.iter().zip(&waves()[voice]) {
            sine += f32::from(*sample) * wave.0;
            cosine += f32::from(*sample) * wave.1;
        }
        2.0 * sine.hypot(cosine) / FRAME_SAMPLES as f32 / PEAK
    })
}

#[test]
fn a_voice_cut_anywhere_is_not_taken_for_another() {
    for (voice, cut) in (0..VOICES).flat_map(|voice| (0..FRAME_SAMPLES).map(move |cut| (voice, cut))) {
        let mut samples = frame_of(voice, 3);
        samples[..cut].fill(0);
        let heard = voices(&samples);
        assert!((0..VOICES).all(|other| other == voice || heard[other] < HEARD / 3.0), "{voice} at {cut}: {heard:?}");
    }
    assert!((voices(&frame_of(2, 9))[2] - 1.0).abs() < 0.05);
}
