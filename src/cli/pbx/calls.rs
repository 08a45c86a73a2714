//! `pbx calls`: the live calls, or one of them in full.

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::watch::watch;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::{complete, words};
use crate::control::protocol::{CallDetail, CallInfo, LegDetail, LegDirection, Target, method};

/// List the live calls, or show one
#[derive(ClapArgs, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    /// Again each second
    #[arg(long)]
    watch: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show a call: its legs with all variables and their audio in numbers
    Show {
        /// The UUID of any of its legs
        #[arg(add = complete::live_uuids())]
        uuid: String,
    },
}

#[derive(Serialize)]
struct Calls {
    calls: Vec<CallInfo>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    match args.command {
        Some(Command::Show { uuid }) => show(uuid, context).await?,
        None if args.watch => return watch(context, || list(context)).await,
        None => list(context).await?,
    }
    Ok(Exit::Ok)
}

async fn list(context: &Context) -> Result<(), Failure> {
    let calls: Vec<CallInfo> = context.list(method::CALLS, &()).await?;
    if context.output.is_json() {
        return context.output.document("pbx.calls/1", &Calls { calls });
    }
    let rows: Vec<Vec<String>> = calls.iter().map(row).collect();
    context.output.table(&["UUID", "FROM", "TO", "STATE", "DURATION", "CODEC", "RECORDED", "SPIED"], &rows)
}

fn row(call: &CallInfo) -> Vec<String> {
    let mut codecs: Vec<&str> = call.legs.iter().filter_map(|leg| leg.codec.as_deref()).collect();
    codecs.dedup();
    vec![
        call.uuid.clone(),
        call.from.clone(),
        call.to.clone(),
        call.state.word().to_owned(),
        words::duration(call.duration_s),
        if codecs.is_empty() { "-".to_owned() } else { codecs.join(",") },
        if call.recorded { "yes" } else { "no" }.to_owned(),
        call.spied.to_string(),
    ]
}

async fn show(uuid: String, context: &Context) -> Result<(), Failure> {
    let call: CallDetail = context.ask(method::CALL, &Target { uuid }).await?;
    if context.output.is_json() {
        return context.output.document("pbx.call/1", &call);
    }
    for line in lines(&call) {
        context.output.line(&line)?;
    }
    Ok(())
}

fn lines(call: &CallDetail) -> Vec<String> {
    let mut lines = vec![
        format!("call      {}", call.uuid),
        format!("from      {}", call.from),
        format!("to        {}", call.to),
        format!("state     {}", call.state.word()),
        format!("started   {} ({} ago)", words::local(call.started), words::duration(call.duration_s)),
        format!("recorded  {}", if call.recorded { "yes" } else { "no" }),
        format!("spied     {}", call.spied),
    ];
    for leg in &call.legs {
        lines.push(String::new());
        lines.extend(leg_lines(leg));
    }
    lines
}

fn leg_lines(detail: &LegDetail) -> Vec<String> {
    let leg = &detail.leg;
    let direction = match leg.direction {
        LegDirection::In => "in",
        LegDirection::Out => "out",
    };
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![
        format!("leg       {}", leg.uuid),
        format!("channel   {}", detail.channel),
        format!("party     {} (user {}), {direction}, {}", leg.number, or_none(&leg.user), leg.state.word()),
        format!("call-id   {}", detail.call_id),
        format!("audio     {} to {}", or_none(&leg.codec), or_none(&leg.address)),
    ];
    if let Some(media) = &detail.media {
        lines.push(format!(
            "packets   {} in, {} out, {} lost, jitter {:.1} ms, on {}",
            media.packets_in, media.packets_out, media.lost, media.jitter_ms, media.local,
        ));
    }
    lines.extend(detail.variables.iter().map(|(name, value)| format!("variable  {name}={value}")));
    lines
}
