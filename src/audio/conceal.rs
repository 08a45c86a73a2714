//! Fills holes in received speech by repeating its last pitch period, fading to silence (after the idea of G.711 Appendix I).
//! Above: `media/tap`, which hands over what was heard and asks for what was lost. No allocation.

/// Samples remembered: three periods of the lowest pitch.
const HISTORY: usize = 360;
/// Shortest and longest pitch period looked for: 5 ms is 200 Hz, 15 ms is 66 Hz.
const PERIODS: std::ops::RangeInclusive<usize> = 40..=120;
/// Samples compared when the pitch is looked for: 20 ms.
const WINDOW: usize = 160;
/// Length of the fade: full for the first 10 ms, then down to nothing at 60 ms.
const FULL_SAMPLES: usize = 80;
const FADE_SAMPLES: usize = 400;
/// Samples over which repeated speech flows into the real one: 4 ms.
const BLEND: usize = 32;

/// What it takes to conceal one stream of samples.
#[derive(Clone, Debug)]
pub struct Conceal {
    history: [i16; HISTORY],
    /// Samples concealed since the last real one.
    lost: usize,
    /// The pitch period of this hole.
    period: usize,
}

impl Default for Conceal {
    fn default() -> Self {
        Self { history: [0; HISTORY], lost: 0, period: *PERIODS.end() }
    }
}

impl Conceal {
    /// Takes received samples; the first ones after a hole are blended with its end, in place.
    pub fn heard(&mut self, samples: &mut [i16]) {
        if self.lost > 0 && self.lost < FULL_SAMPLES + FADE_SAMPLES {
            let blend = BLEND.min(samples.len());
            for (at, sample) in samples.iter_mut().take(blend).enumerate() {
                let old = i32::from(self.repeated()) * (blend - at) as i32;
                *sample = ((i32::from(*sample) * at as i32 + old) / blend as i32) as i16;
            }
        }
        self.lost = 0;
        self.remember(samples);
    }

    /// Fills `out` with what might have been heard; silence when the hole is longer than 60 ms.
    pub fn fill(&mut self, out: &mut [i16]) {
        if self.lost == 0 {
            self.period = self.pitch();
        }
        for sample in out {
            *sample = self.repeated();
        }
    }

    /// Forgets everything: silence follows.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether the hole has lasted so long that only silence comes.
    pub fn is_silent(&self) -> bool {
        self.lost >= FULL_SAMPLES + FADE_SAMPLES
    }

    fn repeated(&mut self) -> i16 {
        let faded = self.lost.saturating_sub(FULL_SAMPLES);
        let left = FADE_SAMPLES.saturating_sub(faded) as i32;
        let sample = self.history[HISTORY - self.period + self.lost % self.period];
        self.lost = self.lost.saturating_add(1);
        (i32::from(sample) * left / FADE_SAMPLES as i32) as i16
    }

    fn remember(&mut self, samples: &[i16]) {
        let kept = &samples[samples.len().saturating_sub(HISTORY)..];
        self.history.copy_within(kept.len().., 0);
        self.history[HISTORY - kept.len()..].copy_from_slice(kept);
    }

    /// The period at which the end of the history repeats best.
    fn pitch(&self) -> usize {
        let recent = &self.history[HISTORY - WINDOW..];
        let score = |period: &usize| -> i64 {
            let earlier = &self.history[HISTORY - WINDOW - period..HISTORY - period];
            let (mut alike, mut energy) = (0i64, 1i64);
            for (&a, &b) in recent.iter().zip(earlier) {
                alike += i64::from(a) * i64::from(b);
                energy += i64::from(b) * i64::from(b);
            }
            // Normalised, but without a root: the sign is kept and the scale is enough for a comparison.
            alike.signum() * ((alike.unsigned_abs() >> 8).pow(2) / (energy.unsigned_abs() >> 8).max(1)) as i64
        };
        PERIODS.max_by_key(score).unwrap_or(*PERIODS.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone;

    #[test]
    fn a_lost_frame_of_a_tone_still_sounds_like_it() {
        let mut oscillator = tone::Oscillator::new([200.0, 0.0], -10.0);
        let mut conceal = Conceal::default();
        let mut frame = [0i16; 160];
        for _ in 0..4 {
            oscillator.fill(&mut frame);
            conceal.heard(&mut frame);
        }
        let last = frame[159];
        let mut hole = [0i16; 160];
        conceal.fill(&mut hole);
        assert!(tone::level_db(&hole, 200.0) > -13.0, "{}", tone::level_db(&hole, 200.0));
        assert!((i32::from(hole[0]) - i32::from(last)).abs() < 2_500, "no click: {last} then {}", hole[0]);
    }

    #[test]
    fn a_long_hole_ends_in_silence() {
        let mut conceal = Conceal::default();
        let mut frame = [9_000i16; 160];
        conceal.heard(&mut frame);
        let mut hole = [1i16; 800];
        conceal.fill(&mut hole);
        assert!(hole[..80].iter().all(|&sample| sample == 9_000));
        assert!(hole[480..].iter().all(|&sample| sample == 0));
        assert!(conceal.is_silent());
    }

    #[test]
    fn speech_after_a_short_hole_comes_in_softly_and_after_a_long_one_at_once() {
        let mut conceal = Conceal::default();
        conceal.heard(&mut [1_000i16; 360]);
        conceal.fill(&mut [0i16; 40]);
        let mut frame = [5_000i16; 160];
        conceal.heard(&mut frame);
        assert!(frame[0] < 1_100 && frame[31] > 4_000 && frame[32] == 5_000);
        conceal.fill(&mut [0i16; 800]);
        let mut frame = [5_000i16; 160];
        conceal.heard(&mut frame);
        assert_eq!(frame, [5_000; 160]);
    }
}
