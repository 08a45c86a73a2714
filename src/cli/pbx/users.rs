//! `pbx users`: the configured accounts.

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{Fault, FaultCode, RegistrationInfo, UserInfo, method};

/// List the users, or show one
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the users
    Ls,
    /// Show a user and the phones registered
    Show {
        /// The name
        user: String,
    },
}

#[derive(Serialize)]
struct Users {
    users: Vec<UserInfo>,
}

#[derive(Serialize)]
struct User {
    #[serde(flatten)]
    user: UserInfo,
    phones: Vec<RegistrationInfo>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let users: Vec<UserInfo> = context.list(method::USERS, &()).await?;
    match args.command {
        Command::Ls if context.output.is_json() => context.output.document("pbx.users/1", &Users { users })?,
        Command::Ls => {
            let rows: Vec<Vec<String>> = users.iter().map(row).collect();
            context.output.table(&["USER", "CALLER ID", "CONTEXT", "PHONES", "CALLS", "MAY SPY", "GROUPS"], &rows)?;
        }
        Command::Show { user } => {
            let missing =
                || Fault::new(FaultCode::NotFound, format!("{user}: no such user")).hint("`pbx users ls` lists them");
            let found = users.into_iter().find(|known| known.user == user).ok_or_else(missing)?;
            show(found, context).await?;
        }
    }
    Ok(Exit::Ok)
}

fn row(user: &UserInfo) -> Vec<String> {
    vec![
        user.user.clone(),
        user.caller_id.clone().unwrap_or_default(),
        user.context.clone(),
        user.registrations.to_string(),
        user.calls.to_string(),
        user.may_spy.clone(),
        user.groups.join(","),
    ]
}

async fn show(user: UserInfo, context: &Context) -> Done {
    let mut phones: Vec<RegistrationInfo> = context.list(method::REGISTRATIONS, &()).await?;
    phones.retain(|phone| phone.user == user.user);
    if context.output.is_json() {
        context.output.document("pbx.user/1", &User { user, phones })?;
        return Ok(Exit::Ok);
    }
    let line = |name: &str, value: &str| context.output.line(&format!("{name:<13} {value}"));
    line("user", &user.user)?;
    line("caller_id", user.caller_id.as_deref().unwrap_or("-"))?;
    line("context", &user.context)?;
    line("groups", &user.groups.join(","))?;
    line("may_spy", &user.may_spy)?;
    line("may_be_spied", if user.may_be_spied { "yes" } else { "no" })?;
    line("calls", &user.calls.to_string())?;
    for phone in &phones {
        line("phone", &format!("{} from {}, {} s left", phone.contact, phone.source, phone.expires_in_s))?;
    }
    Ok(Exit::Ok)
}
