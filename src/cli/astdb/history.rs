//! `astdb log` and `astdb verify`: who changed what, and whether all is whole.

use std::ops::ControlFlow;

use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde::Serialize;

use super::desk::Desk;
use super::read::JsonValue;
use crate::astdb::asterisk::full_name;
use crate::astdb::{Detail, Logged};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};
use crate::cli::output::shown;
use crate::cli::rows::Rows;
use crate::cli::words;

/// Print who changed what and when
#[derive(ClapArgs, Debug)]
pub(super) struct LogArgs {
    /// Only changes of this family
    #[arg(add = complete::families())]
    family: Option<String>,
    /// Only changes of this key
    #[arg(add = complete::keys())]
    key: Option<String>,
    /// Only changes since: 2h, 1d ago, 2026-11-20, or 2026-11-20T21:00:00Z
    #[arg(long, value_name = "TIME", value_parser = words::since)]
    since: Option<Timestamp>,
    /// Print the values that were replaced or removed
    #[arg(long)]
    reveal: bool,
}

/// Look at every value, the history and the file; exit 5 when something is wrong
#[derive(ClapArgs, Debug)]
pub(super) struct VerifyArgs {}

/// One change in JSON.
#[derive(Serialize)]
pub(super) struct JsonChange {
    sequence: i64,
    at: String,
    who: String,
    what: String,
    family: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<JsonValue>,
}

impl JsonChange {
    pub(super) fn of(change: &Logged) -> Self {
        let old = change.old.as_ref().and_then(|old| old.as_ref().ok()).map(JsonValue::of);
        Self {
            sequence: change.sequence,
            at: time(change).map_or_else(String::new, |time| format!("{time:.3}")),
            who: change.who.clone(),
            what: change.what.clone(),
            family: change.family.clone(),
            key: change.key.clone(),
            old,
        }
    }
}

fn time(change: &Logged) -> Option<Timestamp> {
    Timestamp::from_millisecond(change.at_ms).ok()
}

#[derive(Serialize)]
struct Report {
    entries: u64,
    changes: u64,
    problems: Vec<String>,
}

pub(super) fn log(args: &LogArgs, desk: &Desk, context: &Context) -> Done {
    let detail = if args.reveal { Detail::Values } else { Detail::Names };
    let since = args.since.map_or(i64::MIN, Timestamp::as_millisecond);
    let mut rows = Rows::begin(&context.output, "astdb.log/1", "changes");
    desk.log((args.family.as_deref(), args.key.as_deref()), detail, &mut |change| {
        if change.at_ms < since {
            return ControlFlow::Continue(());
        }
        if context.output.is_json() {
            rows.json(&JsonChange::of(&change))
        } else {
            rows.line(&format!("{}\n", shown(&line(&change))))
        }
    })?;
    rows.end(|_| String::new())?;
    Ok(Exit::Ok)
}

fn line(change: &Logged) -> String {
    let at = time(change).map_or_else(|| "-".to_owned(), words::local);
    let name =
        if change.family.is_empty() { String::new() } else { format!(" {}", full_name(&change.family, &change.key)) };
    let old = match &change.old {
        Some(Ok(old)) => format!("  was {}", old.text()),
        Some(Err(_)) => "  was (damaged)".to_owned(),
        None => String::new(),
    };
    format!("{:>6}  {at}  {:<16} {:<6}{name}{old}", change.sequence, change.who, change.what)
}

pub(super) fn verify(_args: &VerifyArgs, desk: &Desk, context: &Context) -> Done {
    let found = desk.verify()?;
    let problems = found.problems;
    let exit = if problems.is_empty() { Exit::Ok } else { Exit::Invalid };
    if context.output.is_json() {
        let report = Report { entries: found.entries, changes: found.changes, problems };
        context.output.document("astdb.verify/1", &report)?;
        return Ok(exit);
    }
    for problem in &problems {
        context.output.line(problem)?;
    }
    let verdict = if problems.is_empty() { "all whole" } else { "damaged" };
    context.output.note(&format!("{} entries, {} changes: {verdict}", found.entries, found.changes));
    Ok(exit)
}
