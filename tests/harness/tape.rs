//! A recording's file, read by the letter of the RIFF form: what each track sounds like, and when.

use std::path::Path;

use super::tone::{self, Sound, Tone};

/// Samples a second that tones are looked for in.
const RATE: usize = 8_000;
/// Samples of 20 ms of those.
const PIECE: usize = 160;

/// A WAV file of 16 bit samples.
pub(crate) struct Tape {
    /// One for each channel.
    pub(crate) tracks: Vec<Vec<i16>>,
    pub(crate) rate_hz: usize,
}

impl Tape {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
        assert_eq!((&bytes[..4], &bytes[8..12]), (&b"RIFF"[..], &b"WAVE"[..]), "{}", path.display());
        assert_eq!(word(4) + 8, bytes.len(), "the size in the header is that of the file");
        let (mut at, mut channels, mut rate_hz) = (12, 0, 0);
        while &bytes[at..at + 4] != b"data" {
            if &bytes[at..at + 4] == b"fmt " {
                assert_eq!((half(at + 8), half(at + 22)), (1, 16), "PCM, 16 bit");
                rate_hz = word(at + 12);
                assert!([8_000, 16_000, 48_000].contains(&rate_hz), "{rate_hz} Hz");
                channels = usize::from(half(at + 10));
            }
            at += 8 + word(at + 4);
        }
        let sound = &bytes[at + 8..at + 8 + word(at + 4)];
        let mut tracks = vec![Vec::new(); channels];
        for frame in sound.chunks_exact(2 * channels) {
            for (track, sample) in tracks.iter_mut().zip(frame.chunks_exact(2)) {
                track.push(i16::from_le_bytes([sample[0], sample[1]]));
            }
        }
        Self { tracks, rate_hz }
    }

    pub(crate) fn ms(&self) -> usize {
        self.tracks[0].len() * 1_000 / self.rate_hz
    }

    /// Tenths of a second in which a track sounds like this.
    pub(crate) fn tenths(&self, track: usize, sound: &Sound) -> Vec<usize> {
        // Voices are far below what every second or sixth sample can carry; what is above comes to lie between them.
        let samples: Vec<i16> = self.tracks[track].iter().step_by(self.rate_hz / RATE).copied().collect();
        let windows = samples.chunks_exact(tone::WINDOW).enumerate();
        windows.filter(|(_, window)| sound_of(window).as_ref() == Some(sound)).map(|(at, _)| at).collect()
    }

    /// Tenths of a second in which a track has a tone that is no voice, at −30 dB or more, heard in pieces of 10 ms: what follows a
    /// clock is a little higher or lower.
    pub(crate) fn tenths_with(&self, track: usize, hz: f64) -> Vec<usize> {
        let step = std::f64::consts::TAU * hz / self.rate_hz as f64;
        let amplitude = |piece: &[i16]| {
            let sum = |wave: fn(f64) -> f64| -> f64 {
                piece.iter().enumerate().map(|(at, sample)| f64::from(*sample) * wave(step * at as f64)).sum()
            };
            2.0 * sum(f64::sin).hypot(sum(f64::cos)) / piece.len() as f64
        };
        let is_there =
            |window: &[i16]| window.chunks_exact(self.rate_hz / 100).map(amplitude).sum::<f64>() / 10.0 > 1_000.0;
        let windows = self.tracks[track].chunks_exact(self.rate_hz / 10).enumerate();
        windows.filter(|(_, window)| is_there(window)).map(|(at, _)| at).collect()
    }

    /// How many of them.
    pub(crate) fn has(&self, track: usize, sound: &Sound) -> usize {
        self.tenths(track, sound).len()
    }
}

/// What a tenth of a second sounds like, heard in pieces of 20 ms: a recorder lets sound be a little longer or shorter where it
/// follows a clock, which spreads a tone over a longer piece.
pub(crate) fn sound_of(window: &[i16]) -> Option<Sound> {
    let mut sound = Vec::new();
    for tone in Tone::ALL {
        let pieces = window.chunks_exact(PIECE).map(|piece| tone::strength(tone, piece));
        match pieces.sum::<f64>() * PIECE as f64 / window.len() as f64 {
            strong if strong > 0.5 => sound.push(tone),
            faint if faint < 0.2 => {}
            _ => return None,
        }
    }
    Some(sound)
}
