//! `pbx selftest`: proofs that anybody can make on the own machine, with the installed program.

use clap::{Args as ClapArgs, Subcommand};

use super::demo::Folder;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::cli::log;
use crate::control::protocol::{Fault, FaultCode};
use crate::pbx::selftest::{self, Finding, Report, SelfTestError};

/// Prove on this machine that supervision and recording do what they say
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx selftest whisper
  pbx selftest whisper --json | jq '.rows[]|select(.wrong!=[])'

A private server is started on loopback, with phones and supervisors of its own that speak tones; a running server is left
alone. Exit code 5: a proof failed; the table says where.")]
pub(super) struct Args {
    #[command(subcommand)]
    proof: Option<Proof>,
}

#[derive(Subcommand, Clone, Copy, Debug)]
enum Proof {
    /// Whispers stay where they belong: every mode on either leg, every ear by its tones, and the stream of whoever must not
    /// hear the supervisor bit for bit
    Whisper,
    /// Supervisors hear each other: three at one call, each hears the other two once and never himself
    Mix,
    /// A recorded call has each party on its own side, both of one length, and is whole when the recording is stopped
    Record,
    /// All proofs there are; the default
    All,
}

const HEADER: [&str; 8] =
    ["LEG", "MODE", "HEARING", "CUSTOMER HEARS", "AGENT HEARS", "SUPERVISOR HEARS", "COMPARED", "RESULT"];

pub(super) async fn run(args: Args, context: Context) -> Done {
    log::start_client(&context.common);
    let proof = args.proof.unwrap_or(Proof::All);
    let folder = Folder::make()?;
    let mut rows = Vec::new();
    if matches!(proof, Proof::Whisper | Proof::All) {
        rows.extend(selftest::whisper(&folder.0, selftest::TABLE).await.map_err(|error| fault(&error))?.rows);
    }
    if matches!(proof, Proof::Mix | Proof::All) {
        rows.extend(selftest::mix(&folder.0).await.map_err(|error| fault(&error))?.rows);
    }
    if matches!(proof, Proof::Record | Proof::All) {
        rows.extend(selftest::record(&folder.0).await.map_err(|error| fault(&error))?.rows);
    }
    let report = Report::of(rows);
    let output = &context.output;
    if output.is_json() {
        output.document("pbx.selftest/1", &report)?;
    } else {
        let rows: Vec<Vec<String>> = report.rows.iter().map(row).collect();
        output.table(&HEADER, &rows)?;
        output.line(&verdict(&report))?;
    }
    Ok(if report.ok { Exit::Ok } else { Exit::Invalid })
}

fn fault(error: &SelfTestError) -> Fault {
    Fault::new(FaultCode::Failure, format!("selftest: {error}"))
}

fn row(finding: &Finding) -> Vec<String> {
    let result = if finding.wrong.is_empty() { "ok".to_owned() } else { finding.wrong.join("; ") };
    vec![
        finding.leg.to_owned(),
        finding.mode.clone(),
        format!("{:?}", finding.hear).to_lowercase(),
        finding.customer.clone(),
        finding.agent.clone(),
        finding.supervisor.clone(),
        finding.compared.to_string(),
        result,
    ]
}

fn verdict(report: &Report) -> String {
    let wrong = report.rows.iter().filter(|row| !row.wrong.is_empty()).count();
    let compared: usize = report.rows.iter().map(|row| row.compared).sum();
    let rows = report.rows.len();
    if report.ok {
        format!("All holds: {rows} of {rows} rows, {compared} packets are the same bit for bit.")
    } else {
        format!("FAILED: {wrong} of {rows} rows do not hold.")
    }
}
