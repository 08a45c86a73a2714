//! `pbx originate`: calls an endpoint and connects it with an application.

use clap::Args as ClapArgs;
use std::time::Duration;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{Originate, Originated, method};

/// What the server may take beyond the time that an endpoint may ring.
const MARGIN: Duration = Duration::from_secs(10);

/// Call an endpoint and connect it with an application; prints the UUID of the call
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Examples:\n  pbx originate SIP/1001 'Playback(hello)'\n  pbx originate user/1001 'Echo()' --var CALLERID=600"
)]
pub(super) struct Args {
    /// Whom to call: SIP/1001, user/1001, SIP/4178575309@icall; --timeout is how long it may ring
    endpoint: String,
    /// What it then hears: an application of the dialplan, as `Playback(hello)`
    #[arg(value_name = "APP(ARGS)", value_parser = application)]
    app: Application,
    /// Set a channel variable first
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Application {
    name: String,
    args: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let request = Originate {
        endpoint: args.endpoint,
        app: args.app.name,
        args: args.app.args,
        vars: args.vars,
        timeout_s: context.common.timeout.map(|time| time.as_secs().max(1)),
    };
    if context.common.dry_run {
        context.output.note(&format!("would call {} for {}({})", request.endpoint, request.app, request.args));
        return Ok(Exit::Ok);
    }
    let mut patient = context.clone();
    patient.common.timeout = context.common.timeout.map(|time| time + MARGIN);
    let originated: Originated = patient.ask(method::ORIGINATE, &request).await?;
    if context.output.is_json() {
        context.output.document("pbx.originate/1", &originated)?;
    } else {
        context.output.line(&originated.uuid)?;
    }
    Ok(Exit::Ok)
}

fn application(text: &str) -> Result<Application, String> {
    let wrong = || format!("`{text}` is no application (write it as in the dialplan: Playback(hello))");
    let (name, args) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(wrong)?),
        None => (text, ""),
    };
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_') {
        return Err(wrong());
    }
    Ok(Application { name: name.to_owned(), args: args.to_owned() })
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no variable (write NAME=VALUE)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_written_as_in_the_dialplan() {
        let parsed = |text| application(text).map(|app| (app.name, app.args));
        assert_eq!(parsed("Echo"), Ok(("Echo".into(), String::new())));
        assert_eq!(parsed("Dial(SIP/1002,20,g)"), Ok(("Dial".into(), "SIP/1002,20,g".into())));
        assert_eq!(parsed("Set(a=(b))"), Ok(("Set".into(), "a=(b)".into())));
        assert!(parsed("Echo(").is_err() && parsed("").is_err() && parsed("rm -rf").is_err());
    }

    #[test]
    fn a_variable_keeps_what_follows_its_first_equals_sign() {
        assert_eq!(variable("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(variable("=b").is_err() && variable("a").is_err());
    }
}
