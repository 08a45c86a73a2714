//! `Playtones(tones)`: plays a tone beside what follows; and the tones themselves, for the applications that refuse.

use std::sync::Arc;
use std::time::Duration;

use super::{App, CheckError, Doing, Line, Next, Outcome, seconds};
use crate::call::{Cause, Channel};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::media::{Source, ToneStep};

/// Level of each tone, in dB relative to full scale.
const LEVEL_DB: f32 = -13.0;
/// Length of a step without one: it is repeated for ever.
const ENDLESS_MS: u32 = 1_000;
/// Steps in one list.
const MAX_STEPS: usize = 64;

pub(super) struct Playtones;

/// A call-progress tone by name; the frequencies and cadences are those of North America (ITU-T E.180 Supplement 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Busy,
    Congestion,
    Dial,
    Ring,
}

const NAMES: [(&str, Tone); 4] =
    [("busy", Tone::Busy), ("congestion", Tone::Congestion), ("dial", Tone::Dial), ("ring", Tone::Ring)];

impl Tone {
    fn list(self) -> &'static str {
        match self {
            Self::Busy => "480+620/500,0/500",
            Self::Congestion => "480+620/250,0/250",
            Self::Dial => "350+440",
            Self::Ring => "440+480/2000,0/4000",
        }
    }
}

impl App for Playtones {
    fn name(&self) -> &'static str {
        "Playtones"
    }

    fn syntax(&self) -> &'static str {
        "busy|congestion|dial|ring|list"
    }

    fn synopsis(&self) -> &'static str {
        "Plays a tone, or a list such as 440+480/2000,0/4000 (Hz and ms), while the script goes on, until StopPlaytones."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() {
            return Err(CheckError::Missing("the tone"));
        }
        args.literal().map_or(Ok(()), |text| source(&text).map(|_| ()))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let tones = source(&args.text(chan))?;
            if !chan.is_answered() {
                chan.progress().await?;
            }
            chan.start_playing(tones);
            Ok(Next::Continue)
        })
    }
}

/// Ends a call that is refused: at once if it is not answered, else with the tone before.
pub(super) async fn refuse(chan: &mut Channel, args: Args<'_>, (cause, tone): (Cause, Tone)) -> Outcome {
    if chan.is_answered() {
        let timeout = seconds(&args.text(chan))?;
        chan.start_playing(self::tone(tone));
        // without a time-out the caller decides how long he listens
        chan.wait(timeout.unwrap_or(Duration::from_secs(24 * 3_600))).await?;
        chan.stop_playing();
    }
    chan.hangup(cause);
    Ok(Next::End)
}

/// A call-progress tone, for as long as it is played.
pub(super) fn tone(tone: Tone) -> Source {
    source(tone.list()).unwrap_or(Source::Silence)
}

/// The tones that a name or a list means.
pub(super) fn source(text: &str) -> Result<Source, CheckError> {
    let text = text.trim();
    let named = NAMES.iter().find(|(name, _)| *name == text);
    let list = named.map_or(text, |(_, tone)| tone.list());
    if list.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let known = NAMES.map(|(name, _)| name).join(", ");
        return Err(CheckError::Unknown { what: "tone", found: text.to_owned(), known });
    }
    let malformed = || CheckError::Malformed { what: "list of tones", found: text.to_owned() };
    let steps: Option<Arc<[ToneStep]>> = list.split([',', '|']).map(step).collect();
    match steps {
        Some(steps) if steps.len() <= MAX_STEPS => Ok(Source::Tones { steps, repeat: true }),
        _ => Err(malformed()),
    }
}

/// `440+480/2000`
fn step(text: &str) -> Option<ToneStep> {
    let (tones, ms) = match text.trim().split_once('/') {
        Some((tones, ms)) => (tones, ms.trim().parse().ok().filter(|ms| (1..=3_600_000).contains(ms))?),
        None => (text.trim(), ENDLESS_MS),
    };
    let (first, second) = tones.split_once('+').unwrap_or((tones, "0"));
    let hz = |text: &str| text.trim().parse::<u16>().ok().filter(|hz| *hz <= 4_000).map(f32::from);
    Some(ToneStep { hz: [hz(first)?, hz(second)?], ms, level_db: LEVEL_DB })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<([f32; 2], u32)> {
        match source(text) {
            Ok(Source::Tones { steps, repeat: true }) => steps.iter().map(|step| (step.hz, step.ms)).collect(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn names_and_lists_become_steps() {
        assert_eq!(steps("ring"), [([440.0, 480.0], 2_000), ([0.0, 0.0], 4_000)]);
        assert_eq!(steps("440+480/2000,0/4000"), steps("ring"));
        assert_eq!(steps("1000"), [([1_000.0, 0.0], 1_000)]);
        assert!(NAMES.iter().all(|(name, _)| !steps(name).is_empty()));
    }

    #[test]
    fn what_is_no_tone_is_refused() {
        for text in ["", "rnig", "440/", "440/0", "9000", "1+2+3", "440*20/100", "!440/1", "-1/100", "440,,480"] {
            assert!(source(text).is_err(), "{text:?}");
        }
        assert!(source(&"1/1,".repeat(100_000)).is_err());
    }
}
