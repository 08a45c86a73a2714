//! `pbx check`: configuration, dialplan, sounds, ports and the spool of recordings, without starting anything.

use std::net::{TcpListener, UdpSocket};

use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::{Bind, SipTransport};
use crate::pbx::sources::{LoadError, Loaded, Source};
use crate::pbx::spool;

/// Check configuration, dialplan, sounds and ports, without starting anything
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

#[derive(Serialize)]
struct Report {
    ok: bool,
    files: Vec<String>,
    errors: Vec<String>,
    warnings: Vec<String>,
}

pub(super) fn run(_: Args, context: &Context) -> Done {
    let files = context.settings_files();
    let source = if files.is_empty() { Source::Builtin } else { Source::Files(files) };
    let report = match source.read(&context.state_folder()) {
        Ok(loaded) => look(&loaded, context),
        Err(error) => Report { ok: false, files: Vec::new(), errors: lines(&error), warnings: Vec::new() },
    };
    if context.output.is_json() {
        context.output.document("pbx.check/1", &report)?;
    } else {
        for error in &report.errors {
            context.output.line(error)?;
        }
        for warning in &report.warnings {
            context.output.note(&format!("warning: {warning}"));
        }
        if report.ok {
            let what =
                if report.files.is_empty() { "the built-in configuration".into() } else { report.files.join(", ") };
            context.output.note(&format!("no errors in {what}"));
        }
    }
    if report.ok { Ok(Exit::Ok) } else { Err(Failure::Silent(Exit::Invalid)) }
}

fn lines(error: &LoadError) -> Vec<String> {
    error.to_string().lines().map(str::to_owned).collect()
}

fn look(loaded: &Loaded, context: &Context) -> Report {
    let mut warnings = loaded.warnings.clone();
    // A server of this configuration holds its own ports.
    let running = std::os::unix::net::UnixStream::connect(context.socket()).is_ok();
    let taken: Vec<String> =
        if running { Vec::new() } else { loaded.config.sip.bind.iter().filter_map(taken).collect() };
    if running {
        warnings.push("a server is running, so the ports were not tried".into());
    }
    let recording = spool::check(&loaded.config.recording, &context.state_folder());
    warnings.extend(recording.warnings);
    let errors: Vec<String> = taken.into_iter().chain(recording.errors).collect();
    Report {
        ok: errors.is_empty(),
        files: loaded.files.iter().map(|path| path.display().to_string()).collect(),
        errors,
        warnings,
    }
}

/// Why a SIP address cannot be listened on.
fn taken(bind: &Bind) -> Option<String> {
    let tried = match bind.transport {
        SipTransport::Udp => UdpSocket::bind(bind.address).map(drop),
        SipTransport::Tcp => TcpListener::bind(bind.address).map(drop),
    };
    tried.err().map(|error| format!("{}://{}: {error}", bind.transport.as_str(), bind.address))
}
