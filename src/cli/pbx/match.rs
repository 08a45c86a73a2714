//! `pbx match`: which extension a number means, and why the others do not fit; without a server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::run::load_fault;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::{self, BUILTIN_EXTENSIONS, Config, Secret};
use crate::control::protocol::{Fault, FaultCode};
use crate::dialplan::{Dialplan, Disk, Explanation, PlanError, Query};
use crate::pbx::sources::Source;

/// Show which extension a number means, and why the others do not fit
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx match 4711
  pbx match 4711 --context internal --caller 1001
  pbx match '*1234178575309' --file extensions.conf --json | jq -r .extension.name

Without --context: the context of the users, where all have the same; else [default]; else the only one there is.
Exit code 3: nothing matches. Exit code 5: the dialplan is wrong.")]
pub(super) struct Args {
    /// What is dialled
    number: String,
    /// Where it is dialled
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// This dialplan instead of the configured one
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The number of the one who dials
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    caller: String,
}

pub(super) fn run(args: Args, context: &Context) -> Done {
    let (plan, users) = match &args.file {
        Some(file) => (from_file(file)?, None),
        None => configured(context)?,
    };
    let place = match args.context {
        Some(name) if plan.has_context(&name) => name,
        Some(name) => return Err(nowhere(&name, &plan).into()),
        None => usual(&plan, users.as_ref())?,
    };
    let explanation = plan.explain(&Query::new(&place, &args.number).caller(&args.caller));
    if context.output.is_json() {
        context.output.document("pbx.match/1", &explanation)?;
    } else {
        for line in lines(&explanation) {
            context.output.line(&line)?;
        }
    }
    if explanation.extension.is_some() { Ok(Exit::Ok) } else { Err(Failure::Silent(Exit::NotFound)) }
}

fn from_file(file: &Path) -> Result<Dialplan, Fault> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Fault::new(FaultCode::Invalid, format!("{}: cannot read the dialplan: {error}", file.display()))
    })?;
    Dialplan::load(&[(file.to_owned(), text)], &Disk).map_err(|errors| wrong(&errors))
}

/// The plan a server would start with, and its settings.
pub(super) fn configured(context: &Context) -> Result<(Dialplan, Option<Config>), Fault> {
    let files = context.settings_files();
    if files.is_empty() {
        let texts = [(PathBuf::from("extensions.conf"), BUILTIN_EXTENSIONS.to_owned())];
        let plan = Dialplan::parse(&texts).map_err(|errors| wrong(&errors))?;
        // no password is needed to know a context
        let settings = config::builtin(&["1001", "1002", "1003"].map(|user| Secret::new(user.to_owned())));
        return Ok((plan, settings.ok()));
    }
    let loaded = Source::Files(files).read(&context.state_folder()).map_err(|error| load_fault(&error))?;
    Ok((Dialplan::clone(&loaded.plan), Some(loaded.config)))
}

fn wrong(errors: &[PlanError]) -> Fault {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Fault::new(FaultCode::Invalid, lines.join("\n"))
}

fn nowhere(name: &str, plan: &Dialplan) -> Fault {
    let hint = config::nearest(name, plan.context_names()).map(|near| format!(", did you mean [{near}]?"));
    Fault::new(FaultCode::Usage, format!("there is no context [{name}]{}", hint.unwrap_or_default()))
}

/// The context that is meant when none is named.
fn usual(plan: &Dialplan, settings: Option<&Config>) -> Result<String, Fault> {
    let users = settings.into_iter().flat_map(|settings| settings.users.values());
    let users: BTreeSet<&str> = users.map(|user| user.context.as_str()).filter(|name| plan.has_context(name)).collect();
    let only = |names: &[&str]| if let [name] = names { Some((*name).to_owned()) } else { None };
    let all: Vec<&str> = plan.context_names().collect();
    let default = || plan.has_context("default").then(|| "default".to_owned());
    only(&users.into_iter().collect::<Vec<_>>())
        .or_else(default)
        .or_else(|| only(&all))
        .ok_or_else(|| Fault::new(FaultCode::Usage, format!("say --context CONTEXT; there are {}", all.join(", "))))
}

fn lines(explanation: &Explanation) -> Vec<String> {
    let Explanation { number, context, extension, tried } = explanation;
    let mut lines = Vec::new();
    match extension {
        Some(found) => {
            let caller = found.caller.as_ref().map(|caller| format!("/{caller}")).unwrap_or_default();
            lines.push(format!(
                "{number} in [{context}] is {}{caller} of [{}], {}:{}",
                found.name, found.context, found.file, found.line
            ));
            lines.extend(found.priorities.iter().map(|priority| {
                let label = priority.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
                format!("  {}{label} {}", priority.priority, priority.application)
            }));
        }
        None => lines.push(format!("{number} in [{context}] is nothing")),
    }
    lines.extend(tried.iter().map(|tried| format!("not {} of [{}]: {}", tried.name, tried.context, tried.reason)));
    lines
}
