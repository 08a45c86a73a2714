//! `pbx trace`: a script's steps, the values they compute and the variables they set, as they happen.

use clap::Args as ClapArgs;

use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{TraceWanted, Traced, TracedWhat, method};

/// Follow a call's dialplan: its steps, the values computed for them, and the variables that change
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx trace --next 1001
  pbx trace $(pbx calls --json | jq -r '.calls[0].uuid')

Values kept secret ([dialplan] secrets in pbx.toml, or SECRET() in the dialplan) are shown as ****.")]
#[group(required = true, multiple = false)]
pub(super) struct Args {
    /// A live call, by the UUID of any of its legs
    #[arg(add = complete::live_uuids())]
    uuid: Option<String>,
    /// The next call to or from this number
    #[arg(long, value_name = "NUMBER")]
    next: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let wanted = TraceWanted { uuid: args.uuid, next: args.next };
    let mut lines = context.connect().await?.stream(method::TRACE, &wanted).await?;
    while let Some(line) = lines.next::<Traced>().await? {
        if context.output.is_json() {
            context.output.json_line(&line)?;
        } else {
            context.output.line(&shown(&line))?;
        }
    }
    Ok(Exit::Ok)
}

/// One line for people; control characters of values are escaped, so that nothing moves the cursor.
fn shown(line: &Traced) -> String {
    let time = line.time.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S%.3f").to_string();
    let printable = |text: &str| text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    match &line.what {
        TracedWhat::Step { context, extension, priority, step, at } => {
            let place = if at.is_empty() { String::new() } else { format!("   ; {at}") };
            format!("{time}  {context},{extension},{priority}  {}{place}", printable(step))
        }
        TracedWhat::Value { value } => format!("{:14}= {}", "", printable(value)),
        TracedWhat::Set { name, value: Some(value) } => format!("{:14}{name} = {}", "", printable(value)),
        TracedWhat::Set { name, value: None } => format!("{:14}{name} is gone", ""),
        TracedWhat::Lost { count } => format!("{:14}({count} lines left out)", ""),
        TracedWhat::End { cause } => format!("{time}  end, cause {cause}"),
    }
}
