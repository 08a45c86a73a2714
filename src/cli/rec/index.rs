//! `rec index`: the document's `call_index.htm`, as one page of signed links, every value escaped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::link::Signer;
use super::place::Place;
use super::whole::{replace, unwritten};
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::outbox::{Filter, Which};
use crate::receiver::{self, Page};

/// Write a page of recordings: who, when, how long, a player and a link for each
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec index -o call_index.htm
  rec index -o - --since 1d --base https://pbx.example:8443

The page is one file without scripts, replaced whole. Its links are signed, lead to `rec serve`, and hold as long as --expires says: keep
the page where only those who may hear the recordings can read it.")]
pub(super) struct Args {
    /// Where to; `-`: standard output
    #[arg(short, long, value_name = "FILE", default_value = "call_index.htm", value_hint = clap::ValueHint::FilePath)]
    output: PathBuf,
    /// Only recordings begun in this time: 1d, 8h
    #[arg(long, value_name = "DUR", value_parser = crate::config::parse_duration)]
    since: Option<Duration>,
    /// At most so many, the latest
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
    /// How long its links hold
    #[arg(long, value_name = "DUR", default_value = "1d", value_parser = crate::config::parse_duration)]
    expires: Duration,
    /// What its links begin with
    #[arg(long, value_name = "URL")]
    base: Option<String>,
}

#[derive(Serialize)]
struct Written<'a> {
    file: &'a Path,
    recordings: usize,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    let signer = Signer::new(&desk, args.base.as_deref(), args.expires, context)?;
    let since = args.since.and_then(|since| Timestamp::now().checked_sub(SignedDuration::try_from(since).ok()?).ok());
    let filter = Filter { which: Which::Closed, since, limit: Some(args.limit), ..Filter::default() };
    let mut entries = Vec::new();
    for listed in desk.outbox.list(&filter)? {
        let mut entry = receiver::entry(&listed);
        entry.download = signer.link(&listed.id.to_string());
        entry.audio = entry.audio.map(|_| format!("{}&play=1", entry.download));
        entries.push(entry);
    }
    let html = receiver::html(&Page { entries: &entries, ..Page::default() });
    if args.output == Path::new("-") {
        context.output.raw(&html)?;
        return Ok(Exit::Ok);
    }
    if context.common.dry_run {
        context.output.note(&format!("would write {} recordings to {}", entries.len(), args.output.display()));
        return Ok(Exit::Ok);
    }
    replace(&args.output, html.as_bytes(), 0o640).map_err(|error| unwritten(&args.output, &error))?;
    let (file, recordings) = (&args.output, entries.len());
    if context.output.is_json() {
        context.output.document("rec.index/1", &Written { file, recordings })?;
    } else {
        context.output.note(&format!("{recordings} recordings in {}", file.display()));
    }
    Ok(Exit::Ok)
}
