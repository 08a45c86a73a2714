//! `spy log`: who listened to whom; and whether the log is still what was written.
//! Below: `crate::evidence` where this account may read the file, else the server.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::common::{Context, environment};
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::words;
use crate::control::client::ClientError;
use crate::control::protocol::{Fault, FaultCode, LogVerify, method};
use crate::evidence::{self, Anchor, EvidenceError, Person, Record, Report, Wanted};

/// How long a server may take to verify its log when `--timeout` does not say.
const VERIFYING: Duration = Duration::from_secs(600);
const HEADER: [&str; 10] = ["ENTRY", "TIME", "EVENT", "WHO", "VIA", "MODE", "TARGET", "PEER", "HEARD BY", "WHY"];

/// Show who listened to whom, how, when and why; refused attempts too
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  spy log --since 7d --who 1001
  spy log --json | jq -r 'select(.event==\"refused\")|[.time,.who,.why]|@tsv'
  spy log verify || mail -s 'the log was changed' works-council@example.com")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only since: 2h, 1d ago, 2026-11-20, or 2026-11-20T21:00:00Z
    #[arg(long, value_name = "TIME", value_parser = words::since)]
    since: Option<Timestamp>,
    /// Only that session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only that supervisor: a user, or a local account
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// The log, instead of that of the settings; its key and head are beside it
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
enum Command {
    Verify(VerifyArgs),
}

/// Find every entry that was changed, removed, moved, inserted or cut off; exit 5 when there is one
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  spy log verify
  spy log verify --holds \"$(cat noted-last-month)\"")]
struct VerifyArgs {
    /// An entry as an earlier run printed it: the log must still hold it
    #[arg(long, value_name = "NUMBER:HASH")]
    holds: Option<Anchor>,
    /// Leave aside what was found before that entry and is known
    #[arg(long, value_name = "NUMBER", default_value = "1", hide_default_value = true)]
    from: u64,
}

/// What a verification found, in JSON.
#[derive(Serialize)]
struct Verified<'a> {
    ok: bool,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let Args { command, since, session, who, file } = args;
    let place = Place::of(file, context)?;
    let wanted = Wanted { since, session, who };
    match command {
        None => list(&wanted, &place, context).await,
        Some(Command::Verify(_)) if wanted != Wanted::default() => Err(Fault::new(
            FaultCode::Usage,
            "a log is verified whole: --since, --session and --who choose what is shown",
        )
        .hint("--from leaves aside what was found before an entry")
        .into()),
        Some(Command::Verify(args)) => verify(args, &place, context).await,
    }
}

/// Where the log is read.
enum Place {
    /// Here and nowhere else.
    File(PathBuf),
    /// Here where this account may read it, else by the server.
    Usual(PathBuf),
    /// By the server that is named.
    Server,
}

impl Place {
    fn of(file: Option<PathBuf>, context: &Context) -> Result<Self, Failure> {
        if let Some(file) = file {
            return Ok(Self::File(file));
        }
        let common = &context.common;
        if common.host.is_some() || common.socket.is_some() || environment().wirechief_socket.is_some() {
            return Ok(Self::Server);
        }
        Ok(Self::Usual(context.state_folder().join(super::settings(context)?.supervision.log)))
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Usual(path) => Some(path),
            Self::Server => None,
        }
    }

    /// Whether the server is to be asked after that went wrong here.
    fn goes_on(&self, error: &EvidenceError) -> bool {
        let is_elsewhere = match error {
            EvidenceError::Missing { .. } => true,
            EvidenceError::Io { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
            _ => false,
        };
        is_elsewhere && matches!(self, Self::Usual(_))
    }
}

/// What the server says; where none answers, what went wrong here.
fn settled<T>(asked: Result<T, Failure>, here: Option<EvidenceError>) -> Result<T, Failure> {
    match (asked, here) {
        (Err(Failure::Fault(fault)), Some(here)) if fault.code == FaultCode::Unreachable => {
            let here = Fault::from(&here);
            Err(if here.hint.is_some() { here } else { here.hint("and no server runs that could be asked") }.into())
        }
        (asked, _) => asked,
    }
}

async fn list(wanted: &Wanted, place: &Place, context: &Context) -> Done {
    let mut rows = Vec::new();
    let mut failed = None;
    let mut show = |record: Record| {
        if !context.output.is_json() {
            rows.push(row(&record));
            return ControlFlow::Continue(());
        }
        match context.output.json_line(&record) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                failed = Some(failure);
                ControlFlow::Break(())
            }
        }
    };
    let read = place.path().map(|path| evidence::read(path, wanted, |record| show(record).is_continue()));
    match read {
        Some(Ok(0)) => {}
        Some(Ok(unread)) => context.output.note(&format!("{unread} lines are no entries: `spy log verify` tells more")),
        Some(Err(error)) if !place.goes_on(&error) => return Err(Fault::from(&error).into()),
        other => {
            let asked = ask_for_entries(wanted, context, &mut show).await;
            settled(asked, other.and_then(Result::err))?;
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    if !context.output.is_json() {
        context.output.table(&HEADER, &rows)?;
    }
    Ok(Exit::Ok)
}

async fn ask_for_entries(
    wanted: &Wanted,
    context: &Context,
    show: &mut dyn FnMut(Record) -> ControlFlow<()>,
) -> Result<(), Failure> {
    let mut client = context.connect().await?;
    Ok(client.each((method::SPY_LOG, wanted), show).await?)
}

fn row(record: &Record) -> Vec<String> {
    let entry = &record.entry;
    let person = |person: &Option<Person>| {
        person.as_ref().map_or_else(String::new, |person| person.user.clone().unwrap_or_else(|| person.number.clone()))
    };
    let why = [entry.reason.as_str(), entry.why.as_str()].into_iter().filter(|text| !text.is_empty());
    vec![
        record.seq.to_string(),
        words::local(record.time),
        entry.event.word().to_owned(),
        entry.who.clone(),
        entry.via.clone(),
        entry.mode.clone(),
        person(&entry.target),
        person(&entry.peer),
        entry.talks.join(" "),
        why.collect::<Vec<_>>().join("; "),
    ]
}

async fn verify(args: VerifyArgs, place: &Place, context: &Context) -> Done {
    let VerifyArgs { holds, from } = args;
    let mut report = match place.path().map(|path| evidence::verify_for(path, holds.as_ref())) {
        Some(Ok(report)) => report,
        Some(Err(error)) if !place.goes_on(&error) => return Err(Fault::from(&error).into()),
        other => settled(ask_to_verify(LogVerify { holds }, context).await, other.and_then(Result::err))?,
    };
    report.findings.retain(|finding| finding.through.or(finding.seq).is_none_or(|seq| seq >= from));
    let wrong = report.first_wrong().cloned();
    if context.output.is_json() {
        context.output.document("spy.log.verify/1", &Verified { ok: wrong.is_none(), report: &report })?;
    } else {
        for finding in &report.findings {
            context.output.line(&format!("{:<9} {}", finding.class.word(), finding.what))?;
        }
        if report.more > 0 {
            context.output.line(&format!("and {} more", report.more))?;
        }
        context.output.line(&format!("{} entries, the last is {}:{}", report.entries, report.last, report.hash))?;
    }
    match wrong {
        None => Ok(Exit::Ok),
        Some(first) => {
            let name = place.path().map_or_else(|| "the server's log".to_owned(), |path| path.display().to_string());
            Err(Fault::new(FaultCode::Invalid, format!("{name}: {}", first.what)).into())
        }
    }
}

async fn ask_to_verify(wanted: LogVerify, context: &Context) -> Result<Report, Failure> {
    let time = context.common.timeout.unwrap_or(VERIFYING);
    let mut client = context.connect().await?;
    let answer = tokio::time::timeout(time, client.request(method::SPY_LOG_VERIFY, &wanted)).await;
    Ok(answer.unwrap_or(Err(ClientError::TimedOut(time)))?)
}
