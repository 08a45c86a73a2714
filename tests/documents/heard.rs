//! Knows a prompt in what a phone has heard: the same samples, but for the law's rounding.

use std::time::Duration;

use tokio::time::{Instant, interval};
use wirechief::dialplan::Sounds;
use wirechief::media::Source;

use crate::harness::{Call, PATIENCE};

/// Samples of the loudest part of a prompt, by which its place is found.
const PROBE: usize = 800;

/// These prompts were heard whole, one after another; some of it may still arrive after a BYE.
pub(crate) async fn was_said(call: &Call, names: &[&str]) {
    let mut prompts = Vec::new();
    for name in names {
        prompts.push(prompt(name).await);
    }
    let (mut beat, mut heard) = (interval(Duration::from_millis(20)), Vec::new());
    let (mut from, mut said) = (0, 0);
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        beat.tick().await;
        let now = call.dialog.media.samples(0);
        if now.len() == heard.len() {
            continue;
        }
        heard = now;
        while let Some(end) = prompts.get(said).and_then(|prompt| ends_at(&heard[from..], prompt)) {
            from += end;
            said += 1;
        }
        if said == names.len() {
            return;
        }
    }
    panic!("{} was not said in {} samples after {from}", names[said], heard.len());
}

async fn prompt(name: &str) -> Vec<i16> {
    match Sounds::new("no-such-folder".into()).load(name).await {
        Ok(Source::Samples { samples, rate_hz: 8_000, .. }) => samples.to_vec(),
        other => panic!("{name}: {other:?}"),
    }
}

/// Where the first occurrence of a prompt ends.
fn ends_at(heard: &[i16], prompt: &[i16]) -> Option<usize> {
    let probe_size = PROBE.min(prompt.len());
    let loudness = |samples: &[i16]| samples.iter().map(|sample| i64::from(*sample).pow(2)).sum::<i64>();
    let starts = (0..=prompt.len() - probe_size).step_by(80);
    let offset = starts.max_by_key(|start| loudness(&prompt[*start..start + probe_size]))?;
    let probe = &prompt[offset..offset + probe_size];
    let wanted = loudness(probe);
    let last = heard.len().checked_sub(prompt.len())?;
    let mut here = loudness(&heard[offset..offset + probe_size]);
    for start in 0..=last {
        let at = start + offset;
        // most of what was heard is silence, or something of another loudness
        if here > wanted / 2 && here < wanted * 2 && alike(probe, &heard[at..at + probe_size]) {
            let whole = &heard[start..start + prompt.len()];
            if alike(prompt, whole) {
                return Some(start + prompt.len());
            }
        }
        if start < last {
            here += i64::from(heard[at + probe_size]).pow(2) - i64::from(heard[at]).pow(2);
        }
    }
    None
}

/// Nine tenths of both are the same.
fn alike(one: &[i16], other: &[i16]) -> bool {
    let (mut both, mut left, mut right) = (0_i64, 0_i64, 0_i64);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (i64::from(*one), i64::from(*other));
        both += one * other;
        left += one * one;
        right += other * other;
    }
    both as f64 > 0.9 * (left as f64 * right as f64).sqrt()
}

#[tokio::test]
async fn an_ear_for_prompts_knows_one_from_another() {
    let (accepted, invalid) = (prompt("pin-number-accepted").await, prompt("pin-invalid").await);
    let mut heard = vec![0; 1_234];
    heard.extend(accepted.iter().map(|sample| sample / 8 * 8));
    heard.extend([0; 500]);
    assert_eq!(ends_at(&heard, &accepted), Some(1_234 + accepted.len()));
    assert_eq!(ends_at(&heard, &invalid), None);
    assert_eq!(ends_at(&heard[..accepted.len()], &accepted), None);
}
