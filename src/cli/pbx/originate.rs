//! `pbx originate`: calls an endpoint and connects it with an application.

use clap::Args as ClapArgs;
use std::time::Duration;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::compat;
use crate::control::protocol::{Application, Originate, Originated, method};

/// What the server may take beyond the time that an endpoint may ring.
const MARGIN: Duration = Duration::from_secs(10);

/// Call an endpoint and connect it with an application; prints the UUID of the call
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx originate SIP/1001 'Playback(hello)'
  pbx originate user/1001 'Echo()' --var CALLERID=600
  pbx originate --compat '{origination_caller_id_number=200}user/1001 600 XML internal'

A variable that asks for encryption (sip_secure_media, rtp_secure_media), that sounds like security and is not known, or that is
a misspelt one of supervision fails the call: nobody is called.")]
pub(super) struct Args {
    /// Whom to call: SIP/1001, user/1001, SIP/4178575309@icall; --timeout is how long it may ring
    #[arg(required_unless_present = "compat", conflicts_with = "compat")]
    endpoint: Option<String>,
    /// What it then hears: an application of the dialplan, as `Playback(hello)`
    #[arg(value_name = "APP(ARGS)", value_parser = application)]
    #[arg(required_unless_present = "compat", conflicts_with = "compat")]
    app: Option<Application>,
    /// A whole originate line of FreeSWITCH instead: {name=value}endpoint &app(args), 'app:args,app:args' inline, or an extension
    #[arg(long, value_name = "LINE", value_parser = compat::read)]
    compat: Option<Originate>,
    /// Set a channel variable first
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let mut request = args.compat.unwrap_or_default();
    if let (Some(endpoint), Some(app)) = (args.endpoint, args.app) {
        request = Originate { endpoint, app: app.app, args: app.args, ..request };
    }
    request.vars.extend(args.vars);
    if let Some(time) = context.common.timeout {
        request.timeout_s = Some(time.as_secs().max(1));
    }
    if context.common.dry_run {
        context.output.note(&format!("would call {} for {}", request.endpoint, purpose(&request)));
        return Ok(Exit::Ok);
    }
    let mut patient = context.clone();
    patient.common.timeout = request.timeout_s.map(|time| Duration::from_secs(time) + MARGIN);
    let originated: Originated = patient.ask(method::ORIGINATE, &request).await?;
    if context.output.is_json() {
        context.output.document("pbx.originate/1", &originated)?;
    } else {
        context.output.line(&originated.uuid)?;
    }
    Ok(Exit::Ok)
}

/// What runs after the answer, in words.
fn purpose(request: &Originate) -> String {
    if let Some(place) = &request.place {
        return format!("{}@{}", place.extension, place.context);
    }
    let first = Application { app: request.app.clone(), args: request.args.clone() };
    let all = std::iter::once(&first).chain(&request.apps).filter(|app| !app.app.is_empty());
    all.map(|app| format!("{}({})", app.app, app.args)).collect::<Vec<_>>().join(", ")
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
    Ok(Application { app: name.to_owned(), args: args.to_owned() })
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
        let parsed = |text| application(text).map(|app| (app.app, app.args));
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
