//! `pbx codes`: the feature codes in force; those of the configured dialplan where no server runs.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::r#match::configured;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{CodeInfo, FaultCode, method};
use crate::pbx::backend::codes_of;

/// List the feature codes in force: what is dialled as * or # and digits
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx codes
  pbx codes --config /etc/wirechief/pbx.toml
  pbx codes --json | jq -r '.codes[].code'

Where no server runs, and with --config, the codes are those of the configured dialplan.")]
pub(super) struct Args {}

#[derive(Serialize)]
struct Codes {
    codes: Vec<CodeInfo>,
}

pub(super) async fn run(_: Args, context: &Context) -> Done {
    let codes = if context.common.config.is_some() { written(context)? } else { in_force(context).await? };
    if context.output.is_json() {
        context.output.document("pbx.codes/1", &Codes { codes })?;
    } else {
        let rows: Vec<Vec<String>> = codes.iter().map(row).collect();
        context.output.table(&["CODE", "CONTEXT", "DOES", "WRITTEN"], &rows)?;
    }
    Ok(Exit::Ok)
}

/// The server's; the configured ones if no server was named and none runs.
async fn in_force(context: &Context) -> Result<Vec<CodeInfo>, Failure> {
    let named = context.common.host.is_some() || context.common.socket.is_some();
    match context.list(method::CODES, &()).await {
        Err(Failure::Fault(fault)) if fault.code == FaultCode::Unreachable && !named => written(context),
        answer => answer,
    }
}

fn written(context: &Context) -> Result<Vec<CodeInfo>, Failure> {
    let (plan, settings) = configured(context)?;
    Ok(codes_of(&plan, settings.as_ref()))
}

fn row(code: &CodeInfo) -> Vec<String> {
    let written = if code.line == 0 { code.file.clone() } else { format!("{}:{}", code.file, code.line) };
    vec![code.code.clone(), code.context.clone(), code.application.clone(), written]
}
