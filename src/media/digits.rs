//! A row of keys pressed towards a port's peer: presses, gaps and pauses in their time.
//! Above: `generator`. Below: `rtp/telephone_event` (events), `audio/tone` (where events were not negotiated).

use super::command::PlayId;
use super::outgoing::EventPart;
use crate::audio::dtmf;
use crate::audio::frame::SAMPLES_PER_MS;
use crate::audio::tone::Oscillator;
use crate::rtp::telephone_event::{Payload, Sender};

/// Level of each tone of a key, in dB relative to full scale.
const TONE_DB: f32 = -12.0;

/// The row and where it stands.
#[derive(Debug)]
pub(super) struct Digits {
    /// Told when the row is over.
    pub(super) id: PlayId,
    keys: Box<[char]>,
    next: usize,
    tone_ms: u32,
    gap_ms: u32,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Event { sender: Sender, part: EventPart },
    Tone { oscillator: Oscillator, left: u32 },
    Pause { left: u32 },
}

/// What the next packet carries.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// A telephone-event.
    Event(Payload, EventPart),
    /// Sound that was written to the buffer: a key's tones.
    Tone,
    /// Nothing of the row: whatever plays goes on.
    Pause,
    /// Nothing any more.
    Over,
}

impl Digits {
    /// A row of keys; those that are none are skipped.
    pub(super) fn new(id: PlayId, keys: &str, tone_ms: u32, gap_ms: u32) -> Self {
        let keys = keys.chars().filter(|&key| matches!(key, 'w' | 'W') || dtmf::event_of(key).is_some()).collect();
        let (tone_ms, gap_ms) = (tone_ms.clamp(40, 8_000), gap_ms.clamp(20, 60_000));
        Self { id, keys, next: 0, tone_ms, gap_ms, step: Step::Pause { left: 0 } }
    }

    /// Whether a key is down, so that nothing else may sound.
    pub(super) fn is_pressing(&self) -> bool {
        !matches!(self.step, Step::Pause { .. })
    }

    /// The next packet, of `out`'s length; `events` says whether the peer takes telephone-events.
    pub(super) fn next(&mut self, events: Means, out: &mut [i16]) -> Part {
        let samples = u32::try_from(out.len()).unwrap_or(u32::MAX);
        loop {
            match &mut self.step {
                Step::Event { sender, part } => {
                    if let Some(payload) = sender.next(u16::try_from(samples).unwrap_or(u16::MAX)) {
                        return Part::Event(payload, std::mem::replace(part, EventPart::Later));
                    }
                }
                Step::Tone { oscillator, left } if *left > 0 => {
                    oscillator.fill(out);
                    *left = left.saturating_sub(samples);
                    return Part::Tone;
                }
                Step::Pause { left } if *left > 0 => {
                    *left = left.saturating_sub(samples);
                    return Part::Pause;
                }
                Step::Tone { .. } | Step::Pause { .. } => {}
            }
            if self.is_pressing() {
                self.step = Step::Pause { left: self.gap_ms * SAMPLES_PER_MS };
                continue;
            }
            let Some(&key) = self.keys.get(self.next) else { return Part::Over };
            self.next += 1;
            self.step = self.press(key, events);
        }
    }

    fn press(&self, key: char, means: Means) -> Step {
        match key {
            'w' => return Step::Pause { left: 500 * SAMPLES_PER_MS },
            'W' => return Step::Pause { left: 1_000 * SAMPLES_PER_MS },
            _ => {}
        }
        match (means, Sender::new(key, self.tone_ms), dtmf::tones_of(key)) {
            (Means::Events, Some(sender), _) => Step::Event { sender, part: EventPart::First },
            (Means::Tones, _, Some(hz)) => {
                Step::Tone { oscillator: Oscillator::new(hz, TONE_DB), left: self.tone_ms * SAMPLES_PER_MS }
            }
            _ => Step::Pause { left: 0 },
        }
    }
}

/// How keys reach the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// As telephone-events.
    Events,
    /// As tones in the sound.
    Tones,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(digits: &mut Digits, means: Means) -> String {
        let mut out = [0i16; 160];
        let mut row = String::new();
        loop {
            row.push(match digits.next(means, &mut out) {
                Part::Event(payload, EventPart::First) => char::from(b'a' + payload.event),
                Part::Event(payload, EventPart::Later) => {
                    if payload.end {
                        '!'
                    } else {
                        '-'
                    }
                }
                Part::Tone => 't',
                Part::Pause => '.',
                Part::Over => return row,
            });
        }
    }

    #[test]
    fn keys_gaps_and_pauses_keep_their_time() {
        let mut digits = Digits::new(PlayId(1), "1x#w2", 80, 40);
        // 80 ms are four packets, the last of them thrice; 40 ms are two; w is 25.
        assert_eq!(row(&mut digits, Means::Events), format!("b--!!!..l--!!!..{}c--!!!..", ".".repeat(25)));
        assert_eq!(row(&mut Digits::new(PlayId(1), "5", 80, 40), Means::Tones), "tttt..");
        assert_eq!(row(&mut Digits::new(PlayId(1), "xyz", 80, 40), Means::Events), "");
    }
}
