//! `astdb import`: takes over Asterisk's database, with a report of what Asterisk had damaged.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use zeroize::Zeroizing;

use super::dump::failed;
use crate::astdb::{AesKey, Foreign, Store, Verdict, judge, read_asterisk};
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{Fault, FaultCode};

/// Take over the entries of Asterisk's astdb.sqlite3, also while Asterisk runs; exit 6 when some are damaged
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Asterisk's database
    #[arg(value_hint = clap::ValueHint::FilePath)]
    database: PathBuf,
    /// File with the 16 characters that the dialplan gave to AES_ENCRYPT: values are opened with them and sealed anew
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    aes_key_file: Option<PathBuf>,
    /// The family whose values AES_ENCRYPT made; may be given several times
    #[arg(long = "family", value_name = "FAMILY")]
    families: Vec<String>,
    /// Only report, write nothing
    #[arg(long)]
    report: bool,
}

/// What happens to the entries.
#[derive(Default, Serialize)]
struct Report {
    /// Written, or to be written.
    imported: u64,
    /// Of these, opened with the AES key.
    opened: u64,
    /// Cut by Asterisk at a zero byte: lost, not written.
    damaged: Vec<Damage>,
    /// Whole, but made with another AES key: not written.
    other_key: Vec<String>,
}

#[derive(Serialize)]
struct Damage {
    name: String,
    /// Bytes that are left of a block of 16.
    bytes: usize,
}

pub(super) fn run(args: &Args, store: &Store, context: &Context) -> Done {
    if args.aes_key_file.is_some() && args.families.is_empty() {
        let fault = Fault::new(FaultCode::Usage, "--aes-key-file needs --family: whose values were made with it?");
        return Err(fault.hint("--family pin").into());
    }
    let key = args.aes_key_file.as_ref().map(aes_key).transpose()?;
    let rows = read_asterisk(&args.database, store.setup().patience)?;
    let (mut report, mut entries) = (Report::default(), Vec::new());
    for row in rows {
        let name = format!("/{}/{}", row.family, row.key);
        let is_secret = args.families.contains(&row.family);
        let verdict = if is_secret { judge(&row.value, key.as_ref()) } else { Verdict::Plain };
        match verdict {
            Verdict::Plain | Verdict::Whole(None) => entries.push(row),
            Verdict::Whole(Some(value)) => {
                report.opened += 1;
                entries.push(Foreign { value, ..row });
            }
            Verdict::Cut(bytes) => report.damaged.push(Damage { name, bytes }),
            Verdict::OtherKey => report.other_key.push(name),
        }
    }
    report.imported = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let only_report = args.report || context.common.dry_run;
    if !only_report {
        store.take_over(entries)?;
    }
    print(&report, only_report, context)?;
    let all_well = report.damaged.is_empty() && report.other_key.is_empty();
    Ok(if all_well { Exit::Ok } else { Exit::Partial })
}

fn print(report: &Report, only_report: bool, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.document("astdb.import/1", report);
    }
    for Damage { name, bytes } in &report.damaged {
        context.output.line(&format!("{name}: damaged, cut to {bytes} of 16 bytes by Asterisk before 2016"))?;
    }
    for name in &report.other_key {
        context.output.line(&format!("{name}: made with another AES key"))?;
    }
    let verb = if only_report { "can be imported" } else { "imported" };
    context.output.line(&format!(
        "{} entries {verb}, {} of them opened with the AES key; {} damaged, {} of another key",
        report.imported,
        report.opened,
        report.damaged.len(),
        report.other_key.len()
    ))
}

fn aes_key(file: &PathBuf) -> Result<AesKey, Failure> {
    let text = Zeroizing::new(std::fs::read(file).map_err(|error| failed(file, &error))?);
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let wrong = || {
        let fault = format!("{}: an AES_ENCRYPT key has exactly 16 characters, not {}", file.display(), text.len());
        Failure::from(Fault::new(FaultCode::Invalid, fault))
    };
    AesKey::new(text).ok_or_else(wrong)
}
