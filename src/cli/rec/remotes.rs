//! `rec remotes` and `rec test`: where recordings go, and whether they would arrive.

mod add;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::{Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::place::{known, remotes, settings};
use crate::audio::tone::Oscillator;
use crate::audio::wave::pcm_head;
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::entry::{Threads, in_runtime, stoppable};
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::RemoteSettings;
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::manifest::Audio;
use crate::outbox::push::{self, Eagerness, Options, Outcome};
use crate::outbox::remote::Receipt;
use crate::outbox::{DeliveryState, Manifest, Outbox, RecordingId};

/// Seconds of the recording that is sent.
const SECONDS: usize = 2;
const RATE_HZ: u32 = 8_000;
/// How long an answer may take when `--timeout` does not say.
const PATIENCE: Duration = Duration::from_secs(60);

/// Show where recordings go, or add a place
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the remotes of the settings
    Ls,
    Add(Box<add::Args>),
    Test(TestArgs),
}

/// Send a real recording of two seconds to a remote, and check the receipt
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec test crm

It goes the way of all recordings, with a tone in it and `reason` test in its manifest, and is not kept here. Exit code 0: it arrived, and
the receipt is right; 7: the remote cannot be reached or is overloaded; 5: it does not take it, or its receipt is wrong.")]
pub(super) struct TestArgs {
    /// The remote
    #[arg(value_name = "REMOTE", add = complete::remotes())]
    remote: String,
}

#[derive(Serialize)]
struct List<'a> {
    remotes: Vec<JsonRemote<'a>>,
}

#[derive(Serialize)]
struct JsonRemote<'a> {
    name: &'a str,
    kind: &'static str,
    place: String,
    when: &'static str,
}

#[derive(Serialize)]
struct Tested<'a> {
    remote: &'a str,
    place: String,
    id: String,
    took_s: f64,
    receipt: &'a Receipt,
}

pub(super) fn run(args: &Args, context: &Context) -> Done {
    match &args.command {
        Command::Ls => list(context),
        Command::Add(args) => add::run(args, context),
        Command::Test(args) => test(args, context),
    }
}

fn list(context: &Context) -> Done {
    let settings = settings(context)?;
    let ready = remotes(&settings.remotes)?;
    let place = |name: &str| ready.get(name).map(|remote| remote.remote.place()).unwrap_or_default();
    let listed = settings.remotes.values().map(|remote| JsonRemote {
        name: &remote.name,
        kind: remote.kind.as_str(),
        place: place(&remote.name),
        when: remote.when.as_str(),
    });
    let remotes: Vec<JsonRemote<'_>> = listed.collect();
    if context.output.is_json() {
        context.output.document("rec.remotes/1", &List { remotes })?;
        return Ok(Exit::Ok);
    }
    let row = |remote: &JsonRemote<'_>| {
        vec![remote.name.to_owned(), remote.kind.to_owned(), remote.when.to_owned(), remote.place.clone()]
    };
    let rows: Vec<Vec<String>> = remotes.iter().map(row).collect();
    context.output.table(&["NAME", "KIND", "WHEN", "PLACE"], &rows)?;
    Ok(Exit::Ok)
}

pub(super) fn test(args: &TestArgs, context: &Context) -> Done {
    let settings = settings(context)?;
    let remote = known(&settings.remotes, &args.remote)?;
    if context.common.dry_run {
        let ready = remotes(&[(remote.name.clone(), remote.clone())].into())?;
        let place = ready.get(&remote.name).map(|remote| remote.remote.place()).unwrap_or_default();
        context.output.note(&format!("would send a recording of {SECONDS} s to {} ({place})", remote.name));
        return Ok(Exit::Ok);
    }
    let scratch = Scratch::make()?;
    let (outbox, id) = tone_in(&scratch.0, &remote.name)?;
    let began = Instant::now();
    let (place, outcome) = sent(remote, &outbox, context)?;
    let took = began.elapsed();
    match outcome {
        Some(Outcome::Delivered) => {
            let receipt = receipt(&outbox, id)?;
            told(
                &Tested {
                    remote: &remote.name,
                    place,
                    id: id.to_string(),
                    took_s: took.as_secs_f64(),
                    receipt: &receipt,
                },
                context,
            )
        }
        Some(Outcome::Parked { error, .. }) => {
            let fault = Fault::new(FaultCode::Invalid, format!("{}: {error}", remote.name));
            Err(fault.hint("it answers, but a recording sent like this is never delivered").into())
        }
        Some(Outcome::Waiting { error, .. }) => {
            let fault = Fault::new(FaultCode::Unreachable, format!("{}: {error}", remote.name));
            Err(fault.hint("a recording would wait, and be tried again").into())
        }
        Some(Outcome::CutShort) | None => {
            let message = format!("{}: {place} has not answered within {}s", remote.name, took.as_secs());
            Err(Fault::new(FaultCode::Unreachable, message).into())
        }
    }
}

fn told(tested: &Tested<'_>, context: &Context) -> Done {
    if context.output.is_json() {
        context.output.document("rec.test/1", tested)?;
        return Ok(Exit::Ok);
    }
    let Tested { remote, place, took_s, receipt, .. } = tested;
    let sum = if receipt.sha256.is_some() { "hash and size are right" } else { "it names no hash" };
    context.output.note(&format!("{remote}: {place} took it in {took_s:.1} s; receipt {}, {sum}", receipt.id));
    Ok(Exit::Ok)
}

/// One attempt, the way of all recordings.
fn sent(remote: &RemoteSettings, outbox: &Outbox, context: &Context) -> Result<(String, Option<Outcome>), Failure> {
    let ready = remotes(&[(remote.name.clone(), remote.clone())].into())?;
    let place = ready.get(&remote.name).map(|remote| remote.remote.place()).unwrap_or_default();
    let patience = context.common.timeout.unwrap_or(PATIENCE);
    let options = Options { max_time: Some(patience), now: Eagerness::Now, ..Options::default() };
    let outcome = Mutex::new(None);
    in_runtime(
        Threads::One,
        stoppable(&options.stop, async {
            let summary = push::run(outbox, &ready, &options, &()).await?;
            if let (Ok(mut outcome), Some((_, last))) = (outcome.lock(), summary.items.into_iter().next_back()) {
                *outcome = Some(last);
            }
            Ok(Exit::Ok)
        }),
    )?;
    Ok((place, outcome.into_inner().unwrap_or_default()))
}

fn receipt(outbox: &Outbox, id: RecordingId) -> Result<Receipt, Failure> {
    let delivered = outbox.deliveries(id)?.into_iter().find_map(|delivery| match delivery.state {
        DeliveryState::Delivered(receipt) => Some(receipt),
        _ => None,
    });
    Ok(delivered.unwrap_or_default())
}

/// An outbox with nothing in it but a tone, for this remote.
fn tone_in(folder: &Path, remote: &str) -> Result<(Outbox, RecordingId), Failure> {
    let outbox = Outbox::open(&folder.join("spool"))?;
    outbox.set_remotes(&[remote])?;
    let now = Timestamp::now();
    let began = now.checked_sub(Duration::from_secs(SECONDS as u64)).unwrap_or(now);
    let mut samples = vec![0; SECONDS * RATE_HZ as usize];
    Oscillator::new([440.0, 0.0], -12.0).fill(&mut samples);
    let mut bytes = pcm_head(RATE_HZ, 1, Some(samples.len() as u64)).to_vec();
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    let mut manifest = Manifest::new("test.wav", began);
    manifest.reason = "test".to_owned();
    manifest.from = "test".to_owned();
    manifest.to = "test".to_owned();
    manifest.call = manifest.id.to_string();
    manifest.ended = Some(now);
    manifest.audio = Audio {
        format: "pcm16".to_owned(),
        rate_hz: RATE_HZ,
        channels: 1,
        frames: samples.len() as u64,
        duration_s: SECONDS as f64,
        ..Audio::default()
    };
    outbox.spool().write_whole(&manifest.file, &bytes)?;
    let manifest = outbox.adopt(manifest)?;
    Ok((outbox, manifest.id))
}

/// A folder for its owner alone, which is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = std::env::temp_dir().join(format!("rec-test-{}", uuid::Uuid::new_v4().simple()));
        let failed = |error| Fault::new(FaultCode::Failure, format!("{}: {error}", folder.display()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is a tone.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
