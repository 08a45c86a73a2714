//! `rec import`: recordings of an exchange that is not ours are taken into the spool, each once, to be delivered like our own.
//! The way: `folder` finds what is whole, `name` reads what names say, `copy` brings it into the spool, the outbox adopts it.

mod copy;
mod folder;
mod ledger;
mod name;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args as ClapArgs;
use serde::Serialize;

use self::copy::{CopyError, Mode};
use self::folder::Take;
use self::ledger::Ledger;
use super::place::{Desk, Place};
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::parse_duration;
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::Spool;

/// Take recordings of Asterisk or FreePBX into the spool, each once
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec import /var/spool/asterisk/monitor
  */5 * * * *  rec import -q /var/spool/asterisk/monitor; rec push -q --max-time 4m
  rec import --dry-run /var/spool/asterisk/monitor

The folder is looked through with all below it. Names like out-4178575309-1001-20240102-101112-1704190272.12.wav say who called whom and when.
NAME-in and NAME-out become one recording with two sides of equal length. What is still being written, or was within --quiet-for, is left for
the next time; a head that does not know its length is mended in the copy. The folder itself is never changed. With --in-place nothing is copied:
it must lie within the spool then, and be private as the spool is.

What was imported once is not imported again, whatever it is called. What cannot be imported is told of once, and tried again when it has
changed, or with --again. Exit code 6: some files could not be taken; they are named.")]
pub(super) struct Args {
    /// The folder
    #[arg(value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
    /// Copy into the spool (this is usual)
    #[arg(long, conflicts_with = "in_place")]
    copy: bool,
    /// Leave files where they are, within the spool
    #[arg(long)]
    in_place: bool,
    /// Leave for later what was written to within that time
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "60s")]
    quiet_for: Duration,
    /// Try what could not be imported before, too
    #[arg(long)]
    again: bool,
}

#[derive(Serialize, Default)]
struct Report {
    imported: Vec<JsonImported>,
    /// Of a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    would: Vec<Vec<PathBuf>>,
    already: u64,
    later: Vec<PathBuf>,
    refused: Vec<JsonRefused>,
    refused_before: Vec<JsonRefused>,
}

#[derive(Serialize)]
struct JsonImported {
    id: String,
    file: String,
    from: Vec<PathBuf>,
}

#[derive(Serialize)]
struct JsonRefused {
    path: PathBuf,
    why: String,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let failed = |error: std::io::Error| {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => FaultCode::NotFound,
            std::io::ErrorKind::PermissionDenied => FaultCode::Denied,
            std::io::ErrorKind::NotADirectory => {
                let fault = Fault::new(FaultCode::Usage, format!("{}: this is no folder", args.folder.display()));
                return fault.hint("name the folder that the recordings lie in");
            }
            _ => FaultCode::Failure,
        };
        Fault::new(code, format!("{}: {error}", args.folder.display()))
    };
    let looked = folder::look(&args.folder, (SystemTime::now(), args.quiet_for)).map_err(failed)?;
    let desk = if context.common.dry_run { place.find(context)? } else { Some(place.make(context)?) };
    let mut report = Report { later: looked.later, ..Report::default() };
    for (path, error) in looked.unread {
        let why = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "this account may not look into it".to_owned(),
            _ => error.to_string(),
        };
        report.refused.push(JsonRefused { path, why });
    }
    match &desk {
        Some(desk) => all(args, looked.takes, (desk, context), &mut report)?,
        // A dry run before there is a spool.
        None => looked.takes.iter().for_each(|take| would(take, context, &mut report)),
    }
    told(&report, context)
}

fn all(args: &Args, takes: Vec<Take>, (desk, context): (&Desk, &Context), report: &mut Report) -> Result<(), Failure> {
    let mode = mode(args, desk)?;
    if !context.common.dry_run {
        desk.prepare()?;
        desk.outbox.spool().sweep(Spool::LEFT_OVER)?;
    }
    let mut ledger = Ledger::open(desk.outbox.spool())?;
    for take in takes {
        if ledger.has(&take) {
            report.already += 1;
            continue;
        }
        let first = || take.files().map(|file| file.path.clone()).next().unwrap_or_default();
        if let Some(why) = ledger.refused(&take).filter(|_| !args.again) {
            report.refused_before.push(JsonRefused { path: first(), why: why.to_owned() });
            continue;
        }
        if context.common.dry_run {
            match copy::id_of(&take) {
                Ok(id) if desk.outbox.get(id)?.is_some() => report.already += 1,
                _ => would(&take, context, report),
            }
            continue;
        }
        let from: Vec<PathBuf> = take.files().map(|file| file.path.clone()).collect();
        match copy::import(&take, &mode, desk) {
            Ok((manifest, is_new)) => {
                ledger.add(&take, manifest.id);
                if is_new {
                    report.imported.push(JsonImported { id: manifest.id.to_string(), file: manifest.file, from });
                } else {
                    report.already += 1;
                }
            }
            Err(CopyError::Changed) => report.later.extend(from),
            Err(CopyError::Refused(why)) => {
                ledger.refuse(&take, &why);
                report.refused.push(JsonRefused { path: first(), why });
            }
            Err(CopyError::Unread(why)) => report.refused.push(JsonRefused { path: first(), why }),
            Err(CopyError::Outbox(error)) => return Err(error.into()),
            Err(CopyError::Disk(why)) => return Err(Fault::new(FaultCode::Failure, why).into()),
        }
    }
    ledger.save();
    Ok(())
}

fn mode(args: &Args, desk: &Desk) -> Result<Mode, Failure> {
    if !args.in_place {
        return Ok(Mode::Copy);
    }
    let spool = desk.outbox.spool().path().canonicalize()?;
    let folder = args.folder.canonicalize()?;
    match folder.strip_prefix(&spool) {
        Ok(below) => Ok(Mode::InPlace(below.to_owned())),
        Err(_) => {
            let message = format!("{}: it does not lie within the spool {}", folder.display(), spool.display());
            let hint = format!("without --in-place it is copied; `--spool {}` makes it the spool", folder.display());
            Err(Fault::new(FaultCode::Usage, message).hint(hint).into())
        }
    }
}

fn would(take: &Take, context: &Context, report: &mut Report) {
    let files: Vec<PathBuf> = take.files().map(|file| file.path.clone()).collect();
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    if !context.output.is_json() {
        context.output.note(&format!("would import {}", names.join(" and ")));
    }
    report.would.push(files);
}

fn told(report: &Report, context: &Context) -> Done {
    let refused = report.refused.len();
    if context.output.is_json() {
        context.output.document("rec.import/1", report)?;
    } else {
        let (imported, already, later) = (report.imported.len(), report.already, report.later.len());
        let before = match report.refused_before.len() {
            0 => String::new(),
            before => format!(", {before} refused before (--again tries them)"),
        };
        let line =
            format!("{imported} imported, {already} already here, {later} for later, {refused} not taken{before}");
        context.output.note(&line);
    }
    let Some(first) = report.refused.first() else { return Ok(Exit::Ok) };
    let more = if refused > 1 { format!(" (and {} more not taken)", refused - 1) } else { String::new() };
    let message = format!("{}: {}{more}", first.path.display(), first.why);
    let fault = Fault::new(FaultCode::Partial, message);
    context.output.fault(&if refused > 1 { fault.hint("--json names them all") } else { fault });
    Err(Failure::Silent(Exit::Partial))
}

/// The folders above a name, and the name itself.
fn below(folder: &Path, name: &str) -> String {
    let joined = folder.join(name);
    joined.to_string_lossy().into_owned()
}
