//! Finds the tones of keys in speech (ITU-T Q.24), early enough to take them out of it. Above: `media/guard`. Below: `dtmf`.
//!
//! Every 5 ms the last 12.75 ms are judged: two tones, a low and a high one, that are nearly all there is, are a key's. So a tone is
//! found at the latest [`FOUND_WITHIN`] samples after it began, whatever sounded before. No allocation.

use super::dtmf;
use super::frame::RATE_HZ;

/// Samples judged at a time: 12.75 ms, in which no two tones of a keypad can be taken for each other.
const WINDOW: usize = 102;
/// Samples from one judgement to the next.
const HOP: usize = 40;
/// Samples after which a tone that began has been found.
pub const FOUND_WITHIN: usize = WINDOW + HOP;
/// Share of the sound that the two tones must be: a tone 1.5 % off its place is still one.
const SHARE: f32 = 0.72;
/// How much stronger one of the two may be: 10 dB.
const TWIST: f32 = 10.0;
/// Mean square of the softest sound that is judged: −46 dB relative to a full-scale sine.
const SOFTEST: f32 = 13_500.0;
/// Judgements that make a press: 32.75 ms.
const PRESSED_HOPS: u32 = 5;
/// Judgements without the tone after which the key was let go: 20 ms.
const LET_GO_HOPS: u32 = 4;

/// A key that was pressed and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub key: char,
    /// How long it sounded, in ms.
    pub ms: u32,
}

/// Listens to one stream of samples at 8 kHz.
#[derive(Debug)]
pub struct Detector {
    /// The last samples, and how many of them there are.
    recent: [i16; WINDOW],
    filled: usize,
    /// Twice the cosine of each tone's step: four low ones, four high ones.
    coefficients: [f32; 8],
    down: Option<Down>,
}

/// A key that sounds.
#[derive(Clone, Copy, Debug)]
struct Down {
    key: char,
    hops: u32,
    /// Judgements since it was last found.
    without: u32,
}

impl Default for Detector {
    fn default() -> Self {
        let coefficient = |hz: f32| 2.0 * (hz * std::f32::consts::TAU / RATE_HZ as f32).cos();
        let [low, high] = [dtmf::ROWS_HZ, dtmf::COLUMNS_HZ].map(|tones| tones.map(coefficient));
        let mut coefficients = [0.0; 8];
        coefficients[..4].copy_from_slice(&low);
        coefficients[4..].copy_from_slice(&high);
        Self { recent: [0; WINDOW], filled: 0, coefficients, down: None }
    }
}

impl Detector {
    /// Takes the next samples. `found` is told of each place among them (samples from the first) just before which a key sounds.
    /// Gives back a key that was let go; of two within one packet, the last.
    pub fn take(&mut self, samples: &[i16], mut found: impl FnMut(usize)) -> Option<Pressed> {
        let mut pressed = None;
        for (at, &sample) in samples.iter().enumerate() {
            self.recent[self.filled] = sample;
            self.filled += 1;
            if self.filled < WINDOW {
                continue;
            }
            let key = self.judge();
            if key.is_some() {
                found(at + 1);
            }
            pressed = self.note(key).or(pressed);
            self.recent.copy_within(HOP.., 0);
            self.filled = WINDOW - HOP;
        }
        pressed
    }

    /// What comes next does not follow on what came before.
    pub fn interrupt(&mut self) {
        self.filled = 0;
    }

    /// The stream has ended, for now: a key that sounded to the end was let go.
    pub fn end(&mut self) -> Option<Pressed> {
        self.interrupt();
        self.down.take().and_then(Down::pressed)
    }

    /// Whether a key sounds, or did so a moment ago.
    pub fn is_down(&self) -> bool {
        self.down.is_some()
    }

    /// The key whose tones are the sound of the window (Goertzel, all eight at once).
    fn judge(&self) -> Option<char> {
        let (mut last, mut before) = ([0f32; 8], [0f32; 8]);
        let mut energy = 0f32;
        for &sample in &self.recent {
            let sample = f32::from(sample);
            energy += sample * sample;
            for at in 0..8 {
                let next = sample + self.coefficients[at] * last[at] - before[at];
                (before[at], last[at]) = (last[at], next);
            }
        }
        if energy < SOFTEST * WINDOW as f32 {
            return None;
        }
        let power =
            |at: usize| last[at] * last[at] + before[at] * before[at] - self.coefficients[at] * last[at] * before[at];
        let strongest = |from: usize| {
            let tones = (from..from + 4).map(|at| (at - from, power(at)));
            tones.fold((0, 0f32), |best, tone| if tone.1 > best.1 { tone } else { best })
        };
        let ((row, low), (column, high)) = (strongest(0), strongest(4));
        let share = (low + high) * 2.0 / WINDOW as f32 / energy;
        let is_key = share >= SHARE && low <= high * TWIST && high <= low * TWIST;
        is_key.then(|| dtmf::PAD[row][column])
    }

    fn note(&mut self, key: Option<char>) -> Option<Pressed> {
        match (&mut self.down, key) {
            (Some(down), Some(key)) if down.key == key => {
                down.hops += down.without + 1;
                down.without = 0;
                None
            }
            (down, Some(key)) => down.replace(Down { key, hops: 1, without: 0 }).and_then(Down::pressed),
            (Some(down), None) => {
                down.without += 1;
                if down.without < LET_GO_HOPS { None } else { self.down.take().and_then(Down::pressed) }
            }
            (None, None) => None,
        }
    }
}

impl Down {
    fn pressed(self) -> Option<Pressed> {
        let samples = WINDOW + HOP * (self.hops as usize - 1); // one at least
        (self.hops >= PRESSED_HOPS).then(|| Pressed { key: self.key, ms: samples as u32 * 1_000 / RATE_HZ })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone::Oscillator;
    use proptest::prelude::*;

    fn tones(hz: [f32; 2], samples: usize, level_db: f32) -> Vec<i16> {
        let mut sound = vec![0; samples];
        Oscillator::new(hz, level_db).fill(&mut sound);
        sound
    }

    fn presses(sound: &[i16]) -> Vec<Pressed> {
        let mut detector = Detector::default();
        let mut presses: Vec<Pressed> = sound.chunks(160).filter_map(|packet| detector.take(packet, |_| {})).collect();
        presses.extend(detector.end());
        presses
    }

    /// A vowel: pulses of a voice through three resonances.
    fn vowel(formants_hz: [f32; 3], pitch: usize, samples: usize) -> Vec<i16> {
        let mut sound: Vec<f32> = (0..samples).map(|at| if at % pitch == 0 { 9_000.0 } else { 0.0 }).collect();
        for hz in formants_hz {
            let (angle, radius) = (hz * std::f32::consts::TAU / 8_000.0, 0.97f32);
            let (mut one, mut two) = (0.0, 0.0);
            for sample in &mut sound {
                let next = (1.0 - radius) * *sample + 2.0 * radius * angle.cos() * one - radius * radius * two;
                (two, one) = (one, next);
                *sample = next;
            }
        }
        let loudest = sound.iter().fold(1f32, |most, sample| most.max(sample.abs()));
        sound.iter().map(|sample| (sample / loudest * 12_000.0) as i16).collect()
    }

    #[test]
    fn every_key_is_told_once_with_its_length() {
        for key in "0123456789*#ABCD".chars() {
            let hz = dtmf::tones_of(key).expect("a key");
            let sound = [vec![0; 800], tones(hz, 800, -12.0), vec![0; 800]].concat();
            let found = presses(&sound);
            assert!(matches!(found[..], [Pressed { key: found, ms: 95..=115 }] if found == key), "{key}: {found:?}");
        }
    }

    #[test]
    fn short_keys_soft_keys_and_keys_off_their_place_are_told() {
        let [low, high] = dtmf::tones_of('9').expect("a key");
        for (hz, samples, level_db) in
            [([low, high], 320, -12.0), ([low, high], 400, -36.0), ([low * 1.015, high * 0.985], 400, -12.0)]
        {
            let sound = [vec![0; 333], tones(hz, samples, level_db), vec![0; 800]].concat();
            assert!(matches!(presses(&sound)[..], [Pressed { key: '9', .. }]), "{hz:?} {samples} {level_db}");
        }
        let twice = [tones([low, high], 400, -12.0), vec![0; 320], tones([low, high], 400, -12.0)].concat();
        assert_eq!(presses(&twice).len(), 2);
    }

    #[test]
    fn a_tone_is_found_before_its_time_whatever_sounds_before_it() {
        let hz = dtmf::tones_of('5').expect("a key");
        let before = [vowel([730.0, 1_090.0, 2_440.0], 70, 1_000), tones([440.0, 0.0], 1_000, -6.0), vec![0; 1_000]];
        for before in before {
            for begin in 800..900 {
                let sound = [&before[..begin], &tones(hz, 400, -15.0)].concat();
                let mut detector = Detector::default();
                let mut first = None;
                detector.take(&sound, |at| {
                    if at > begin {
                        first.get_or_insert(at);
                    }
                });
                let first = first.expect("found");
                assert!(first - begin <= FOUND_WITHIN, "{} samples after it began", first - begin);
            }
        }
    }

    #[test]
    fn vowels_single_tones_and_noise_are_no_keys() {
        let vowels = [
            [730.0, 1_090.0, 2_440.0],
            [660.0, 1_720.0, 2_410.0],
            [520.0, 1_190.0, 2_390.0],
            [640.0, 1_190.0, 2_390.0],
            [860.0, 1_400.0, 2_800.0],
            [760.0, 1_400.0, 2_780.0],
        ];
        for formants_hz in vowels {
            for pitch in [36, 50, 64, 80, 100] {
                let sound = vowel(formants_hz, pitch, 8_000);
                assert_eq!(presses(&sound), [], "{formants_hz:?} at {} Hz", 8_000 / pitch);
                let mut found = 0;
                Detector::default().take(&sound, |_| found += 1);
                assert!(found <= 4, "{formants_hz:?} at {} Hz: {found} of 200 moments", 8_000 / pitch);
            }
        }
        for hz in [[697.0, 0.0], [0.0, 1_336.0], [440.0, 480.0], [350.0, 440.0], [480.0, 620.0]] {
            assert_eq!(presses(&tones(hz, 8_000, -10.0)), [], "{hz:?}");
        }
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 18) as i16 - 8_192
        };
        assert_eq!(presses(&(0..80_000).map(|_| noise()).collect::<Vec<_>>()), []);
    }

    proptest! {
        #[test]
        fn any_samples_in_any_pieces_are_taken(sound in prop::collection::vec(any::<i16>(), 0..2_000), piece in 1usize..700) {
            let mut detector = Detector::default();
            for piece in sound.chunks(piece) {
                detector.take(piece, |at| assert!(at <= piece.len()));
            }
            detector.end();
        }
    }
}
