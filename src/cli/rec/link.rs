//! `rec link`: a signed link to one recording, which `rec serve` answers without a login until its time is over.

use std::time::Duration;

use clap::Args as ClapArgs;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use url::Url;

use super::place::{Desk, Place};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::{Secret, print_duration};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::{OutboxError, State, link};
use crate::receiver;

/// Make a signed link to download a recording, for a time
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec link c7709e9c --expires 1h
  rec link c7709e9c --expires 7d --base https://pbx.example:8443

Whoever has the link can fetch this recording from `rec serve`, and nothing else, until its time is over. A recording of several files
has a link for each. What links begin with is `[serve] base`, or where `rec serve` listens.")]
pub(super) struct Args {
    /// An id or its beginning, a file's name, or the UUID or UNIQUEID of a call
    #[arg(value_name = "ID", add = complete::recordings())]
    id: String,
    /// How long it holds
    #[arg(long, value_name = "DUR", default_value = "1h", value_parser = crate::config::parse_duration)]
    expires: Duration,
    /// What it begins with
    #[arg(long, value_name = "URL")]
    base: Option<String>,
}

#[derive(Serialize)]
struct Links {
    links: Vec<JsonLink>,
}

#[derive(Serialize)]
struct JsonLink {
    file: String,
    url: String,
    expires: Timestamp,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    let id = desk.one(&args.id)?;
    let manifest = desk.outbox.get(id)?.ok_or(OutboxError::Unknown { id })?;
    if !matches!(manifest.state, State::Finished | State::Interrupted) {
        let message = format!("recording {id} is {}: there is nothing to download", manifest.state.word());
        let code = if manifest.state == State::Open { FaultCode::TryAgain } else { FaultCode::NotFound };
        return Err(Fault::new(code, message).into());
    }
    let signer = Signer::new(&desk, args.base.as_deref(), args.expires, context)?;
    let keys = (1..).map(|part| if part == 1 { id.to_string() } else { format!("{id}.{part}") });
    let link = |(key, (file, ..)): (String, (&str, u64, &str))| JsonLink {
        file: file.to_owned(),
        url: signer.link(&key),
        expires: signer.expires,
    };
    let links: Vec<JsonLink> = keys.zip(manifest.files()).map(link).collect();
    if context.output.is_json() {
        context.output.document("rec.link/1", &Links { links })?;
    } else {
        for link in links {
            context.output.line(&link.url)?;
        }
    }
    Ok(Exit::Ok)
}

/// Whether links may begin so.
fn is_web(base: &str) -> bool {
    let url = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let has_blank = base.contains(|c: char| c.is_whitespace() || c.is_control());
    url.is_some_and(|url| url.query().is_none() && url.fragment().is_none()) && !has_blank
}

/// What links are made with.
pub(super) struct Signer {
    base: String,
    key: Secret,
    pub(super) expires: Timestamp,
}

impl Signer {
    /// The key is made where there is none, as `rec serve` would; but not by a dry run.
    pub(super) fn new(desk: &Desk, base: Option<&str>, holds: Duration, context: &Context) -> Result<Self, Failure> {
        if holds.is_zero() || holds.as_secs() >= link::LONGEST_S.unsigned_abs() {
            let message =
                format!("--expires {}: a link holds for longer than 0s and at most ten years", print_duration(holds));
            return Err(Fault::new(FaultCode::Usage, message).into());
        }
        let settings = &desk.settings.serve;
        let usual = || {
            let scheme = if settings.tls_certificate.is_some() { "https" } else { "http" };
            settings.base.clone().unwrap_or_else(|| format!("{scheme}://{}", settings.bind))
        };
        let base = match base {
            None => usual(),
            Some(base) if is_web(base) => base.to_owned(),
            Some(base) => {
                let fault = Fault::new(FaultCode::Usage, format!("--base {base}: this is no URL"));
                return Err(fault.hint("write https://pbx.example:8443").into());
            }
        };
        let holds = SignedDuration::try_from(holds).ok().and_then(|holds| Timestamp::now().checked_add(holds).ok());
        let expires = holds.ok_or_else(|| Fault::new(FaultCode::Usage, "--expires: longer than any calendar"))?;
        let file = context.state_folder().join(&settings.link_key_file);
        if context.common.dry_run && !file.exists() {
            let fault = Fault::new(FaultCode::NotFound, format!("{}: there is no key for links yet", file.display()));
            return Err(fault.hint("it is made by the first `rec link`, `rec index` or `rec serve`").into());
        }
        let key = receiver::link_key(&file)?;
        Ok(Self { base, key, expires })
    }

    /// The link to what has this key: an id, with `.2` and so on for a further file.
    pub(super) fn link(&self, key: &str) -> String {
        link::link(&self.base, &self.key, key, self.expires)
    }
}
