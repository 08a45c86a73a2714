//! How loud a side is, for the status line. Above: `screen`, `session`. Pure.

/// Softer than this is silence: what an idle line sends, not speech. dB below full scale.
pub const SILENCE_DB: f32 = -60.0;

/// One side's level: the loudest of the last frames.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The last tenth of a second, one level a frame.
    recent_db: [f32; 5],
    next: usize,
    /// Frames taken since the meter was made or last marked.
    frames: u32,
    loudest_db: f32,
}

impl Default for Meter {
    fn default() -> Self {
        Self { recent_db: [f32::NEG_INFINITY; 5], next: 0, frames: 0, loudest_db: f32::NEG_INFINITY }
    }
}

impl Meter {
    /// Takes a frame.
    pub fn push(&mut self, frame: &[i16]) {
        let level_db = rms_db(frame);
        if let Some(place) = self.recent_db.get_mut(self.next) {
            *place = level_db;
        }
        self.next = (self.next + 1) % self.recent_db.len();
        self.frames = self.frames.saturating_add(1);
        self.loudest_db = self.loudest_db.max(level_db);
    }

    /// Starts a new stretch for [`Meter::loudest_db`] and [`Meter::frames`].
    pub fn mark(&mut self) {
        (self.frames, self.loudest_db) = (0, f32::NEG_INFINITY);
    }

    /// The level now, dB below full scale; −∞ is digital silence.
    pub fn level_db(&self) -> f32 {
        self.recent_db.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    /// The loudest frame since the last mark, dB below full scale.
    pub fn loudest_db(&self) -> f32 {
        self.loudest_db
    }

    /// Frames since the last mark.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// The level now as so many characters: `####....`, full at 0 dB, empty at [`SILENCE_DB`].
    pub fn bar(&self, width: usize) -> String {
        let share = ((self.level_db() - SILENCE_DB) / -SILENCE_DB).clamp(0.0, 1.0);
        let full = (share * width as f32).ceil() as usize;
        (0..width).map(|at| if at < full { '#' } else { '.' }).collect()
    }
}

/// The level of some samples, dB below full scale.
fn rms_db(samples: &[i16]) -> f32 {
    let power: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    let rms = (power / samples.len().max(1) as f64).sqrt();
    (20.0 * (rms / 32_768.0).log10()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_meter_is_empty() {
        assert_eq!(Meter::default().bar(6), "......");
        assert_eq!(Meter::default().level_db(), f32::NEG_INFINITY);
    }

    #[test]
    fn half_of_full_scale_is_six_decibels_down() {
        let mut meter = Meter::default();
        meter.push(&[16_384; 160]);
        assert!((meter.level_db() + 6.02).abs() < 0.01);
        assert_eq!(meter.bar(10), "#########.");
    }

    #[test]
    fn the_softest_codes_of_a_telephone_line_are_silence() {
        let mut meter = Meter::default();
        meter.push(&[8; 160]);
        assert!(meter.level_db() < SILENCE_DB);
        assert_eq!(meter.bar(8), "........");
    }

    #[test]
    fn a_level_falls_after_a_tenth_of_a_second_but_the_loudest_is_kept() {
        let mut meter = Meter::default();
        meter.push(&[10_000; 160]);
        for _ in 0..5 {
            meter.push(&[0; 160]);
        }
        assert_eq!(meter.level_db(), f32::NEG_INFINITY);
        assert!(meter.loudest_db() > -11.0);
        assert_eq!(meter.frames(), 6);
        meter.mark();
        assert_eq!((meter.loudest_db(), meter.frames()), (f32::NEG_INFINITY, 0));
    }
}
