//! `rec status`: what waits, how long already, and what each remote said last. With --check in the way of monitoring plug-ins.

use std::time::Duration;

use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde::Serialize;

use super::place::Place;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::words;
use crate::config::parse_duration;
use crate::outbox::{Filter, Outbox, RemoteStatus, Which};

/// Say what waits to be delivered, and what remotes said last
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec status
  rec status --check --warn 30m --crit 4h
  rec status --json | jq '.remotes[]|{name,waiting,error}'

--check prints one line and exits with 0 (all is well), 1 (something waits longer than --warn, or the last attempt failed) or 2 (something
waits longer than --crit or is parked, or the spool cannot be read), as monitoring systems want it.")]
pub(super) struct Args {
    /// One line and an exit code for a monitoring system
    #[arg(long)]
    check: bool,
    /// With --check: a warning when something waits longer
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "1h", requires = "check")]
    warn: Duration,
    /// With --check: critical when something waits longer
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "24h", requires = "check")]
    crit: Duration,
}

#[derive(Serialize, Default)]
struct Status<'a> {
    recordings: u64,
    open: u64,
    waiting: u64,
    parked: u64,
    oldest_unsent: Option<Timestamp>,
    oldest_unsent_s: Option<f64>,
    /// With --check.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'static str>,
    remotes: Vec<JsonRemote<'a>>,
}

/// A remote as `rec status --json` tells it.
#[derive(Serialize)]
struct JsonRemote<'a> {
    name: &'a str,
    configured: bool,
    waiting: u64,
    parked: u64,
    delivered: u64,
    failures: u32,
    oldest_unsent: Option<Timestamp>,
    closed_until: Option<Timestamp>,
    last_delivered: Option<Timestamp>,
    error: Option<&'a str>,
    failed: Option<Timestamp>,
}

impl<'a> JsonRemote<'a> {
    fn of(remote: &'a RemoteStatus) -> Self {
        Self {
            name: &remote.name,
            configured: remote.in_force,
            waiting: remote.waiting,
            parked: remote.parked,
            delivered: remote.delivered,
            failures: remote.failures,
            oldest_unsent: remote.oldest_unsent,
            closed_until: remote.closed_until,
            last_delivered: remote.last_delivered,
            error: remote.error.as_deref(),
            failed: remote.failed,
        }
    }
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    if args.check {
        return check(args, place, context);
    }
    let desk = place.find(context)?;
    let outbox = desk.as_ref().map(|desk| &desk.outbox);
    let remotes = outbox.map(Outbox::remotes).transpose()?.unwrap_or_default();
    let status = status(outbox, &remotes)?;
    if context.output.is_json() {
        context.output.document("rec.status/1", &status)?;
        return Ok(Exit::Ok);
    }
    context.output.line(&in_words(&status))?;
    if !remotes.is_empty() {
        let rows: Vec<Vec<String>> = remotes.iter().map(row).collect();
        let header = ["REMOTE", "WAITING", "PARKED", "DELIVERED", "OLDEST UNSENT", "LAST DELIVERED", "LAST ERROR"];
        context.output.table(&header, &rows)?;
    }
    Ok(Exit::Ok)
}

fn status<'a>(outbox: Option<&Outbox>, remotes: &'a [RemoteStatus]) -> Result<Status<'a>, Failure> {
    let Some(outbox) = outbox else { return Ok(Status::default()) };
    let count = |which| outbox.count(&Filter { which, ..Filter::default() });
    let oldest_unsent = remotes.iter().filter_map(|remote| remote.oldest_unsent).min();
    Ok(Status {
        recordings: count(Which::All)?,
        open: count(Which::Open)?,
        waiting: remotes.iter().map(|remote| remote.waiting).sum(),
        parked: remotes.iter().map(|remote| remote.parked).sum(),
        oldest_unsent,
        oldest_unsent_s: oldest_unsent.map(age_s),
        check: None,
        remotes: remotes.iter().map(JsonRemote::of).collect(),
    })
}

fn in_words(status: &Status<'_>) -> String {
    let oldest =
        status.oldest_unsent_s.map_or_else(String::new, |age| format!(", oldest unsent {}", words::duration(age)));
    let Status { recordings, open, waiting, parked, .. } = status;
    format!("{recordings} recordings, {open} open, {waiting} waiting, {parked} parked{oldest}")
}

fn row(remote: &RemoteStatus) -> Vec<String> {
    let time = |time: Option<Timestamp>| time.map(words::local).unwrap_or_default();
    // An error is of interest until something has arrived after it.
    let error = remote.error.clone().filter(|_| remote.failed >= remote.last_delivered);
    let name = if remote.in_force { remote.name.clone() } else { format!("{} (not configured)", remote.name) };
    vec![
        name,
        remote.waiting.to_string(),
        remote.parked.to_string(),
        remote.delivered.to_string(),
        time(remote.oldest_unsent),
        time(remote.last_delivered),
        error.unwrap_or_default(),
    ]
}

fn age_s(time: Timestamp) -> f64 {
    Timestamp::now().duration_since(time).as_secs_f64().max(0.0)
}

fn check(args: &Args, place: &Place, context: &Context) -> Done {
    let looked = place.find(context).and_then(|desk| {
        let outbox = desk.as_ref().map(|desk| &desk.outbox);
        let remotes = outbox.map(Outbox::remotes).transpose()?.unwrap_or_default();
        let status = status(outbox, &remotes)?;
        let age = Duration::try_from_secs_f64(status.oldest_unsent_s.unwrap_or(0.0)).unwrap_or(Duration::MAX);
        let grade = graded(&remotes, age, (args.warn, args.crit));
        if context.output.is_json() {
            context.output.document("rec.status/1", &Status { check: Some(grade.word()), ..status })?;
            return Ok((grade, None));
        }
        let numbers = format!("waiting={} parked={} oldest={}s", status.waiting, status.parked, age.as_secs());
        let errors = remotes.iter().filter(|remote| remote.failures > 0).filter_map(|remote| remote.error.as_deref());
        let error = errors.take(1).map(|error| format!("; {error}")).collect::<String>();
        Ok((grade, Some(format!("{}{error} | {numbers}", in_words(&status)))))
    });
    let (grade, text) = match looked {
        Ok(looked) => looked,
        Err(Failure::Fault(fault)) if context.output.is_json() => {
            context.output.fault(&fault);
            (Grade::Critical, None)
        }
        Err(Failure::Fault(fault)) => (Grade::Critical, Some(fault.message)),
        Err(other) => return Err(other),
    };
    if let Some(text) = text {
        context.output.line(&format!("REC {} - {text}", grade.word()))?;
    }
    match grade {
        Grade::Ok => Ok(Exit::Ok),
        // The numbers of plug-ins, which mean something else in the other commands.
        Grade::Warning => Err(Failure::Silent(Exit::Failure)),
        Grade::Critical => Err(Failure::Silent(Exit::Usage)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grade {
    Ok,
    Warning,
    Critical,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

fn graded(remotes: &[RemoteStatus], age: Duration, (warn, crit): (Duration, Duration)) -> Grade {
    let parked = remotes.iter().any(|remote| remote.parked > 0);
    let failing = remotes.iter().any(|remote| remote.in_force && remote.failures > 0 && remote.waiting > 0);
    match () {
        () if parked || age >= crit && age > Duration::ZERO => Grade::Critical,
        () if failing || age >= warn && age > Duration::ZERO => Grade::Warning,
        () => Grade::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parked_or_very_old_is_critical_and_what_fails_or_is_old_a_warning() {
        let remote = |waiting, parked, failures| RemoteStatus {
            name: "crm".into(),
            in_force: true,
            waiting,
            parked,
            delivered: 0,
            oldest_unsent: None,
            failures,
            closed_until: None,
            error: None,
            failed: None,
            last_delivered: None,
        };
        let limits = (Duration::from_secs(60), Duration::from_secs(600));
        let cases = [
            (remote(0, 0, 0), 0, Grade::Ok),
            (remote(3, 0, 0), 59, Grade::Ok),
            (remote(3, 0, 0), 60, Grade::Warning),
            (remote(3, 0, 1), 1, Grade::Warning),
            (remote(3, 0, 0), 600, Grade::Critical),
            (remote(0, 1, 0), 1, Grade::Critical),
        ];
        for (remote, age, grade) in cases {
            let age = Duration::from_secs(age);
            assert_eq!(graded(std::slice::from_ref(&remote), age, limits), grade, "{remote:?}, {age:?}");
        }
        assert_eq!(graded(&[], Duration::ZERO, (Duration::ZERO, Duration::ZERO)), Grade::Ok);
    }
}
