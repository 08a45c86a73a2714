//! `rec ls`: recordings, the latest first; a hundred thousand of them are printed as they are read.

use std::ops::ControlFlow;

use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde::Serialize;

use super::columns::Columns;
use super::place::Place;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::rows::Rows;
use crate::cli::words::{self, LocalClock};
use crate::outbox::{Filter, Line, Listed, Order, Outbox, RecordingId, Which};

/// As much of an id as nobody else has.
const SHORT_ID: usize = 13;

/// List recordings, the latest first
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec ls --since 1d
  rec ls --unsent --json | jq -r '.recordings[].id'
  rec ls --find 4178575309

DELIVERY: `waiting` has a remote that has not got it yet, `parked` one that was given up (rec retry), `-` no remote.")]
pub(super) struct Args {
    /// Only those that a remote has not got yet
    #[arg(long, conflicts_with = "failed")]
    unsent: bool,
    /// Only those that were given up for a remote
    #[arg(long)]
    failed: bool,
    /// Only those that began since: 2h, 1d ago, 2026-11-20, or 2026-11-20T21:00:00Z
    #[arg(long, value_name = "TIME", value_parser = words::since)]
    since: Option<Timestamp>,
    /// Only those that began before
    #[arg(long, value_name = "TIME", value_parser = words::since)]
    until: Option<Timestamp>,
    /// Only those with this text in a number, a name, the file, the call or the id
    #[arg(long, value_name = "TEXT")]
    find: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// The earliest first
    #[arg(long)]
    oldest: bool,
    /// Those whose sound was purged or shredded, too
    #[arg(long, conflicts_with_all = ["unsent", "failed"])]
    gone: bool,
}

/// A recording as `rec ls --json` tells it.
#[derive(Serialize)]
struct JsonRecording<'a> {
    id: RecordingId,
    file: Option<&'a str>,
    state: &'static str,
    started: Timestamp,
    ended: Option<Timestamp>,
    duration_s: f64,
    direction: &'static str,
    from: &'a str,
    from_name: &'a str,
    to: &'a str,
    agent: Option<&'a str>,
    trunk: Option<&'a str>,
    room: Option<&'a str>,
    call: &'a str,
    leg: &'a str,
    bytes: u64,
    sha256: &'a str,
    sealed: bool,
    delivery: &'static str,
    wanted: u32,
    delivered: u32,
    parked: u32,
}

impl<'a> JsonRecording<'a> {
    fn of(listed: &Listed<&'a str>) -> Self {
        Self {
            id: listed.id,
            file: listed.file,
            state: listed.state.word(),
            started: listed.started,
            ended: listed.ended,
            duration_s: listed.duration.as_secs_f64(),
            direction: listed.direction.word(),
            from: listed.from,
            from_name: listed.from_name,
            to: listed.to,
            agent: listed.agent,
            trunk: listed.trunk,
            room: listed.room,
            call: listed.call,
            leg: listed.leg,
            bytes: listed.bytes,
            sha256: listed.sha256,
            sealed: listed.sealed,
            delivery: delivery(listed.wanted, listed.delivered, listed.parked),
            wanted: listed.wanted,
            delivered: listed.delivered,
            parked: listed.parked,
        }
    }
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let desk = place.find(context)?;
    let filter = args.filter();
    let outbox = desk.as_ref().map(|desk| &desk.outbox);
    if context.output.is_json() { as_json(outbox, &filter, context) } else { as_text(outbox, &filter, context) }
}

impl Args {
    fn filter(&self) -> Filter {
        let which = match self {
            Self { unsent: true, .. } => Which::Unsent,
            Self { failed: true, .. } => Which::Failed,
            Self { gone: true, .. } => Which::WithGone,
            _ => Which::All,
        };
        let order = if self.oldest { Order::Oldest } else { Order::Newest };
        let Self { since, until, limit, .. } = *self;
        Filter { which, since, until, text: self.find.clone(), order, limit, ..Filter::default() }
    }
}

fn as_json(outbox: Option<&Outbox>, filter: &Filter, context: &Context) -> Done {
    let mut rows = Rows::begin(&context.output, "rec.recordings/1", "recordings");
    if let Some(outbox) = outbox {
        outbox.each_lent(filter, &mut |listed| rows.json(&JsonRecording::of(listed)))?;
    }
    rows.end(|_| String::new())?;
    Ok(Exit::Ok)
}

fn as_text(outbox: Option<&Outbox>, filter: &Filter, context: &Context) -> Done {
    let header = ["ID", "STARTED", "LENGTH", "DIRECTION", "FROM", "TO", "STATE", "DELIVERY", "FILE"];
    let mut columns = Columns::begin(&context.output, &header);
    let mut failed: Option<Failure> = None;
    if let Some(outbox) = outbox {
        let mut words = Words { clock: LocalClock::new(), started: String::new(), length: String::new() };
        outbox.each_line(filter, &mut |line| match add(&mut columns, line, &mut words) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                failed = Some(failure);
                ControlFlow::Break(())
            }
        })?;
    }
    match failed {
        Some(failure) => Err(failure),
        None => columns.end().map(|()| Exit::Ok),
    }
}

/// What is put in words for each line, over and over in the same place.
struct Words {
    clock: LocalClock,
    started: String,
    length: String,
}

fn add(columns: &mut Columns<'_>, line: &Line<'_>, words: &mut Words) -> Result<(), Failure> {
    words.started.clear();
    words.clock.print_to(line.started, &mut words.started);
    words.length.clear();
    words::duration_to(line.duration.as_secs(), &mut words.length);
    columns.row(&[
        line.id.get(..SHORT_ID).unwrap_or(line.id),
        &words.started,
        &words.length,
        line.direction.word(),
        line.from,
        line.to,
        line.state.word(),
        delivery(line.wanted, line.delivered, line.parked),
        line.file.unwrap_or_default(),
    ])
}

/// How far its deliveries are, in a word.
fn delivery(wanted: u32, delivered: u32, parked: u32) -> &'static str {
    match (wanted, parked) {
        (0, _) => "-",
        _ if delivered >= wanted => "delivered",
        (_, 1..) => "parked",
        _ => "waiting",
    }
}
