//! `pbx regs`: the phones registered now.

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::cli::words;
use crate::control::protocol::{Fault, FaultCode, RegistrationInfo, method};

/// List the registered phones, or those of one user
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List all registered phones
    Ls,
    /// Show the phones of a user; exit 3 when there is none
    Show {
        /// The user's name
        user: String,
    },
}

#[derive(Serialize)]
struct Registrations {
    registrations: Vec<RegistrationInfo>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let mut registrations: Vec<RegistrationInfo> = context.list(method::REGISTRATIONS, &()).await?;
    if let Command::Show { user } = &args.command {
        registrations.retain(|phone| phone.user == *user);
        if registrations.is_empty() {
            return Err(Fault::new(FaultCode::NotFound, format!("{user}: no phone is registered")).into());
        }
    }
    if context.output.is_json() {
        context.output.document("pbx.regs/1", &Registrations { registrations })?;
    } else {
        let rows: Vec<Vec<String>> = registrations.iter().map(row).collect();
        context.output.table(&["USER", "CONTACT", "SOURCE", "LEFT", "PHONE"], &rows)?;
    }
    Ok(Exit::Ok)
}

fn row(phone: &RegistrationInfo) -> Vec<String> {
    vec![
        phone.user.clone(),
        phone.contact.clone(),
        phone.source.clone(),
        words::duration(phone.expires_in_s as f64),
        phone.user_agent.clone().unwrap_or_default(),
    ]
}
