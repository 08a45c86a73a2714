//! Tones as voices: each party speaks its own frequency, and an ear names exactly those it hears (Goertzel).

use std::f64::consts::TAU;

/// Samples of one tenth of a second at 8 kHz: every tone has a whole number of periods in it, so no tone leaks into another's bin.
pub(crate) const WINDOW: usize = 800;
/// Peak of a spoken tone in 16-bit units (about -14 dBFS): five at once do not clip.
const PEAK: f64 = 6_400.0;

/// A party's voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    A,
    B,
    C,
    D,
    Supervisor,
}

impl Tone {
    pub(crate) const ALL: [Self; 5] = [Self::A, Self::B, Self::C, Self::D, Self::Supervisor];

    /// Multiples of 10 Hz, none a harmonic or a simple sum of others.
    pub(crate) fn hz(self) -> f64 {
        match self {
            Self::A => 440.0,
            Self::B => 650.0,
            Self::C => 930.0,
            Self::D => 1_370.0,
            Self::Supervisor => 1_790.0,
        }
    }

    /// Sample number `at` of this voice, with a faint noise that makes each packet unlike any other.
    pub(crate) fn sample(self, at: u64) -> i16 {
        let noise =
            (at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 57) as f64 - 64.0;
        let seconds = (at % 8_000) as f64 / 8_000.0;
        ((TAU * self.hz() * seconds).sin() * PEAK + noise) as i16
    }
}

/// What is to be heard.
pub(crate) type Sound = Vec<Tone>;

pub(crate) fn only(tone: Tone) -> Sound {
    vec![tone]
}

pub(crate) fn nothing() -> Sound {
    Vec::new()
}

impl std::ops::Add for Tone {
    type Output = Sound;

    fn add(self, other: Self) -> Sound {
        vec![self, other]
    }
}

/// The amplitude of `tone` in `samples`, 1.0 being a voice at its full strength.
pub(crate) fn strength(tone: Tone, samples: &[i16]) -> f64 {
    let step = TAU * tone.hz() / 8_000.0;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        real += f64::from(*sample) * (step * at as f64).cos();
        imaginary += f64::from(*sample) * (step * at as f64).sin();
    }
    2.0 * real.hypot(imaginary) / samples.len() as f64 / PEAK
}

/// The tones in the last window of `samples`: `Err` lists strengths when one is neither clearly there nor clearly absent.
pub(crate) fn heard(samples: &[i16]) -> Result<Sound, String> {
    let window = &samples[samples.len().saturating_sub(WINDOW)..];
    let mut sound = Vec::new();
    for tone in Tone::ALL {
        let strength = strength(tone, window);
        if strength > 0.5 {
            sound.push(tone);
        } else if strength > 0.03 {
            return Err(format!("{tone:?} at {strength:.3} is neither heard nor silent"));
        }
    }
    let loud = window.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    if sound.is_empty() && loud > 600 {
        return Err(format!("no tone, but noise up to {loud}"));
    }
    Ok(sound)
}

#[test]
fn an_ear_names_exactly_the_tones_that_sound() {
    let mixed: Vec<i16> = (0..800).map(|at| Tone::A.sample(at) + Tone::C.sample(at + 31)).collect();
    assert_eq!(heard(&mixed), Ok(vec![Tone::A, Tone::C]));
    assert_eq!(heard(&[0; 800]), Ok(nothing()));
    let faint: Vec<i16> = (0..800).map(|at| Tone::B.sample(at) / 8).collect();
    assert!(heard(&faint).is_err());
}
