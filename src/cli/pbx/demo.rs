//! `pbx demo`: a private server with two built-in talkers on a live call, to try the other programs on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::run::{load_fault, start_fault};
use crate::call::{Cause, Exchange};
use crate::cli::common::Context;
use crate::cli::entry::interruptible;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::log;
use crate::config::{Bind, Config, SipTransport, Trunk, builtin};
use crate::control::protocol::{Fault, FaultCode};
use crate::pbx::sources::{LoadError, Source, passwords};
use crate::pbx::talkers::{CUSTOMER, Talkers, TalkersError};
use crate::pbx::{Pbx, Settings};
use crate::sip::Transport;

/// The agent of the demo: a user of the built-in configuration.
const AGENT: &str = "1001";
/// What calls of the demo do.
const PLAN: &str =
    "[outside]\nexten => 1001,1,Dial(SIP/1001,20)\n\n[internal]\nexten => 600,1,Answer()\n same => n,Echo()\n";
/// After a call ended, the customer calls again.
const AGAIN: Duration = Duration::from_secs(1);

/// Run a private server with two talkers on a live call, to try `spy` and the other commands on
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, context: Context) -> Done {
    log::start_client(&context.common);
    let state = Folder::make()?;
    let mut talkers = Talkers::start(&state.0).await.map_err(|error| talkers_fault(&error))?;
    let trunk = talkers.address().ok_or_else(|| Fault::new(FaultCode::Failure, "the talkers have no address"))?;
    let settings = settings(&state.0, trunk, context.server_sockets()).map_err(|error| load_fault(&error))?;
    let password = settings.loaded.config.users.get(AGENT).map(|user| user.password.clone());
    let mut pbx = Pbx::start(settings).await.map_err(start_fault)?;
    let served = {
        let server = pbx.sip_addr(Transport::Udp).ok_or_else(|| Fault::new(FaultCode::Failure, "no SIP address"))?;
        let password = password.ok_or_else(|| Fault::new(FaultCode::Failure, "the agent has no password"))?;
        talkers.register(server, AGENT, password).await.map_err(|error| talkers_fault(&error))?;
        let exchange = pbx.exchange().clone();
        interruptible(async {
            tokio::select! {
                done = keep_calling(&talkers, server, &exchange, &context) => done,
                () = pbx.stop_requested() => Ok(Exit::Ok),
            }
        })
        .await
    };
    pbx.shutdown().await;
    drop(talkers);
    served
}

/// Keeps one call up: when it is hung up, the customer calls again.
async fn keep_calling(talkers: &Talkers, server: SocketAddr, exchange: &Exchange, context: &Context) -> Done {
    loop {
        let talk = talkers.call(server, AGENT).await.map_err(|cause: Cause| {
            Fault::new(FaultCode::Failure, format!("the customer's call found nobody: {}", cause.text()))
        })?;
        if let Some((call, agent)) = connected(exchange).await {
            tell(context, &call, &agent)?;
        }
        let _ = talk.await;
        tokio::time::sleep(AGAIN).await;
    }
}

/// The call's UUID and that of the agent's leg, once both hear each other.
async fn connected(exchange: &Exchange) -> Option<(String, String)> {
    let (_, mut events) = exchange.journal.subscribe(None);
    loop {
        let live = exchange.live.calls();
        if let Some((call, (_, agent))) = live.iter().find_map(|call| Some((call, call.bridged()?))) {
            return Some((call.uuid.clone(), agent.uuid.clone()));
        }
        events.recv().await.ok()?;
    }
}

fn tell(context: &Context, call: &str, agent: &str) -> Result<(), Failure> {
    let output = &context.output;
    if output.is_json() {
        return output.document("pbx.demo/1", &serde_json::json!({"uuid": call, "agent": agent}));
    }
    let spy = spy_command();
    output.line(&format!("Call {call}: customer {CUSTOMER} talks to agent {AGENT}."))?;
    output.line("In another terminal:")?;
    output.line(&format!("  {spy} --mode listen --stdout --format wav {call} > call.wav"))?;
    output.line(&format!("  {spy} --mode whisper --to agent {call}"))?;
    output.note("Ctrl-C ends the demo.");
    Ok(())
}

/// How `spy` is started from where this program was: by cargo in a checkout, beside this program, or by its name alone.
fn spy_command() -> String {
    let program = std::env::current_exe().ok();
    let in_checkout =
        program.as_deref().is_some_and(|path| path.parent().is_some_and(|p| p.ends_with("target/release")))
            && Path::new("Cargo.toml").exists();
    if in_checkout {
        return "cargo run --release --bin spy --".into();
    }
    let on_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("spy").is_file()));
    let beside = program.and_then(|path| Some(path.parent()?.join("spy"))).filter(|path| path.is_file());
    match beside {
        Some(path) if !on_path => path.display().to_string(),
        _ => "spy".into(),
    }
}

/// The built-in configuration, with the talkers as a trunk from which the customer calls.
fn settings(state: &Path, talkers: SocketAddr, sockets: Vec<PathBuf>) -> Result<Settings, LoadError> {
    let mut config: Config = builtin(&passwords(state)?)?;
    let any_port = |transport| Bind { transport, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
    config.sip.bind = vec![any_port(SipTransport::Udp), any_port(SipTransport::Tcp)];
    config.media.ports = 20_000..=29_999;
    let from = talkers.to_string().parse().ok();
    config.trunks.insert(
        "customers".into(),
        Trunk {
            host: talkers.ip().to_string(),
            port: Some(talkers.port()),
            transport: SipTransport::Udp,
            matches: from.into_iter().collect(),
            context: Some("outside".into()),
            record: None,
        },
    );
    let plan = vec![(PathBuf::from("demo.conf"), PLAN.to_owned())];
    Settings::read(Source::Given(Box::new(config), plan), state.to_owned(), sockets)
}

fn talkers_fault(error: &TalkersError) -> Fault {
    Fault::new(FaultCode::Failure, format!("demo: {error}"))
}

/// A folder of a private server's own, gone with it.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn make() -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("wirechief-demo-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Fault::new(FaultCode::Failure, format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
