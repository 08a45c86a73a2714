//! `rec serve`: the recordings' own pages, and the receiver of what other machines deliver.

use std::io::{self, IsTerminal, Read};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::place::Place;
use crate::cli::ask::hidden_line;
use crate::cli::common::Context;
use crate::cli::entry::{Threads, in_runtime, keep_memory_private};
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::{Config, RemoteKind, Secret};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::remote::policy;
use crate::receiver::{Receiver, ReceiverError, Setup, with_user};

/// The users' file that is taken when nothing else is said, within the state folder.
const USUAL_USERS: &str = "serve-users";
/// Passwords longer than this, in bytes, are something else.
const PASSWORD_LIMIT: u64 = 1_024;

/// Serve recordings on web pages, and take them in from other machines
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec serve --add-user ann
  rec serve
  rec serve --bind 192.0.2.1:8443
  printf %s \"$PASSWORD\" | rec serve --add-user bob --only sales,1001

The page with the list, a search and players is / (and /call_index.htm); a file is /download.php?call=NAME or /recordings/ID, both behind
a login, or a link as `rec link` makes it, without one. Recordings in G.722 (.mka) are decoded for the players, since no browser
can; sealed ones and those in GSM have none. `rec push` of another machine delivers to /api/recordings, in resumable pieces
(kind = \"tus\") to /api/uploads, and tells of recordings to be fetched at /api/notices, with the token or the signature of [serve]. Any address but this machine's own demands TLS and a login.
Every download and every refusal is a line of JSON in downloads.jsonl of the state folder.")]
pub(super) struct Args {
    /// Where to listen, instead of the address of the settings
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<SocketAddr>,
    /// Who may log in, instead of the users' file of the settings
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    users: Option<PathBuf>,
    /// Only add this user to the users' file, or change the password, which is asked for or read from standard input
    #[arg(long, value_name = "NAME")]
    add_user: Option<String>,
    /// With --add-user: only recordings with these agents, users, groups or trunks are there for the user
    #[arg(long, value_name = "WORD,...", requires = "add_user")]
    only: Option<String>,
}

#[derive(Serialize)]
struct Listening {
    url: String,
}

#[derive(Serialize)]
struct User<'a> {
    name: &'a str,
    file: &'a Path,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    keep_memory_private();
    if let Some(name) = &args.add_user {
        return add_user(args, name, context);
    }
    if context.common.dry_run {
        let settings = super::place::settings(context)?;
        let bind = args.bind.unwrap_or(settings.serve.bind);
        context.output.note(&format!("would serve {} at {bind}", place.folder(&settings, context).display()));
        return Ok(Exit::Ok);
    }
    let desk = place.make(context)?;
    let setup = setup(args, &desk.settings, desk.outbox.spool().path(), context);
    drop(desk);
    in_runtime(Threads::Many, serve(setup, context))
}

fn setup(args: &Args, settings: &Config, spool: &Path, context: &Context) -> Setup {
    let mut serve = settings.serve.clone();
    if let Some(bind) = args.bind {
        serve.bind = bind;
    }
    let state = context.state_folder();
    let file = users_file(args, settings, &state);
    // The usual file need not be there; one that was named has to.
    let is_named = args.users.is_some() || settings.serve.users_file.is_some();
    serve.users_file = Some(file).filter(|file| is_named || file.exists());
    let groups = settings.users.iter().map(|(name, user)| (name.clone(), user.groups.clone())).collect();
    let told = settings.remotes.values().filter(|remote| remote.kind == RemoteKind::Notice);
    let told = told.map(|remote| (remote.name.clone(), policy(remote))).collect();
    Setup { settings: serve, state, spool: spool.to_owned(), groups, limits: settings.limits, told }
}

fn users_file(args: &Args, settings: &Config, state: &Path) -> PathBuf {
    let named = args.users.clone().or_else(|| settings.serve.users_file.clone());
    named.unwrap_or_else(|| state.join(USUAL_USERS))
}

async fn serve(setup: Setup, context: &Context) -> Done {
    let bind = setup.settings.bind;
    let opened = tokio::task::spawn_blocking(move || Receiver::open(setup)).await;
    let receiver = opened.map_err(|error| Fault::new(FaultCode::Failure, error.to_string()))??;
    let failed = |error: io::Error| {
        let code = if error.kind() == io::ErrorKind::PermissionDenied { FaultCode::Denied } else { FaultCode::Failure };
        Failure::from(Fault::new(code, format!("listening at {bind}: {error}")))
    };
    let listener = TcpListener::bind(bind).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let url = format!("{}://{address}/", receiver.scheme());
    if context.output.is_json() {
        context.output.document("rec.serve/1", &Listening { url })?;
    } else {
        context.output.line(&format!("serving {url}"))?;
    }
    if !receiver.has_readers() {
        context.output.note(
            "nobody can log in to read: only signed links are answered; end this, run `rec serve --add-user NAME`, and start it again",
        );
    }
    let ends = signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) =
        ends.map_err(|error| Fault::new(FaultCode::Failure, format!("catching signals: {error}")))?;
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    receiver.serve(listener, stop).await;
    Ok(Exit::Ok)
}

/// Writes the users' file anew, with one more or another password.
fn add_user(args: &Args, name: &str, context: &Context) -> Done {
    let settings = super::place::settings(context)?;
    let state = context.state_folder();
    let path = users_file(args, &settings, &state);
    let failed = |error: io::Error| Fault::new(FaultCode::Failure, format!("{}: {error}", path.display()));
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error).into()),
    };
    let password = password()?;
    let text =
        with_user(&before, name, &password, args.only.as_deref()).map_err(|why| Fault::new(FaultCode::Usage, why))?;
    if context.common.dry_run {
        context.output.note(&format!("would write user {name} into {}", path.display()));
        return Ok(Exit::Ok);
    }
    if let Some(folder) = path.parent().filter(|folder| **folder == state) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    super::whole::replace(&path, text.as_bytes(), 0o600).map_err(failed)?;
    if context.output.is_json() {
        context.output.document("rec.user/1", &User { name, file: &path })?;
    } else {
        context.output.note(&format!("user {name} is in {}", path.display()));
    }
    Ok(Exit::Ok)
}

/// Asked for on a terminal, twice and without echo; else all of standard input but its last line's end.
fn password() -> Result<Secret, Failure> {
    let text = if io::stdin().is_terminal() {
        let (first, second) = (hidden_line("password: ")?, hidden_line("again: ")?);
        if first != second {
            return Err(Fault::new(FaultCode::Usage, "these are two passwords").into());
        }
        first
    } else {
        let mut text = Zeroizing::new(String::new());
        let read = io::stdin().lock().take(PASSWORD_LIMIT + 1).read_to_string(&mut text);
        let read = read.map_err(|error| Fault::new(FaultCode::Failure, format!("standard input: {error}")))?;
        if read as u64 > PASSWORD_LIMIT {
            let message = format!("a password has at most {PASSWORD_LIMIT} bytes");
            return Err(Fault::new(FaultCode::Usage, message).into());
        }
        text
    };
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(Fault::new(FaultCode::Usage, "there is no password").into()),
        text if text.contains(char::is_control) => Err(Fault::new(FaultCode::Usage, "a password is one line").into()),
        text => Ok(Secret::new(text.to_owned())),
    }
}

impl From<ReceiverError> for Failure {
    fn from(error: ReceiverError) -> Self {
        let code = match error {
            ReceiverError::Outbox(error) => return error.into(),
            ReceiverError::Io { ref source, .. } if source.kind() == io::ErrorKind::NotFound => FaultCode::NotFound,
            ReceiverError::Io { .. } => FaultCode::Failure,
            ReceiverError::Open { .. } | ReceiverError::Plain(_) | ReceiverError::Anybody(_) => FaultCode::Denied,
            ReceiverError::Users { .. } | ReceiverError::Tls { .. } | ReceiverError::OneToken(_) => FaultCode::Invalid,
        };
        Fault::new(code, error.to_string()).into()
    }
}
