//! What plays on a port: samples, tones or silence, packet by packet.
//! Above: `generator`. Below: `audio/tone`.

use std::sync::Arc;

use super::command::{PlayId, Source, ToneStep};
use crate::audio::frame::SAMPLES_PER_MS;
use crate::audio::tone::Oscillator;

/// A sound being played.
#[derive(Debug)]
pub(super) struct Player {
    /// Told when it is over.
    pub(super) id: PlayId,
    playing: Playing,
}

#[derive(Debug)]
enum Playing {
    Samples { samples: Arc<[i16]>, repeat: bool, at: usize },
    Tones { steps: Arc<[ToneStep]>, repeat: bool, at: usize, left: usize, oscillator: Oscillator },
    Silence,
}

/// Whether there is more to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on.
    Playing,
    /// The last sample was given.
    Finished,
}

impl Player {
    /// Begins to play; samples must be at 8 kHz.
    pub(super) fn new(id: PlayId, source: Source) -> Self {
        let playing = match source {
            Source::Samples { samples, repeat, .. } => Playing::Samples { samples, repeat, at: 0 },
            Source::Tones { steps, repeat } => {
                // Steps without length could be repeated forever within one packet.
                let repeat = repeat && steps.iter().any(|step| step.ms > 0);
                Playing::Tones { steps, repeat, at: 0, left: 0, oscillator: Oscillator::default() }
            }
            Source::Silence => Playing::Silence,
        };
        Self { id, playing }
    }

    /// Writes the next samples over `out`, silence after the end.
    pub(super) fn fill(&mut self, out: &mut [i16]) -> Progress {
        match &mut self.playing {
            Playing::Samples { samples, repeat, at } => fill_samples(samples, *repeat, at, out),
            Playing::Tones { steps, repeat, at, left, oscillator } => {
                let mut rest = out;
                while !rest.is_empty() {
                    if *left == 0 {
                        if *at == steps.len() && *repeat {
                            *at = 0;
                        }
                        let Some(step) = steps.get(*at) else {
                            rest.fill(0);
                            return Progress::Finished;
                        };
                        *left = step.ms as usize * SAMPLES_PER_MS as usize;
                        *oscillator = Oscillator::new(step.hz, step.level_db);
                        *at += 1;
                    }
                    let (now, later) = rest.split_at_mut((*left).min(rest.len()));
                    oscillator.fill(now);
                    *left -= now.len();
                    rest = later;
                }
                if *left == 0 && *at == steps.len() && !*repeat { Progress::Finished } else { Progress::Playing }
            }
            Playing::Silence => {
                out.fill(0);
                Progress::Playing
            }
        }
    }
}

fn fill_samples(samples: &[i16], repeat: bool, at: &mut usize, out: &mut [i16]) -> Progress {
    let mut rest = out;
    while !rest.is_empty() {
        if *at == samples.len() {
            if !repeat || samples.is_empty() {
                rest.fill(0);
                return Progress::Finished;
            }
            *at = 0;
        }
        let left = &samples[*at..];
        let (now, later) = rest.split_at_mut(left.len().min(rest.len()));
        now.copy_from_slice(&left[..now.len()]);
        *at += now.len();
        rest = later;
    }
    if *at == samples.len() && !repeat { Progress::Finished } else { Progress::Playing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tone;

    fn samples(samples: Vec<i16>, repeat: bool) -> Player {
        Player::new(PlayId(1), Source::Samples { rate_hz: 8_000, samples: samples.into(), repeat })
    }

    #[test]
    fn samples_end_in_silence_and_are_finished_with_the_last() {
        let mut player = samples((1..=240).collect(), false);
        let mut out = [9i16; 160];
        assert_eq!(player.fill(&mut out), Progress::Playing);
        assert_eq!((out[0], out[159]), (1, 160));
        assert_eq!(player.fill(&mut out), Progress::Finished);
        assert_eq!((out[0], out[79], out[80], out[159]), (161, 240, 0, 0));
        assert_eq!(samples(vec![], true).fill(&mut out), Progress::Finished);
        assert_eq!(samples(vec![1; 160], false).fill(&mut out), Progress::Finished);
    }

    #[test]
    fn repeated_samples_go_round_without_a_gap() {
        let mut player = samples(vec![1, 2, 3], true);
        let mut out = [0i16; 8];
        assert_eq!(player.fill(&mut out), Progress::Playing);
        assert_eq!(out, [1, 2, 3, 1, 2, 3, 1, 2]);
        assert_eq!(player.fill(&mut out), Progress::Playing);
        assert_eq!(out, [3, 1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn tones_follow_their_plan() {
        let steps = [
            ToneStep { hz: [440.0, 0.0], ms: 100, level_db: -10.0 },
            ToneStep { hz: [0.0, 0.0], ms: 50, level_db: 0.0 },
        ];
        let plan = |repeat| Player::new(PlayId(1), Source::Tones { steps: steps.into(), repeat });
        let mut out = [0i16; 1_200];
        assert_eq!(plan(false).fill(&mut out), Progress::Finished);
        assert!((tone::level_db(&out[..800], 440.0) + 10.0).abs() < 0.2);
        assert_eq!(out[800..], [0; 400]);
        let mut out = [0i16; 2_000];
        assert_eq!(plan(true).fill(&mut out), Progress::Playing);
        assert!((tone::level_db(&out[1_200..], 440.0) + 10.0).abs() < 0.2);
        let empty = ToneStep { hz: [440.0, 0.0], ms: 0, level_db: 0.0 };
        let mut nothing = Player::new(PlayId(1), Source::Tones { steps: [empty].into(), repeat: true });
        assert_eq!(nothing.fill(&mut out), Progress::Finished);
    }
}
