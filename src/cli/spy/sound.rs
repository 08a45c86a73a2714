//! `spy` and the sound devices: which one a session gets, and the list of them.
//! Below: `crate::spy::device`.

use serde::Serialize;
use tokio::sync::mpsc;

use super::session::Args;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{Fault, FaultCode};
use crate::spy::device::{self, CardInfo, Device, DeviceError, DeviceName, EchoWish, Opening, SoundServer};
use crate::spy::screen::can_draw;
use crate::spy::spool::SinkFailure;

/// The device of a session. Without a word about it: the default card for a person at a terminal, none for a script.
pub(super) async fn device(
    args: &Args,
    failures: mpsc::UnboundedSender<SinkFailure>,
) -> Result<Box<dyn Device>, Failure> {
    let named = args.device.clone();
    let may_do_without = named.is_none() && args.record.is_some();
    let name = named.unwrap_or_else(|| if wants_card(args) { DeviceName::default() } else { DeviceName::None });
    let echo = if args.no_aec { EchoWish::Keep } else { EchoWish::Cancel };
    let opening = Opening { server: server(), echo, failures };
    match name.open(opening.clone()).await {
        Err(DeviceError::NoServer) if may_do_without => {
            Ok(DeviceName::None.open(opening).await.map_err(|error| refused(&error))?)
        }
        opened => Ok(opened.map_err(|error| refused(&error))?),
    }
}

/// Nothing else was asked to take the sound, and someone is there to hear it.
pub(super) fn wants_card(args: &Args) -> bool {
    !args.stdout && !args.stdin && !args.common.json && can_draw()
}

#[derive(Serialize)]
struct Devices {
    devices: Vec<CardInfo>,
}

/// `spy --list-devices`.
pub(super) async fn list(context: &Context) -> Done {
    let devices = device::list(&server()).await.map_err(|error| refused(&error))?;
    if context.output.is_json() {
        context.output.document("spy.devices/1", &Devices { devices })?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = devices.into_iter().map(row).collect();
    context.output.table(&["NAME", "KIND", "DEFAULT", "DESCRIPTION"], &rows)?;
    Ok(Exit::Ok)
}

fn row(card: CardInfo) -> Vec<String> {
    let default = if card.default { "yes" } else { "" };
    vec![card.name, card.kind.to_string(), default.to_owned(), card.description]
}

fn server() -> SoundServer {
    SoundServer::from_environment(|name| std::env::var_os(name), rustix::process::geteuid().as_raw())
}

fn refused(error: &DeviceError) -> Failure {
    let code = match error {
        DeviceError::NoSuchCard { .. } | DeviceError::Ambiguous { .. } => FaultCode::NotFound,
        DeviceError::NoServer | DeviceError::Server(_) => FaultCode::Failure,
        DeviceError::Unknown(_) => FaultCode::Usage,
        DeviceError::File { .. } | DeviceError::Sound { .. } | DeviceError::Rate { .. } => FaultCode::Invalid,
    };
    let fault = Fault::new(code, format!("--device: {error}"));
    match error.hint() {
        Some(hint) => fault.hint(hint).into(),
        None => fault.into(),
    }
}
