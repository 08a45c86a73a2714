//! `pbx records`: the detail records of ended calls.

use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::cli::words;
use crate::control::protocol::{RecordsSince, method};

/// List the detail records of ended calls
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Only calls that ended since: 2h, 1d ago, 2026-11-20, or 2026-11-20T21:00:00Z
    #[arg(long, value_name = "TIME", value_parser = words::since)]
    since: Option<Timestamp>,
    /// At most so many, the latest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Records {
    records: Vec<Value>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let wanted = RecordsSince { since: args.since, limit: args.limit };
    let records: Vec<Value> = context.list(method::RECORDS, &wanted).await?;
    if context.output.is_json() {
        context.output.document("pbx.records/1", &Records { records })?;
    } else {
        let rows: Vec<Vec<String>> = records.iter().map(row).collect();
        context
            .output
            .table(&["UUID", "STARTED", "FROM", "TO", "DURATION", "BILLABLE", "DISPOSITION", "CAUSE"], &rows)?;
    }
    Ok(Exit::Ok)
}

fn row(record: &Value) -> Vec<String> {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    let seconds = |key: &str| record.get(key).and_then(Value::as_f64).map_or_else(|| "-".to_owned(), words::duration);
    let started = text("started").parse().map_or_else(|_| text("started"), words::local);
    vec![
        text("uuid"),
        started,
        text("from"),
        text("to"),
        seconds("duration_s"),
        seconds("billable_s"),
        text("disposition"),
        text("cause_text"),
    ]
}
