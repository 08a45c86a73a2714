//! Which store, and which key: flags, environment, settings, in that order. And what the store says as a fault with an exit code.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use crate::astdb::{DumpError, KeySource, NameMode, Setup, Store, StoreError};
use crate::cli::common::Context;
use crate::cli::exit::Failure;
use crate::config::{self, AstdbSettings, Secret};
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
    /// The store these flags name.
    pub(super) fn store(&self, context: &Context) -> Result<Store, Failure> {
        Ok(Store::new(self.setup(context)?))
    }

    pub(super) fn setup(&self, context: &Context) -> Result<Setup, Failure> {
        // Where the flags say all, settings that are broken elsewhere do not matter.
        let keys_named = self.key_file.is_some() || self.passphrase_file.is_some();
        let settings = if self.file.is_some() && keys_named { AstdbSettings::default() } else { settings(context)? };
        let state = context.state_folder();
        let path = self.file.clone().unwrap_or_else(|| state.join(&settings.file));
        let keys = match (&self.passphrase_file, &self.key_file) {
            (Some(file), _) => KeySource::Passphrase(passphrase(file)?),
            (None, Some(file)) => KeySource::File(file.clone()),
            (None, None) => KeySource::File(usual_key(state.join(&settings.key_file))),
        };
        let names = if settings.hide_names { NameMode::Hidden } else { NameMode::Plain };
        let who = format!("astdb uid {}", rustix::process::getuid().as_raw());
        let usual = Setup::new(path, PathBuf::new(), &who);
        let patience = context.common.timeout.unwrap_or(usual.patience);
        Ok(Setup { keys, names, patience, ..usual })
    }
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
    place.store(&Context::new("astdb", common)).ok()
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (code, hint) = verdict(&error);
        let fault = Fault::new(code, error.to_string());
        Self::from(match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        })
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

/// The exit code of each thing that can go wrong, and what to do about it.
fn verdict(error: &StoreError) -> (FaultCode, Option<String>) {
    match error {
        StoreError::NoFamily | StoreError::Name(_) | StoreError::TooLarge { .. } => (FaultCode::Usage, None),
        StoreError::NoKey { .. } => {
            (FaultCode::Denied, Some("--key-file names it; without it no value can be read, by anyone".into()))
        }
        StoreError::WrongKey { .. } => {
            (FaultCode::Denied, Some("it is the key of another store, or the passphrase is wrong".into()))
        }
        StoreError::KeyIsOpen { path, .. } => (FaultCode::Denied, Some(format!("chmod 600 {}", path.display()))),
        StoreError::ReadOnly { .. } => (FaultCode::Denied, None),
        StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            (FaultCode::Denied, None)
        }
        StoreError::Busy { .. } => (FaultCode::TryAgain, Some("--timeout waits longer".into())),
        StoreError::NotAStore { what, .. } if what.contains("Asterisk") => {
            (FaultCode::Invalid, Some("`astdb import` takes its entries over".into()))
        }
        StoreError::Damaged { .. } => (FaultCode::Invalid, Some("`astdb verify` looks at everything".into())),
        StoreError::KeyFile { .. }
        | StoreError::History { .. }
        | StoreError::RolledBack { .. }
        | StoreError::NotAStore { .. }
        | StoreError::Future { .. }
        | StoreError::Broken { .. } => (FaultCode::Invalid, None),
        StoreError::Full { .. } | StoreError::Io { .. } | StoreError::Database { .. } | StoreError::Closed => {
            (FaultCode::Failure, None)
        }
    }
}
