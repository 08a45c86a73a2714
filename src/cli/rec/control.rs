//! `rec start`, `stop`, `pause`, `resume`, `mask` and `unmask`: recordings of live calls, by the running server.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::entry::{Threads, in_runtime, interruptible};
use crate::cli::exit::{Done, Exit};
use crate::cli::words;
use crate::control::protocol::{CallDetail, RecordTarget, Recorded, RecordingInfo, Target, method};

/// Record a live call
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec start c7709e9c-1517-11dc-842a-d3a3942d3d63
  rec start c7709e9c-1517-11dc-842a-d3a3942d3d63 --file sales/offer

The recording follows its leg through hold and transfer, and ends with it or with `rec stop`.")]
pub(super) struct Start {
    /// The UUID of an answered leg
    #[arg(add = complete::live_uuids())]
    uuid: String,
    /// What it is called, below the spool; without it: as the settings say
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
}

/// What the other verbs are given.
#[derive(ClapArgs, Debug)]
pub(super) struct Running {
    /// The UUID of a leg that can be heard in recordings, or the id of one
    #[arg(add = complete::live_uuids())]
    uuid: String,
}

pub(super) fn start(args: Start, context: &Context) -> Done {
    asked((method::RECORD_START, "record"), RecordTarget { uuid: args.uuid, file: args.file }, context)
}

pub(super) fn change((method, verb): (&str, &str), args: Running, context: &Context) -> Done {
    asked((method, verb), RecordTarget { uuid: args.uuid, file: None }, context)
}

fn asked(what: (&str, &str), target: RecordTarget, context: &Context) -> Done {
    in_runtime(Threads::One, interruptible(ask(what, target, context)))
}

async fn ask((method, verb): (&str, &str), target: RecordTarget, context: &Context) -> Done {
    let is_dry = context.common.dry_run;
    if is_dry && method == method::RECORD_START {
        let _live: CallDetail = context.ask(method::CALL, &Target { uuid: target.uuid.clone() }).await?;
        context.output.note(&format!("would {verb} {}", target.uuid));
        return Ok(Exit::Ok);
    }
    let asked = if is_dry { method::RECORD_LOOK } else { method };
    let done: Recorded = context.ask(asked, &target).await?;
    if is_dry {
        context.output.note(&format!("would {verb} {}", target.uuid));
    }
    if context.output.is_json() {
        context.output.document("rec.record/1", &done)?;
        return Ok(Exit::Ok);
    }
    for recording in &done.recordings {
        if method == method::RECORD_START {
            // A new one is a result.
            context.output.line(&in_words(recording))?;
        } else {
            context.output.note(&in_words(recording));
        }
    }
    Ok(Exit::Ok)
}

fn in_words(recording: &RecordingInfo) -> String {
    let RecordingInfo { id, file, state, since, .. } = recording;
    let file = if file.is_empty() { String::new() } else { format!(" in {file}") };
    format!("{id}: {state}{file}, since {}", words::local(*since))
}
