//! Which spool: flag, environment, settings, in that order.

use std::path::PathBuf;

use clap::Args;

use crate::cli::common::Context;
use crate::cli::exit::Failure;
use crate::config::{self, Config};
use crate::control::protocol::{Fault, FaultCode};

/// Where recordings lie when no settings say otherwise, within the state folder.
const USUAL_SPOOL: &str = "recordings";

/// The flag that says where the recordings are.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Spool options")]
pub(super) struct Place {
    /// The folder of recordings, instead of that of the settings
    #[arg(long, global = true, env = "REC_SPOOL", hide_env_values = true, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub(super) spool: Option<PathBuf>,
}

impl Place {
    /// The folder of recordings.
    pub(super) fn folder(&self, context: &Context) -> Result<PathBuf, Failure> {
        match &self.spool {
            Some(spool) => Ok(spool.clone()),
            None => Ok(context.state_folder().join(USUAL_SPOOL)),
        }
    }
}

/// The settings that were found; none: nothing is configured.
pub(super) fn settings(context: &Context) -> Result<Option<Config>, Failure> {
    let files = context.settings_files();
    if files.is_empty() {
        return Ok(None);
    }
    let loaded = config::load(&files, &|path| std::fs::read_to_string(path));
    loaded.map(Some).map_err(|error| Fault::new(FaultCode::Invalid, error.to_string()).into())
}
