//! `astdb unlock` and `astdb lock`: gives the running server the key of its store, and takes it away.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use clap::Args as ClapArgs;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::desk::Server;
use super::place::{Place, passphrase};
use super::{input, key};
use crate::astdb::KeyRing;
use crate::cli::ask::hidden_line;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::words;
use crate::control::protocol::{Fault, FaultCode, KeyForm, StoreKey, StoreOrder, Unlock};

/// Give the running server the key of its store, for a while, in memory only
///
/// For a server with `[astdb] key = "held"`: it starts with a locked store, of which nothing can be read before. The key comes from
/// --key-file, from --passphrase-file, or is typed on the terminal, which does not show it; `-` is standard input.
#[derive(ClapArgs, Debug)]
pub(super) struct UnlockArgs {
    /// How long the server keeps it: 30m, 8h, 7d
    #[arg(long, value_name = "DUR", default_value = "8h", value_parser = crate::config::parse_duration)]
    ttl: Duration,
}

/// Make the running server forget the key of its store; exit 3 when it had none
#[derive(ClapArgs, Debug)]
pub(super) struct LockArgs {}

pub(super) fn unlock(args: &UnlockArgs, place: &Place, context: &Context) -> Done {
    let server = Server::connect(context)?;
    let now: StoreKey = server.order(&StoreOrder::Key)?;
    if let Some(file) = &now.file {
        let fault = Fault::new(FaultCode::Usage, format!("the server reads the store's key from {file}"));
        return Err(fault.hint("with `[astdb] key = \"held\"` in pbx.toml it is given by `astdb unlock`").into());
    }
    let (form, key) = key_of(place, &now)?;
    if context.common.dry_run {
        context.output.note("would give the server the key");
        return Ok(Exit::Ok);
    }
    let how = Unlock { ttl_s: args.ttl.as_secs_f64(), form };
    let state = server.asked(async |client| client.unlock(&how, key.as_bytes()).await)?;
    if context.output.is_json() {
        return key::document(&state, context);
    }
    let until = state.until.map(words::local).unwrap_or_default();
    context.output.note(&format!("unlocked until {until}"));
    if !state.exists {
        context.output.note("there is no store yet; the first put makes it, with this key");
    }
    Ok(Exit::Ok)
}

pub(super) fn lock(_args: &LockArgs, context: &Context) -> Done {
    let server = Server::connect(context)?;
    if context.common.dry_run {
        context.output.note("would make the server forget the key");
        return Ok(Exit::Ok);
    }
    if !server.order::<bool>(&StoreOrder::Lock)? {
        return Err(Fault::new(FaultCode::NotFound, "the store is locked already").into());
    }
    context.output.note("locked");
    Ok(Exit::Ok)
}

fn key_of(place: &Place, now: &StoreKey) -> Result<(KeyForm, Zeroizing<String>), Failure> {
    if let Some(file) = &place.key_file {
        return Ok((KeyForm::File, key_text(file)?));
    }
    let words = match &place.passphrase_file {
        Some(file) => Zeroizing::new(passphrase(file)?.expose().to_owned()),
        None if io::stdin().is_terminal() => typed(now)?,
        None => {
            let fault = Fault::new(FaultCode::Usage, "no key is given, and there is no terminal to ask on");
            return Err(fault.hint("--key-file FILE or --passphrase-file FILE, `-` for standard input").into());
        }
    };
    Ok((KeyForm::Passphrase, words))
}

/// A key file, looked at before it is sent: what is none is not a wrong key.
fn key_text(file: &Path) -> Result<Zeroizing<String>, Failure> {
    if file != Path::new("-") {
        let missing = || Fault::new(FaultCode::NotFound, format!("{}: there is no such key file", file.display()));
        return Ok(KeyRing::read(file)?.ok_or_else(missing)?.text());
    }
    let text = input::from_stdin()?;
    let ring = KeyRing::parse(&text.text());
    Ok(ring.map_err(|what| Fault::new(FaultCode::Invalid, format!("standard input: not a key file: {what}")))?.text())
}

/// A passphrase from the terminal; twice, where no store can tell that it is wrong.
fn typed(now: &StoreKey) -> Result<Zeroizing<String>, Failure> {
    if now.generations.iter().any(|generation| generation.current && !generation.from_passphrase) {
        let fault = Fault::new(FaultCode::Usage, "the store's key is in a key file, not a passphrase");
        return Err(fault.hint("--key-file FILE, `-` for standard input").into());
    }
    let words = hidden_line("passphrase: ")?;
    if words.is_empty() {
        return Err(Fault::new(FaultCode::Usage, "no passphrase was typed").into());
    }
    if !now.exists && *hidden_line("again: ")? != *words {
        return Err(Fault::new(FaultCode::Usage, "that was another one").into());
    }
    Ok(words)
}

/// `until 14:03`, or that nobody has given it.
pub(super) fn held_in_words(locked: bool, until: Option<Timestamp>) -> String {
    match until.filter(|_| !locked) {
        Some(until) => format!("held by the running server until {}", words::local(until)),
        None => "locked: `astdb unlock` gives it to the running server".to_owned(),
    }
}
