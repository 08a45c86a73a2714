//! `rec forget`, `rec rename` and `rec purge`: what is done to recordings that are whole.

use std::time::Duration;

use clap::Args as ClapArgs;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::place::Place;
use super::push::size;
use super::several::Several;
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::{parse_duration, print_duration};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::manifest::stem;
use crate::outbox::name::Template;
use crate::outbox::{Doing, Filter, OutboxError, Purge, RecordingId, Spool, State, Undelivered, Which};

/// Remove the sound of recordings, delivered or not; that they were, their hashes and receipts are kept
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec forget c7709e9c --dry-run
  rec forget c7709e9c --yes

Of several each is removed on its own. Exit code 6: some were, some could not be; those are told.")]
pub(super) struct ForgetArgs {
    /// Ids or their beginnings, names of files, or UUIDs or UNIQUEIDs of calls
    #[arg(value_name = "ID", required = true, add = complete::recordings())]
    ids: Vec<String>,
    /// It is meant: nothing brings the sound back
    #[arg(long)]
    yes: bool,
}

/// Give recordings other names
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec rename --template '{date}/{callerid}-{exten}-{uniqueid}' --dry-run
  rec rename --template '{start}-{caller}-{callee}' c7709e9c

Fields: {start} {date} {time} {direction} {caller} {callee} {callerid} {exten} {uniqueid} {uuid} {agent} {room} {trunk}. Of what they hold
only letters of ASCII, digits and + . _ - survive. Where a name is taken, -2, -3 and so on is added. A name is a label: id, hash and
deliveries stay as they are.")]
pub(super) struct RenameArgs {
    /// Only these; without any, all that are whole
    #[arg(value_name = "ID", add = complete::recordings())]
    ids: Vec<String>,
    /// What they are called then
    #[arg(long, value_name = "TEMPLATE", value_parser = template)]
    template: Template,
}

/// Remove the sound of old recordings that every remote has confirmed
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec purge --keep 90d --dry-run
  0 3 * * *  rec purge -q --keep 90d

A recording that no remote wanted, or that one has given no receipt for, is never purged; `rec forget` removes one on purpose. That they were,
their hashes and receipts are kept: `rec ls --gone` lists them.")]
pub(super) struct PurgeArgs {
    /// How old they have to be
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    keep: Duration,
    /// Only what is delivered: this is always so
    #[arg(long)]
    only_delivered: bool,
}

#[derive(Serialize)]
struct Changed {
    recordings: Vec<JsonChanged>,
}

#[derive(Serialize)]
struct JsonChanged {
    id: String,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

fn template(text: &str) -> Result<Template, String> {
    Template::parse(text).map_err(|error| error.to_string())
}

pub(super) fn forget(args: &ForgetArgs, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    desk.outbox.mend()?;
    let mut several = Several::new(context);
    let ids = several.meant(&args.ids, &desk)?;
    if !ids.is_empty() && !args.yes && !context.common.dry_run {
        let what = if let [one] = ids.as_slice() { one.to_string() } else { format!("{} recordings", ids.len()) };
        let fault = Fault::new(FaultCode::Usage, format!("{what}: nothing would bring the sound back"));
        return Err(fault.hint("--yes says that it is meant, --dry-run shows what would go").into());
    }
    let mut recordings = Vec::new();
    for id in ids {
        several.each(id, &desk, |manifest| {
            let file = manifest.file;
            let what = match (context.common.dry_run, manifest.state) {
                (true, State::Open) => return Err(OutboxError::State { id, state: "open", wanted: "forgotten" }.into()),
                (_, State::Gone) => "was gone already:",
                (true, _) => "would remove",
                (false, _) => "removed",
            };
            if !context.common.dry_run {
                desk.outbox.forget(id, Undelivered::Removed)?;
            }
            context.output.note(&format!("{what} {file} ({id})"));
            recordings.push(JsonChanged { id: id.to_string(), file, was: None, bytes: Some(manifest.audio.bytes) });
            Ok(())
        })?;
    }
    as_json("rec.forget/1", recordings, context)?;
    several.end()
}

pub(super) fn rename(args: &RenameArgs, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    if !context.common.dry_run {
        desk.outbox.mend()?;
    }
    let mut several = Several::new(context);
    let ids: Vec<RecordingId> = if args.ids.is_empty() {
        let all = Filter { which: Which::Closed, ..Filter::default() };
        desk.outbox.list(&all)?.into_iter().map(|listed| listed.id).collect()
    } else {
        several.meant(&args.ids, &desk)?
    };
    let zone = TimeZone::system();
    let mut plan = desk.outbox.plan();
    let mut recordings = Vec::new();
    for id in ids {
        several.each(id, &desk, |manifest| {
            let was = manifest.file.clone();
            let wished = args.template.fill(&manifest, &zone);
            if stem(&was) == wished {
                return Ok(());
            }
            let file =
                if context.common.dry_run { plan.rename(id, &wished)? } else { desk.outbox.rename(id, &wished)?.file };
            if file == was {
                return Ok(());
            }
            if !context.output.is_json() {
                context.output.line(&format!("{was} → {file}"))?;
            }
            recordings.push(JsonChanged { id: id.to_string(), file, was: Some(was), bytes: None });
            Ok(())
        })?;
    }
    as_json("rec.rename/1", recordings, context)?;
    several.end()
}

pub(super) fn purge(args: &PurgeArgs, place: &Place, context: &Context) -> Done {
    let Some(desk) = place.find(context)? else { return as_json("rec.purge/1", Vec::new(), context) };
    let doing = if context.common.dry_run { Doing::DryRun } else { Doing::Really };
    if doing == Doing::Really {
        desk.outbox.mend()?;
        desk.outbox.spool().sweep(Spool::LEFT_OVER)?;
    }
    let purged = desk.outbox.purge(&Purge { keep: args.keep, undelivered: Undelivered::Kept, doing })?;
    let bytes: u64 = purged.iter().map(|one| one.bytes).sum();
    let verb = if doing == Doing::Really { "removed" } else { "would remove" };
    if doing == Doing::DryRun && !context.output.is_json() {
        for one in &purged {
            context.output.line(&format!("would remove {} ({})", one.file, one.id))?;
        }
    }
    let (count, age) = (purged.len(), print_duration(args.keep));
    context.output.note(&format!("{verb} {count} recordings older than {age} ({})", size(bytes)));
    let changed = |one: crate::outbox::Purged| JsonChanged {
        id: one.id.to_string(),
        file: one.file,
        was: None,
        bytes: Some(one.bytes),
    };
    as_json("rec.purge/1", purged.into_iter().map(changed).collect(), context)
}

fn as_json(schema: &str, recordings: Vec<JsonChanged>, context: &Context) -> Result<Exit, Failure> {
    if context.output.is_json() {
        context.output.document(schema, &Changed { recordings })?;
    }
    Ok(Exit::Ok)
}
