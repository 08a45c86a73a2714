//! What is heard, as numbers: frames of both sides, the listener's volume, the mix. Above: `session`. Pure.

use crate::control::supervision::{FRAME_SAMPLES, HeardFrame};

/// The rate of the control socket's audio, samples a second.
pub const RATE_HZ: u32 = 8_000;

/// One frame of what the supervisor hears, the sides apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// The party that called.
    pub a: [i16; FRAME_SAMPLES],
    /// The party that answered.
    pub b: [i16; FRAME_SAMPLES],
    /// Other supervisors, as far as a party hears them.
    pub others: [i16; FRAME_SAMPLES],
    /// The listener's volume as a factor; recordings ignore it.
    pub gain: f32,
}

impl Heard {
    /// A frame from the control socket.
    pub fn new(samples: &HeardFrame, volume: Volume) -> Self {
        let mut parts = [[0; FRAME_SAMPLES]; 3];
        for (to, from) in parts.as_flattened_mut().iter_mut().zip(samples) {
            *to = *from;
        }
        let [a, b, others] = parts;
        Self { a, b, others, gain: volume.factor() }
    }

    /// Both sides as loud as the listener wants them, A first, not yet clamped.
    pub fn sides(&self) -> impl Iterator<Item = (f32, f32)> {
        self.a.iter().zip(&self.b).map(|(&a, &b)| (f32::from(a) * self.gain, f32::from(b) * self.gain))
    }

    /// Both sides and the other supervisors in one, not yet clamped.
    pub fn mixed(&self) -> impl Iterator<Item = f32> {
        self.sides().zip(&self.others).map(|((a, b), &other)| a + b + f32::from(other) * self.gain)
    }
}

/// To a 16-bit sample; what is too loud is cut here and only here.
pub fn clamp(sample: f32) -> i16 {
    // `as` from float saturates, and NaN is 0.
    sample.round() as i16
}

/// The listener's volume, −4 to 4 in steps of 3 dB; 0 leaves the sound as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume(i8);

impl Volume {
    /// The loudest step; its negative is the softest.
    pub const MOST: i8 = 4;

    /// That step, or the nearest there is.
    pub fn new(step: i8) -> Self {
        Self(step.clamp(-Self::MOST, Self::MOST))
    }

    /// One step up, where there is one.
    pub fn louder(self) -> Self {
        Self::new(self.0 + 1)
    }

    /// One step down, where there is one.
    pub fn softer(self) -> Self {
        Self::new(self.0 - 1)
    }

    /// −4 to 4.
    pub fn step(self) -> i8 {
        self.0
    }

    fn factor(self) -> f32 {
        if self.0 == 0 { 1.0 } else { 10f32.powf(f32::from(self.0) * 3.0 / 20.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(a: i16, b: i16, step: i8) -> Heard {
        let mut samples = [0; 3 * FRAME_SAMPLES];
        samples[..FRAME_SAMPLES].fill(a);
        samples[FRAME_SAMPLES..2 * FRAME_SAMPLES].fill(b);
        Heard::new(&samples, Volume::new(step))
    }

    #[test]
    fn the_first_half_of_a_frame_is_a_and_the_second_b() {
        let frame = heard(5, -7, 0);
        assert_eq!((frame.a, frame.b), ([5; FRAME_SAMPLES], [-7; FRAME_SAMPLES]));
    }

    #[test]
    fn the_mix_is_clamped_only_after_the_sum() {
        assert!(heard(30_000, 30_000, 0).mixed().all(|sample| clamp(sample) == i16::MAX));
        assert!(heard(-30_000, -30_000, 0).mixed().all(|sample| clamp(sample) == i16::MIN));
        assert!(heard(30_000, -30_000, 4).mixed().all(|sample| clamp(sample) == 0), "no side was cut on its own");
    }

    #[test]
    fn other_supervisors_are_in_the_mix_and_on_no_side() {
        let mut samples = [1_000; 3 * FRAME_SAMPLES];
        samples[2 * FRAME_SAMPLES..].fill(500);
        let frame = Heard::new(&samples, Volume::default());
        assert!(frame.mixed().all(|sample| clamp(sample) == 2_500));
        assert!(frame.sides().all(|(a, b)| (clamp(a), clamp(b)) == (1_000, 1_000)));
    }

    #[test]
    fn volume_nought_changes_no_sample() {
        assert!(heard(12_345, -1, 0).sides().all(|(a, b)| (clamp(a), clamp(b)) == (12_345, -1)));
    }

    #[test]
    fn a_step_of_volume_is_three_decibels() {
        let loud: f32 = heard(1_000, 0, 1).mixed().next().expect("a sample");
        let soft: f32 = heard(1_000, 0, -4).mixed().next().expect("a sample");
        assert!((loud - 1_412.5).abs() < 1.0, "{loud}");
        assert!((soft - 251.2).abs() < 1.0, "{soft}");
    }

    #[test]
    fn volume_stops_at_its_ends() {
        assert_eq!(Volume::new(4).louder().step(), 4);
        assert_eq!(Volume::new(-4).softer().step(), -4);
        assert_eq!(Volume::new(100).step(), 4);
    }
}
