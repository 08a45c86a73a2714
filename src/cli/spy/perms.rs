//! `spy perms`: who may supervise whom; as the running server has it, else as one would start.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{Fault, FaultCode, Perms, UserPerms, method};

const HEADER: [&str; 7] = ["USER", "MAY SPY", "CEILING", "ON GROUPS", "MAY BE SPIED", "GROUPS", "ACCOUNTS"];

/// Show who may listen, whisper and barge, on whom, and who is exempt
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  spy perms 1001
  spy perms --json | jq -r '.perms[]|select(.may_spy!=\"none\").user'")]
pub(super) struct Args {
    /// Only that user
    user: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let mut perms = in_force(context).await?;
    if let Some(user) = args.user {
        perms.perms.retain(|known| known.user == user);
        if perms.perms.is_empty() {
            let fault = Fault::new(FaultCode::NotFound, format!("{user}: no such user"));
            return Err(fault.hint("`spy perms` lists them").into());
        }
    }
    if context.output.is_json() {
        context.output.document("spy.perms/1", &perms)?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = perms.perms.iter().map(row).collect();
    context.output.table(&HEADER, &rows)?;
    let admins = perms.admins.join(" and ");
    context.output.note(&format!("{admins}: every right but on those who may not be spied"));
    if perms.source != "server" {
        context.output.note("no server runs: this is what the settings say");
    }
    Ok(Exit::Ok)
}

/// With `--config`, that file; else what the server says; without one, what a server would read.
async fn in_force(context: &Context) -> Result<Perms, Failure> {
    if context.common.config.is_none() {
        match context.ask(method::SPY_PERMS, &()).await {
            Err(Failure::Fault(fault)) if fault.code == FaultCode::Unreachable && context.common.host.is_none() => {}
            answer => return answer,
        }
    }
    Ok(Perms::of(
        &super::settings(context)?,
        "configuration",
        vec!["root".to_owned(), "the server's account".to_owned()],
    ))
}

fn row(perms: &UserPerms) -> Vec<String> {
    let groups = perms.spy_groups.as_ref().map_or_else(|| "all".to_owned(), |groups| groups.join(" "));
    vec![
        perms.user.clone(),
        perms.may_spy.clone(),
        perms.ceiling.clone(),
        if perms.may_spy == "none" { String::new() } else { groups },
        if perms.may_be_spied { "yes" } else { "no" }.to_owned(),
        perms.groups.join(" "),
        perms.shell_accounts.join(" "),
    ]
}
