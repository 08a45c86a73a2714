//! Which spool and which remotes: flag, environment, settings, in that order. And what the outbox says as a fault with an exit code.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::common::{Common, Context};
use crate::cli::exit::Failure;
use crate::config::{self, Config, RemoteSettings};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::push::PushError;
use crate::outbox::remote::{self, Remotes};
use crate::outbox::{Outbox, OutboxError, RecordingId};

/// The flag that says where the recordings are.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Spool options")]
pub(super) struct Place {
    /// The folder of recordings, instead of that of the settings
    #[arg(long, global = true, env = "REC_SPOOL", hide_env_values = true, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub(super) spool: Option<PathBuf>,
}

/// The recordings, and what is configured about them.
pub(super) struct Desk {
    /// The recordings.
    pub(super) outbox: Outbox,
    /// The settings; without a file, those built in.
    pub(super) settings: Config,
    /// Whether there is a file.
    pub(super) is_configured: bool,
}

impl Place {
    /// Whether the flag was given, and not only the environment, which is for all commands alike.
    pub(super) fn is_on_the_line(&self) -> bool {
        self.spool
            .as_ref()
            .is_some_and(|spool| std::env::var_os("REC_SPOOL").is_none_or(|usual| usual != spool.as_os_str()))
    }

    /// The recordings; `None`: there is no spool yet, so nothing has ever been recorded. Reading makes no folders: root's look would
    /// leave a spool that the server may not write to.
    pub(super) fn find(&self, context: &Context) -> Result<Option<Desk>, Failure> {
        let settings = settings(context)?;
        let folder = self.folder(&settings, context);
        match folder.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound && self.spool.is_none() => Ok(None),
            Err(error) => Err(unusable(&folder, &error)),
            Ok(_) => desk(&folder, settings, context).map(Some),
        }
    }

    /// The recordings.
    pub(super) fn open(&self, context: &Context) -> Result<Desk, Failure> {
        let settings = settings(context)?;
        let folder = self.folder(&settings, context);
        folder.symlink_metadata().map_err(|error| unusable(&folder, &error))?;
        desk(&folder, settings, context)
    }

    /// The recordings; the spool is made where there is none.
    pub(super) fn make(&self, context: &Context) -> Result<Desk, Failure> {
        let settings = settings(context)?;
        let folder = self.folder(&settings, context);
        desk(&folder, settings, context)
    }

    /// The folder, which is there, and the settings: for a queue that cannot be opened.
    pub(super) fn folder_and_settings(&self, context: &Context) -> Result<(PathBuf, Config), Failure> {
        let settings = settings(context)?;
        let folder = self.folder(&settings, context);
        folder.symlink_metadata().map_err(|error| unusable(&folder, &error))?;
        Ok((folder, settings))
    }

    /// Where the recordings are, whether they are there or not.
    pub(super) fn folder(&self, settings: &Config, context: &Context) -> PathBuf {
        self.spool.clone().unwrap_or_else(|| context.state_folder().join(&settings.recording.spool))
    }
}

impl Desk {
    /// The recordings that a user means by these words, each once.
    pub(super) fn all(&self, words: &[String]) -> Result<Vec<RecordingId>, Failure> {
        let mut ids = Vec::new();
        for word in words {
            let found = self.outbox.find(word)?;
            if found.is_empty() {
                return Err(self.unknown(word));
            }
            ids.extend(found.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>());
        }
        Ok(ids)
    }

    /// The one recording that a user means by this word.
    pub(super) fn one(&self, word: &str) -> Result<RecordingId, Failure> {
        match self.outbox.find(word)?.as_slice() {
            [] => Err(self.unknown(word)),
            [id] => Ok(*id),
            [first, second, ..] => {
                let message = format!("`{word}` may be {first} or {second}");
                let hint = format!("`rec ls --find {word}` lists them; write more of the id");
                Err(Fault::new(FaultCode::Usage, message).hint(hint).into())
            }
        }
    }

    fn unknown(&self, word: &str) -> Failure {
        let message = format!("`{word}`: no such recording in {}", self.outbox.spool().path().display());
        let hint = "an id or its beginning, a file's name, or the UUID or UNIQUEID of a call; `rec ls` lists them";
        Fault::new(FaultCode::NotFound, message).hint(hint).into()
    }

    /// Tells the outbox which remotes there are, and finishes what a killed run has left half done. Only commands that deliver say
    /// so, and only by a settings file: who looks at a spool from elsewhere must not take its remotes away.
    pub(super) fn prepare(&self) -> Result<(), Failure> {
        self.outbox.mend()?;
        if self.is_configured {
            let names: Vec<&str> = self.settings.remotes.keys().map(String::as_str).collect();
            self.outbox.set_remotes(&names)?;
        }
        Ok(())
    }

    /// The remotes of the settings, ready to deliver.
    pub(super) fn remotes(&self) -> Result<Remotes, Failure> {
        remotes(&self.settings.remotes)
    }
}

/// A remote by its name.
pub(super) fn known<'a>(
    remotes: &'a BTreeMap<String, RemoteSettings>,
    name: &str,
) -> Result<&'a RemoteSettings, Failure> {
    remotes.get(name).ok_or_else(|| {
        let fault = Fault::new(FaultCode::NotFound, format!("`{name}`: no such remote"));
        let names: Vec<&str> = remotes.keys().map(String::as_str).collect();
        match config::nearest(name, names.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None if names.is_empty() => fault.hint("the settings name none: [remotes.NAME]"),
            None => fault.hint(format!("the settings have {}", names.join(", "))),
        }
        .into()
    })
}

/// Remotes, ready to deliver.
pub(super) fn remotes(settings: &BTreeMap<String, RemoteSettings>) -> Result<Remotes, Failure> {
    remote::remotes(settings.values()).map_err(|error| Fault::new(FaultCode::Invalid, error.to_string()).into())
}

fn desk(folder: &Path, settings: Config, context: &Context) -> Result<Desk, Failure> {
    let is_configured = !context.settings_files().is_empty();
    Ok(Desk { outbox: Outbox::open(folder)?, settings, is_configured })
}

/// The settings that were found, or those built in.
pub(super) fn settings(context: &Context) -> Result<Config, Failure> {
    let files = context.settings_files();
    if files.is_empty() {
        return Ok(Config::default());
    }
    let loaded = config::load(&files, &|path| std::fs::read_to_string(path));
    loaded.map_err(|error| Fault::new(FaultCode::Invalid, error.to_string()).into())
}

/// The spool of a line that is being completed: its flags are read by hand, as it is not whole yet.
pub(in crate::cli) fn on_the_line(words: &[String]) -> (Place, Context) {
    let flag = |name: &str| {
        let at = words.iter().position(|word| word == name);
        let next = at.and_then(|at| words.get(at + 1));
        let joined = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        next.map(String::as_str).or(joined).map(PathBuf::from)
    };
    let spool = flag("--spool").or_else(|| std::env::var_os("REC_SPOOL").map(PathBuf::from));
    let common = Common { config: flag("--config"), ..Default::default() };
    (Place { spool }, Context::new("rec", common))
}

fn unusable(folder: &Path, error: &std::io::Error) -> Failure {
    let path = folder.display();
    let fault = match error.kind() {
        ErrorKind::NotFound => Fault::new(FaultCode::NotFound, format!("{path}: there is no such spool")),
        ErrorKind::PermissionDenied => Fault::new(FaultCode::Denied, format!("{path}: {error}")),
        _ => Fault::new(FaultCode::Failure, format!("{path}: {error}")),
    };
    fault.hint("--spool, REC_SPOOL or `[recording] spool` says where recordings are").into()
}

impl From<OutboxError> for Failure {
    fn from(error: OutboxError) -> Self {
        let code = match &error {
            OutboxError::Io { source, .. } => match source.kind() {
                ErrorKind::NotFound => FaultCode::NotFound,
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => FaultCode::Denied,
                _ => FaultCode::Failure,
            },
            OutboxError::Unknown { .. } | OutboxError::State { state: "gone", .. } => FaultCode::NotFound,
            // That passes by itself.
            OutboxError::State { state: "open" | "being uploaded", .. } => FaultCode::TryAgain,
            OutboxError::State { .. } => FaultCode::Usage,
            OutboxError::Name { .. } => FaultCode::Usage,
            OutboxError::SpoolIsOpen { .. } => FaultCode::Denied,
            OutboxError::Damaged { .. }
            | OutboxError::Future { .. }
            | OutboxError::Manifest { .. }
            | OutboxError::Spool { .. } => FaultCode::Invalid,
            _ => FaultCode::Failure,
        };
        Fault::new(code, error.to_string()).into()
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Locked { .. } => {
                let fault = Fault::new(FaultCode::TryAgain, error.to_string());
                fault.hint("it delivers what waits; --wait-lock 30s waits for its end").into()
            }
            PushError::NoRemote { .. } => Fault::new(FaultCode::NotFound, error.to_string()).into(),
            PushError::Outbox(error) => error.into(),
        }
    }
}
