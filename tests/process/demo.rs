//! The demo and `spy` on it, as the README shows them.

use std::process::Output;

use rustix::process::Signal;

use super::house::{House, Running, done};

/// Speech: some tenths of a second are loud, some are quiet.
fn is_speech(samples: &[i16]) -> bool {
    let loudness = |part: &[i16]| part.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 800.0;
    let parts: Vec<f64> = samples.chunks_exact(800).map(|part| loudness(part).sqrt()).collect();
    let (loud, quiet) =
        (parts.iter().filter(|part| **part > 500.0).count(), parts.iter().filter(|part| **part < 300.0).count());
    loud >= 3 && quiet >= 3
}

/// The two sides of a WAV on standard output.
fn heard(output: &Output) -> (Vec<i16>, Vec<i16>) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let spec = hound::WavReader::new(&output.stdout[..]).expect("a WAV").spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 8_000, 16));
    let samples: Vec<i16> =
        output.stdout[44..].as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
    samples.as_chunks::<2>().0.iter().map(|&[left, right]| (left, right)).unzip()
}

#[tokio::test]
async fn the_demo_is_a_call_whose_two_talkers_spy_hears() {
    let house = House::new();
    let mut demo = Running::of(house.program(env!("CARGO_BIN_EXE_pbx"), &["demo"])).await;
    let line = demo.says("Call ").await;
    let uuid = line.split([' ', ':']).nth(1).expect("a UUID").to_owned();
    assert_eq!(uuid.len(), 36, "{line}");
    let shown = demo.says("--stdout").await;
    assert!(shown.contains(&uuid) && shown.contains("spy"), "{shown}");
    assert_eq!(house.pbx(&["run"]).await.status.code(), Some(75), "a second server gives way");

    // each talks for up to five seconds while the other listens
    let listens = async |program: &std::path::Path, seconds: usize| {
        // Where this machine is busy with something else a second is a little short, or what was ready before it began is heard too:
        // not each time.
        let mut heard_samples = Vec::new();
        for _ in 0..10 {
            let duration = format!("{seconds}s");
            let words = ["--stdout", "--format", "wav", "--channels", "split", "--duration", &duration, &uuid];
            let (left, right) = heard(&done(house.program(program, &words)).await);
            if left.len().abs_diff(seconds * 8_000) <= 2_000 {
                return (left, right);
            }
            heard_samples.push(left.len());
        }
        panic!("never {seconds} s of sound in as many seconds: {heard_samples:?} samples");
    };
    let (left, right) = listens(env!("CARGO_BIN_EXE_spy").as_ref(), 6).await;
    assert!(is_speech(&left), "the customer speaks");
    assert!(is_speech(&right), "the agent speaks");

    // a link of that name to the other program is the same program
    let link = house.path("spy");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pbx"), &link).expect("a link");
    listens(&link, 1).await;
    demo.gets(Signal::INT);
    assert_eq!(demo.ends().await, Some(130));
}
