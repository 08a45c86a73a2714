//! `rec verify`: calls without their recording, recordings without their receipt, damaged files. And a new queue where the old is broken.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde::Serialize;

use super::place::Place;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::output::shown;
use crate::cli::rows::Rows;
use crate::cli::words;
use crate::config::{Config, RecordChoice};
use crate::outbox::verify::{Call, Depth, Finding, Scope, Verified};
use crate::outbox::{Rebuilt, rebuild};

/// Look for calls without recordings, recordings without receipts, and damaged files
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec verify
  rec verify --deep --since 1d --json | jq -r '.findings[]|[.kind,.file,.what]|@tsv'
  0 5 * * *  rec verify -q --deep --since 1d

Compared are the detail records, the queue, the manifests, and the files: their sizes and heads, with --deep every byte by its SHA-256. A call is
missed here when it was answered by two, and the settings say that such calls are recorded.

Exit code 0: nothing is wrong; 5: a recording is missing or damaged; 6: all are whole, but something is not delivered.")]
pub(super) struct Args {
    /// Only calls and recordings that began since: 2h, 1d ago, 2026-11-20, or 2026-11-20T21:00:00Z
    #[arg(long, value_name = "TIME", value_parser = words::since)]
    since: Option<Timestamp>,
    /// Read every byte
    #[arg(long)]
    deep: bool,
    /// Put a broken queue aside and make a new one from the manifests; everything is offered to every remote once more
    #[arg(long, conflicts_with_all = ["since", "deep"])]
    rebuild: bool,
}

/// A finding as `rec verify --json` tells it.
#[derive(Serialize)]
struct JsonFinding {
    kind: &'static str,
    damage: bool,
    id: Option<String>,
    call: Option<String>,
    file: Option<String>,
    what: String,
}

#[derive(Serialize)]
struct JsonRebuilt {
    recordings: u64,
    aside: Option<String>,
    unreadable: Vec<(String, String)>,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    if args.rebuild {
        return anew(place, context);
    }
    let Some(desk) = place.find(context)? else {
        return Rows::begin(&context.output, "rec.findings/1", "findings").end(|_| String::new()).map(|_| Exit::Ok);
    };
    let calls: PathBuf = context.state_folder().join(&desk.settings.records.file);
    let scope = Scope {
        since: args.since,
        depth: if args.deep { Depth::Deep } else { Depth::Quick },
        // A spool that was named is not that of the server whose calls these are.
        calls: place.spool.is_none().then_some(calls.as_path()),
        rule: &|call| rule(&desk.settings, call),
    };
    let mut rows = Rows::begin(&context.output, "rec.findings/1", "findings");
    let (mut damage, mut left, mut is_closed) = (false, false, false);
    let verified = desk.outbox.verify(&scope, &mut |finding| {
        damage |= finding.kind.is_damage();
        left |= !finding.kind.is_damage();
        if !is_closed {
            is_closed = put(&mut rows, finding, context) == ControlFlow::Break(());
        }
    })?;
    rows.end(|_| String::new())?;
    let Verified { calls, recordings, findings, .. } = verified;
    context.output.note(&format!("{recordings} recordings and {calls} calls looked at, {findings} findings"));
    match (damage, left) {
        (true, _) => Err(Failure::Silent(Exit::Invalid)),
        (false, true) => Err(Failure::Silent(Exit::Partial)),
        (false, false) => Ok(Exit::Ok),
    }
}

fn put(rows: &mut Rows<'_>, finding: Finding, context: &Context) -> ControlFlow<()> {
    let kind = finding.kind.word();
    if context.output.is_json() {
        let (damage, id) = (finding.kind.is_damage(), finding.id.map(|id| id.to_string()));
        let Finding { call, file, what, .. } = finding;
        return rows.json(&JsonFinding { kind, damage, id, call, file, what });
    }
    let id = finding.id.map(|id| id.to_string()).or(finding.call);
    let name = id.or(finding.file).unwrap_or_default();
    rows.line(&format!("{kind:<11} {} {}\n", shown(&name), shown(&finding.what)))
}

/// The rule by which a call that two people talked in was to be recorded, as far as its detail record tells.
fn rule(settings: &Config, call: &Call) -> Option<String> {
    let answered: Vec<_> = call.legs.iter().filter(|leg| leg.answered.is_some()).collect();
    let [first, .., last] = answered.as_slice() else { return None };
    let own = |user: &Option<String>| {
        let user = user.as_ref()?;
        Some((settings.users.get(user)?.record?, format!("user {user}")))
    };
    let owns: Vec<(RecordChoice, String)> = answered.iter().filter_map(|leg| own(&leg.user)).collect();
    let is_outside = |user: &Option<String>| user.is_none();
    // A trunk's own word may hold for somebody outside, and the record does not name the trunk.
    let has_trunk = answered.iter().any(|leg| is_outside(&leg.user));
    let unsure = has_trunk && settings.trunks.values().any(|trunk| trunk.record.is_some());
    if unsure || owns.iter().any(|(choice, _)| *choice == RecordChoice::Never) {
        return None;
    }
    let fits = |choice| match choice {
        RecordChoice::Always => true,
        RecordChoice::Never => false,
        RecordChoice::In => is_outside(&first.user) && !is_outside(&last.user),
        RecordChoice::Out => !is_outside(&first.user) && is_outside(&last.user),
    };
    let by_user = owns.into_iter().find(|(choice, _)| fits(*choice)).map(|(_, rule)| rule);
    by_user.or_else(|| fits(settings.recording.record).then(|| "[recording] record".to_owned()))
}

/// A new queue from the manifests.
fn anew(place: &Place, context: &Context) -> Done {
    let (folder, settings) = place.folder_and_settings(context)?;
    let names: Vec<&str> = settings.remotes.keys().map(String::as_str).collect();
    if context.common.dry_run {
        context.output.note(&format!("would make a new queue in {}", folder.display()));
        return Ok(Exit::Ok);
    }
    let (_, Rebuilt { recordings, aside, unreadable }) = rebuild(&folder, &names)?;
    let left = unreadable.len();
    if context.output.is_json() {
        context.output.document("rec.rebuilt/1", &JsonRebuilt { recordings, aside, unreadable })?;
    } else {
        for (name, why) in &unreadable {
            context.output.line(&format!("{name}: {why}"))?;
        }
        let aside = aside.map(|aside| format!("; the old queue is {aside}")).unwrap_or_default();
        context.output.note(&format!("{recordings} recordings are in the new queue{aside}"));
    }
    if left == 0 { Ok(Exit::Ok) } else { Err(Failure::Silent(Exit::Partial)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(text: &str) -> Config {
        crate::config::load(&[PathBuf::from("pbx.toml")], &|_| Ok(text.to_owned())).unwrap()
    }

    fn call(users: [Option<&str>; 2]) -> Call {
        let at = "2026-11-20T21:00:00Z";
        let leg = |user| json!({"uuid": "l", "user": user, "number": "1", "answered": at});
        let legs = users.map(leg);
        serde_json::from_value(json!({"uuid": "c", "started": at, "answered": at, "ended": at, "legs": legs})).unwrap()
    }

    #[test]
    fn a_call_is_missed_by_the_rule_that_holds_for_it() {
        let text = "[recording]\nrecord = \"in\"\n[users.ann]\npassword = \"p\"\ncontext = \"c\"\nrecord = \"always\"\n\
                    [users.bob]\npassword = \"p\"\ncontext = \"c\"\nrecord = \"never\"\n[users.cid]\npassword = \"p\"\ncontext = \"c\"\n";
        let settings = settings(text);
        let cases = [
            ([Some("ann"), Some("cid")], Some("user ann")),
            ([Some("ann"), Some("bob")], None),
            ([Some("cid"), Some("cid")], None),
            ([None, Some("cid")], Some("[recording] record")),
            ([Some("cid"), None], None),
        ];
        for (users, expected) in cases {
            assert_eq!(rule(&settings, &call(users)).as_deref(), expected, "{users:?}");
        }
        let mut alone = call([Some("ann"), None]);
        alone.legs.pop();
        assert_eq!(rule(&settings, &alone), None, "who talks with nobody is not missed");
    }
}
