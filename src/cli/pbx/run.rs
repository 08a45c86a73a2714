//! `pbx run`: the server in the foreground, for a terminal, a script or systemd.

use clap::Args as ClapArgs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::check;
use crate::cli::common::Context;
use crate::cli::entry::keep_memory_private;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::log;
use crate::config::BUILTIN_USERS;
use crate::control::protocol::{Fault, FaultCode};
use crate::pbx::sources::{LoadError, Source};
use crate::pbx::{Pbx, Settings, StartError};
use crate::transport::TransportError;

/// Run the server in the foreground
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Only check configuration, dialplan and ports, as `pbx check` does
    #[arg(long)]
    check: bool,
}

pub(super) async fn run(args: Args, context: Context) -> Done {
    if args.check {
        return check::run(check::Args {}, &context);
    }
    // Before the first password or key is read.
    keep_memory_private();
    let settings = settings(&context)?;
    log::start(settings.loaded.config.log, &context.common);
    for warning in &settings.loaded.warnings {
        tracing::warn!("{warning}");
    }
    let passwords = matches!(settings.source, Source::Builtin).then(|| settings.loaded.config.clone());
    raise_descriptors();
    let pbx = Pbx::start(settings).await.map_err(start_fault)?;
    announce(&pbx, &context);
    if let Some(config) = passwords {
        for user in BUILTIN_USERS {
            if let Some(known) = config.users.get(user) {
                context.output.note(&format!("user {user}  password {}", known.password.expose()));
            }
        }
        context.output.note("dial 1001 to 1003 for each other, 600 to hear yourself, 601 for a tone");
    }
    serve(pbx).await
}

/// What the flags and the environment say about configuration, state and socket.
pub(super) fn settings(context: &Context) -> Result<Settings, Failure> {
    let files = context.settings_files();
    let source = if files.is_empty() { Source::Builtin } else { Source::Files(files) };
    Ok(Settings::read(source, context.state_folder(), context.server_sockets()).map_err(|error| load_fault(&error))?)
}

pub(super) fn load_fault(error: &LoadError) -> Fault {
    let text = error.to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let more = lines.count();
    let fault = Fault::new(FaultCode::Invalid, first);
    if more > 0 { fault.hint(format!("{more} more mistakes: `pbx check` lists all")) } else { fault }
}

pub(super) fn start_fault(error: StartError) -> Fault {
    let message = error.to_string();
    match error {
        StartError::Socket(error) => error.into(),
        StartError::Transport(TransportError::Taken { .. }) => {
            Fault::new(FaultCode::Failure, message).hint("another program listens there: end it, or change [sip] bind")
        }
        _ => Fault::new(FaultCode::Failure, message),
    }
}

fn announce(pbx: &Pbx, context: &Context) {
    let status = pbx.status();
    context.output.note(&format!("pbx {} serves {} (pid {})", status.version, status.sip.join(" "), status.pid));
    tracing::info!(sip = status.sip.join(" "), control = %pbx.control_path().display(), "serving");
    let _ = sd_notify::notify(false, &[NotifyState::Ready]);
}

/// Serves until a signal or `pbx stop`; SIGHUP is `pbx reload`.
async fn serve(mut pbx: Pbx) -> Done {
    let mut hangup = caught(SignalKind::hangup())?;
    let mut terminate = caught(SignalKind::terminate())?;
    let mut interrupt = caught(SignalKind::interrupt())?;
    let mut watchdog = watchdog();
    let exit = loop {
        tokio::select! {
            () = pbx.stop_requested() => break Exit::Ok,
            _ = terminate.recv() => break Exit::Terminated,
            _ = interrupt.recv() => break Exit::Interrupted,
            _ = hangup.recv() => match pbx.reload().await {
                Ok(()) => tracing::info!("configuration and dialplan read again"),
                Err(fault) => tracing::error!(error = %fault, "reload refused, the old configuration stays in force"),
            },
            _ = watchdog.tick() => {
                let _ = sd_notify::notify(false, &[NotifyState::Watchdog]);
            }
        }
    };
    let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
    tokio::select! {
        () = pbx.shutdown() => {}
        // The second Ctrl-C does not wait.
        _ = interrupt.recv() => {}
    }
    match exit {
        Exit::Ok => Ok(exit),
        signalled => Err(Failure::Silent(signalled)),
    }
}

/// Half the time that systemd gives, or an hour where it does not watch.
fn watchdog() -> tokio::time::Interval {
    let mut usec = 0;
    let watched = sd_notify::watchdog_enabled(false, &mut usec) && usec > 0;
    tokio::time::interval(std::time::Duration::from_micros(if watched { usec / 2 } else { 3_600_000_000 }))
}

fn caught(kind: SignalKind) -> Result<Signal, Failure> {
    Ok(signal(kind).map_err(|error| Fault::new(FaultCode::Failure, format!("catching signals: {error}")))?)
}

/// A call needs four descriptors; the soft limit of a shell is 1,024.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
