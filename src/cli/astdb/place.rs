//! Which store, and which key: flags, environment, settings, in that order. And what the store says as a fault with an exit code.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::desk::{Desk, Server};
use crate::astdb::{DumpError, KeySource, NameMode, Setup, Store, StoreError};
use crate::cli::common::Context;
use crate::cli::exit::Failure;
use crate::config::{self, AstdbSettings, KeyChoice, Secret};
use crate::control::protocol::{Fault, FaultCode};

/// Passphrases longer than this, in bytes, are something else.
const PASSPHRASE_LIMIT: u64 = 4_096;

/// The flags that say where the store and its key are.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Store options")]
pub(super) struct Place {
    /// The store, instead of that of the settings
    #[arg(long, global = true, env = "ASTDB_FILE", hide_env_values = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,
    /// Its key file, instead of that of the settings
    #[arg(long, global = true, env = "ASTDB_KEY_FILE", hide_env_values = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) key_file: Option<PathBuf>,
    /// Make the key from the passphrase that is the first line of this file
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "key_file")]
    pub(super) passphrase_file: Option<PathBuf>,
}

impl Place {
    /// Where work on the store these flags name is done: here where the key is here, else by the running server.
    pub(super) fn desk(&self, context: &Context) -> Result<Desk, Failure> {
        let setup = self.setup(context)?;
        let server_named = context.common.socket.is_some() || context.common.host.is_some();
        if self.names_a_key() {
            if context.common.host.is_some() {
                let fault = Fault::new(FaultCode::Usage, "--host asks a server, which has the key of its own store");
                return Err(fault.hint("without --key-file, --passphrase-file and $ASTDB_KEY_FILE").into());
            }
            return Ok(Desk::Here(Store::new(setup)));
        }
        if !server_named && (self.file.is_some() || is_here(&setup)) {
            return Ok(Desk::Here(Store::new(setup)));
        }
        match Server::connect(context) {
            Ok(server) => Ok(Desk::There(Box::new(server), Store::new(Setup { keys: KeySource::None, ..setup }))),
            Err(failure) if server_named => Err(failure),
            // Nobody there: what needs no key is done all the same.
            Err(_) => Ok(Desk::Here(Store::new(setup))),
        }
    }

    /// The same for an entry that the live calls answer for: the running server, where there is one.
    pub(super) fn desk_of_calls(&self, context: &Context) -> Result<Desk, Failure> {
        if self.names_a_key() || self.file.is_some() {
            return self.desk(context);
        }
        match Server::connect(context) {
            Ok(server) => Ok(Desk::There(Box::new(server), Store::new(self.setup(context)?))),
            Err(_) => self.desk(context),
        }
    }

    fn names_a_key(&self) -> bool {
        self.key_file.is_some() || self.passphrase_file.is_some()
    }

    pub(super) fn setup(&self, context: &Context) -> Result<Setup, Failure> {
        // Where the flags say all, settings that are broken elsewhere do not matter.
        let settings =
            if self.file.is_some() && self.names_a_key() { AstdbSettings::default() } else { settings(context)? };
        let state = context.state_folder();
        let path = self.file.clone().unwrap_or_else(|| state.join(&settings.file));
        let keys = match (&self.passphrase_file, &self.key_file) {
            (Some(file), _) => KeySource::Passphrase(passphrase(file)?),
            (None, Some(file)) => KeySource::File(file.clone()),
            (None, None) if settings.key == KeyChoice::Held => KeySource::None,
            (None, None) => KeySource::File(usual_key(state.join(&settings.key_file))),
        };
        let names = if settings.hide_names { NameMode::Hidden } else { NameMode::Plain };
        let who = format!("astdb uid {}", rustix::process::getuid().as_raw());
        let usual = Setup::new(path, PathBuf::new(), &who);
        let patience = context.common.timeout.unwrap_or(usual.patience);
        Ok(Setup { keys, names, patience, ..usual })
    }
}

/// Whether all can be done here: the key is, or there is nothing yet that it could be the key of.
fn is_here(setup: &Setup) -> bool {
    let KeySource::File(key) = &setup.keys else { return false };
    let denied = |path: &Path| path.metadata().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    std::fs::File::open(key).is_ok() || !(setup.path.exists() || denied(&setup.path) || denied(key))
}

/// The key of the settings, or where that is not there the one the service manager has handed over.
fn usual_key(configured: PathBuf) -> PathBuf {
    if configured.exists() {
        return configured;
    }
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join("astdb.key"));
    credential.filter(|path| path.exists()).unwrap_or(configured)
}

fn settings(context: &Context) -> Result<AstdbSettings, Failure> {
    let files = context.settings_files();
    if files.is_empty() {
        return Ok(AstdbSettings::default());
    }
    let loaded = config::load(&files, &|path| std::fs::read_to_string(path));
    let fault = |error: config::ConfigError| {
        let fault = Fault::new(FaultCode::Invalid, error.to_string());
        Failure::from(fault.hint("with --file and --key-file the settings are not read"))
    };
    Ok(loaded.map_err(fault)?.astdb)
}

/// The first line of a file, `-` for standard input.
pub(super) fn passphrase(file: &Path) -> Result<Secret, Failure> {
    let fault = |what: &str| Failure::from(Fault::new(FaultCode::Invalid, format!("{}: {what}", file.display())));
    let mut text = Zeroizing::new(String::with_capacity(PASSPHRASE_LIMIT as usize));
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(PASSPHRASE_LIMIT).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(PASSPHRASE_LIMIT).read_to_string(&mut text))
    };
    read.map_err(|error| fault(&error.to_string()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        _ => Err(fault("there is no passphrase in it")),
    }
}

/// The store of a line that is being completed: its flags are read by hand, as it is not whole yet.
pub(in crate::cli) fn on_the_line(words: &[String]) -> Option<Store> {
    let flag = |name: &str| {
        let at = words.iter().position(|word| word == name);
        let next = at.and_then(|at| words.get(at + 1));
        let joined = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        next.map(String::as_str).or(joined).map(PathBuf::from)
    };
    let env = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let place = Place {
        file: flag("--file").or_else(|| env("ASTDB_FILE")),
        key_file: flag("--key-file").or_else(|| env("ASTDB_KEY_FILE")),
        passphrase_file: None,
    };
    let common = crate::cli::common::Common { config: flag("--config"), ..Default::default() };
    place.setup(&Context::new("astdb", common)).ok().map(Store::new)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        crate::pbx::store::fault(&error).into()
    }
}

impl From<DumpError> for Failure {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::Store(error) => error.into(),
            DumpError::Io(error) => error.into(),
            DumpError::Line { .. } => Fault::new(FaultCode::Invalid, error.to_string()).into(),
        }
    }
}
