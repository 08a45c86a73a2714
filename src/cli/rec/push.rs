//! `rec push`: delivers what is due, once, and says what came of it. Made for cron: silent unless something is wrong.

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde::Serialize;

use super::place::{Desk, Place, known};
use super::progress::Bars;
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::entry::{Threads, in_runtime, stoppable};
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::{parse_duration, print_duration};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::push::{self, Eagerness, Item, Options, Outcome, Summary, Verdict};
use crate::outbox::{Delivery, DeliveryState, Filter, Order, OutboxError, RecordingId, Which};

/// Deliver recordings that wait: each exactly once to each remote
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  */5 * * * *  rec push -q --max-time 4m
  rec push --json | jq -r '.items[]|select(.state!=\"delivered\")|.id'
  rec push --to crm \"$UUID\" && echo done

One run at a time: a second one ends at once with exit code 75, or waits for --wait-lock. What failed is tried again after 1 s, 2 s, 4 s
… up to 5 minutes, counted across runs, or after what the remote asks for; what is not due is left out, unless --now is given. After
many failures over a day, or when a remote says it will never take it, a delivery is parked. Nothing is ever deleted.

Exit code 0: nothing is undelivered; 75: something still waits; 6: something is parked.")]
pub(super) struct Args {
    /// Only these: ids or their beginnings, names of files, or UUIDs or UNIQUEIDs of calls
    #[arg(value_name = "ID", add = complete::recordings())]
    ids: Vec<String>,
    /// Only to this remote; may be given several times
    #[arg(long, value_name = "REMOTE", add = complete::remotes())]
    to: Vec<String>,
    /// Try what is not due yet and what is parked, too
    #[arg(long)]
    now: bool,
    /// Only recordings that are not older
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    max_age: Option<Duration>,
    /// At most so many deliveries
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// End after that time; uploads under way go on in the next run
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    max_time: Option<Duration>,
    /// Begin after a time by chance, of at most this
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "0s", hide_default_value = true)]
    jitter: Duration,
    /// Wait so long for the end of another run
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "0s", hide_default_value = true)]
    wait_lock: Duration,
    /// The latest recording first
    #[arg(long)]
    newest: bool,
}

#[derive(Serialize)]
struct Report {
    items: Vec<JsonItem>,
    delivered: u64,
    waiting: u64,
    parked: u64,
    bytes: u64,
}

/// A delivery as `rec push --json` tells it.
#[derive(Serialize)]
pub(super) struct JsonItem {
    id: String,
    part: u32,
    call: String,
    file: String,
    remote: String,
    state: &'static str,
    attempt: u32,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_in_s: Option<f64>,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let Some(desk) = place.find(context)? else {
        // Nothing has ever been recorded: so nothing is undelivered.
        if let Some(id) = args.ids.first() {
            return Err(Fault::new(FaultCode::NotFound, format!("`{id}`: no such recording")).into());
        }
        return report(&Summary::default(), Vec::new(), context).map(|()| Exit::Ok);
    };
    for name in &args.to {
        known(&desk.settings.remotes, name)?;
    }
    let options = args.options(&desk, context)?;
    if context.common.dry_run {
        return dry_run(&desk, &options, context);
    }
    desk.prepare()?;
    is_known(&desk)?;
    let remotes = desk.remotes()?;
    let bars = Bars::new(&context.output, &desk.outbox);
    let began = Instant::now();
    let mut summary = Summary::default();
    let done = in_runtime(
        Threads::Delivery,
        stoppable(&options.stop, async {
            summary = push::run(&desk.outbox, &remotes, &options, &bars).await?;
            Ok(Exit::Ok)
        }),
    );
    bars.end();
    done?;
    let untried = if context.output.is_json() { untried(&desk, &options, &summary)? } else { Vec::new() };
    report(&summary, untried, context)?;
    if !context.output.is_json() {
        said(&summary, began.elapsed(), context)?;
    }
    let exit = match summary.verdict() {
        Verdict::Done => Exit::Ok,
        Verdict::Waiting => Exit::TryAgain,
        Verdict::Parked => Exit::Partial,
    };
    wrong(&summary, exit, context)
}

/// What waits cannot go anywhere without settings: that is no success.
fn is_known(desk: &Desk) -> Result<(), Failure> {
    if desk.is_configured {
        return Ok(());
    }
    let waiting: u64 = desk.outbox.remotes()?.iter().map(|remote| remote.waiting + remote.parked).sum();
    if waiting == 0 {
        return Ok(());
    }
    let fault =
        Fault::new(FaultCode::Invalid, format!("{waiting} deliveries wait, and no settings file says where to"));
    Err(fault.hint("--config, WIRECHIEF_CONFIG or HOME says where it is").into())
}

impl Args {
    fn options(&self, desk: &Desk, context: &Context) -> Result<Options, Failure> {
        Ok(Options {
            ids: desk.all(&self.ids)?,
            to: self.to.clone(),
            max_age: self.max_age,
            limit: self.limit,
            order: if self.newest { Order::Newest } else { Order::Oldest },
            max_time: self.max_time.or(context.common.timeout),
            jitter: self.jitter,
            wait_lock: self.wait_lock,
            now: if self.now { Eagerness::Now } else { Eagerness::Due },
            ..Options::default()
        })
    }
}

fn report(summary: &Summary, untried: Vec<JsonItem>, context: &Context) -> Result<(), Failure> {
    if !context.output.is_json() {
        return Ok(());
    }
    let tried = summary.items.iter().map(|(item, outcome)| json(item, outcome));
    let Summary { delivered, waiting, parked, bytes, .. } = *summary;
    let report = Report { items: tried.chain(untried).collect(), delivered, waiting, parked, bytes };
    context.output.document("rec.push/1", &report)
}

pub(super) fn json(item: &Item, outcome: &Outcome) -> JsonItem {
    let (state, error, reason, after) = match outcome {
        Outcome::Delivered => ("delivered", None, None, None),
        Outcome::Waiting { error, after } => ("waiting", Some(error), None, Some(after.as_secs_f64())),
        Outcome::Parked { error, reason } => ("parked", Some(error), Some(reason), None),
        Outcome::CutShort => ("waiting", None, None, None),
    };
    JsonItem {
        id: item.id.to_string(),
        part: item.part,
        call: item.call.clone(),
        file: item.file.clone(),
        remote: item.remote.clone(),
        state,
        attempt: item.attempt,
        bytes: item.size,
        error: error.cloned(),
        reason: reason.cloned(),
        retry_in_s: after,
    }
}

/// One line, for a person.
fn said(summary: &Summary, took: Duration, context: &Context) -> Result<(), Failure> {
    let Summary { delivered, waiting, parked, bytes, .. } = summary;
    let seconds = took.as_secs_f64();
    let line =
        format!("{delivered} delivered ({} in {seconds:.1} s), {waiting} waiting, {parked} parked", size(*bytes));
    if context.output.talk == crate::cli::output::Talk::Normal { context.output.line(&line) } else { Ok(()) }
}

/// Bytes as people write them.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// What is wrong, in one line however much it is: cron sends it by mail.
fn wrong(summary: &Summary, exit: Exit, context: &Context) -> Done {
    let errors = summary.items.iter().filter_map(|(_, outcome)| match outcome {
        Outcome::Waiting { error, .. } | Outcome::Parked { error, .. } => Some(error),
        Outcome::Delivered | Outcome::CutShort => None,
    });
    let mut errors = errors.peekable();
    let left = summary.waiting + summary.parked;
    let code = match exit {
        Exit::Ok => return Ok(Exit::Ok),
        Exit::TryAgain => FaultCode::TryAgain,
        _ => FaultCode::Partial,
    };
    let message = match errors.next() {
        Some(first) if left > 1 => format!("{first} (and {} more not delivered)", left - 1),
        Some(first) => first.clone(),
        // What is not due says nothing new; what is parked has to be seen to.
        None if summary.parked == 0 => return Ok(exit),
        None => format!("{} parked, {} waiting", summary.parked, summary.waiting),
    };
    let hint = match code {
        FaultCode::Partial => "`rec ls --failed` lists them, `rec show ID` says why, `rec retry ID` tries again",
        _ => "it is tried again by the next run when it is due; `rec push --now` does not wait",
    };
    context.output.fault(&Fault::new(code, message).hint(hint));
    Err(Failure::Silent(exit))
}

/// Deliveries that were asked for and not tried, as they were not due.
fn untried(desk: &Desk, options: &Options, summary: &Summary) -> Result<Vec<JsonItem>, Failure> {
    let mut left = Vec::new();
    for (delivery, (call, file)) in open(desk, options)? {
        let tried = |(item, _): &(Item, Outcome)| {
            (item.id, item.part, item.remote.as_str()) == (delivery.id, delivery.part, delivery.remote.as_str())
        };
        if !summary.items.iter().any(tried) {
            left.push(waiting(&delivery, call, file));
        }
    }
    Ok(left)
}

fn waiting(delivery: &Delivery, call: String, file: String) -> JsonItem {
    let reason = match &delivery.state {
        DeliveryState::Parked(reason) => Some(reason.clone()),
        _ => None,
    };
    JsonItem {
        id: delivery.id.to_string(),
        part: delivery.part,
        call,
        file,
        remote: delivery.remote.clone(),
        state: if reason.is_some() { "parked" } else { "waiting" },
        attempt: delivery.attempts,
        bytes: 0,
        error: delivery.error.clone(),
        reason,
        retry_in_s: delivery.due.map(|due| due.duration_since(jiff::Timestamp::now()).as_secs_f64().max(0.0)),
    }
}

/// A delivery, and the call and the file of its recording.
type Undelivered = (Delivery, (String, String));

/// All deliveries without a receipt that the options ask for.
fn open(desk: &Desk, options: &Options) -> Result<Vec<Undelivered>, Failure> {
    let since = options.max_age.and_then(|age| jiff::Timestamp::now().checked_sub(age).ok());
    let order = options.order;
    let listed = desk.outbox.list(&Filter { which: Which::Unsent, since, order, ..Filter::default() })?;
    let mut found = Vec::new();
    for listed in listed {
        if !options.ids.is_empty() && !options.ids.contains(&listed.id) {
            continue;
        }
        for delivery in desk.outbox.deliveries(listed.id)? {
            let wanted = options.to.is_empty() || options.to.contains(&delivery.remote);
            if wanted && !matches!(delivery.state, DeliveryState::Delivered(_)) {
                found.push((delivery, (listed.call.clone(), listed.file.clone().unwrap_or_default())));
            }
        }
    }
    Ok(found)
}

fn dry_run(desk: &Desk, options: &Options, context: &Context) -> Done {
    let now = jiff::Timestamp::now();
    let is_due = |delivery: &Delivery| {
        options.now == Eagerness::Now
            || (!matches!(delivery.state, DeliveryState::Parked(_)) && delivery.due.is_none_or(|due| due <= now))
    };
    let mut due = open(desk, options)?;
    due.retain(|(delivery, _)| is_due(delivery));
    due.truncate(options.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX));
    let wished = wished(desk, options, &due)?;
    if context.output.is_json() {
        let items = due.iter().map(|(delivery, (call, file))| waiting(delivery, call.clone(), file.clone()));
        let items: Vec<JsonItem> = items.chain(wished).collect();
        let waiting = items.len() as u64;
        context.output.document("rec.push/1", &Report { items, delivered: 0, waiting, parked: 0, bytes: 0 })?;
        return Ok(Exit::Ok);
    }
    for (delivery, (_, file)) in &due {
        context.output.line(&format!("would send {} ({file}) to {}", delivery.id, delivery.remote))?;
    }
    for item in &wished {
        context.output.line(&format!("would send {} ({}) to {}", item.id, item.file, item.remote))?;
    }
    if let Some(most) = options.max_time {
        context.output.note(&format!("for at most {}", print_duration(most)));
    }
    Ok(Exit::Ok)
}

/// Recordings named that a remote named never wanted: they are sent all the same.
fn wished(desk: &Desk, options: &Options, due: &[(Delivery, (String, String))]) -> Result<Vec<JsonItem>, Failure> {
    let mut wished = Vec::new();
    for id in &options.ids {
        let manifest = desk.outbox.get(*id)?.ok_or(OutboxError::Unknown { id: *id })?;
        let known: Vec<Delivery> = desk.outbox.deliveries(*id)?;
        for name in &options.to {
            let is_known = known.iter().any(|delivery| delivery.remote == *name) || listed(due, *id, name);
            if !is_known {
                wished.push(JsonItem {
                    id: id.to_string(),
                    part: 1,
                    call: manifest.call.clone(),
                    file: manifest.file.clone(),
                    remote: name.clone(),
                    state: "waiting",
                    attempt: 0,
                    bytes: manifest.audio.bytes,
                    error: None,
                    reason: None,
                    retry_in_s: None,
                });
            }
        }
    }
    Ok(wished)
}

fn listed(due: &[(Delivery, (String, String))], id: RecordingId, remote: &str) -> bool {
    due.iter().any(|(delivery, _)| delivery.id == id && delivery.remote == remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_with_three_or_four_digits() {
        let cases = [(0, "0 B"), (999, "999 B"), (32_044, "32.0 kB"), (7_650_000, "7.7 MB"), (2_000_000_000, "2.0 GB")];
        for (bytes, words) in cases {
            assert_eq!(size(bytes), words);
        }
    }
}
