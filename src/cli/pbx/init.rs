//! `pbx init`: writes the built-in configuration into a folder, with passwords of its own.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::{InitFile, Secret, init_files};
use crate::control::protocol::{Fault, FaultCode};
use crate::pbx::sources::make_password;

/// Write the built-in configuration into a folder, commented, to start from
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The folder; made when absent. Files that are already there are never overwritten
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

#[derive(Serialize)]
struct Written {
    files: Vec<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Done {
    let files = init_files(&[password()?, password()?, password()?]);
    refuse_existing(&args.folder, &files)?;
    let mut written = Vec::new();
    for file in &files {
        let path = args.folder.join(&file.path);
        if !context.common.dry_run {
            write(&path, file).map_err(|error| failed(&path, &error))?;
        }
        written.push(path.display().to_string());
    }
    if context.output.is_json() {
        context.output.document("pbx.init/1", &Written { files: written })?;
        return Ok(Exit::Ok);
    }
    for path in &written {
        context.output.line(path)?;
    }
    if !context.common.dry_run {
        let main = args.folder.join("pbx.toml");
        context.output.note(&format!("start with: pbx run --config {}", main.display()));
    }
    Ok(Exit::Ok)
}

/// A new password from the kernel's randomness.
fn password() -> Result<Secret, Failure> {
    Ok(make_password().map_err(|error| Fault::new(FaultCode::Failure, format!("making a password: {error}")))?)
}

/// Looked at before the first file is written, so that nothing is done by halves; each file is also made only where none is.
fn refuse_existing(folder: &Path, files: &[InitFile]) -> Result<(), Failure> {
    match files.iter().map(|file| folder.join(&file.path)).find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => {
            let fault = Fault::new(FaultCode::Failure, format!("{}: exists already", path.display()));
            Err(fault.hint("name a new folder; nothing was written").into())
        }
    }
}

fn write(path: &Path, file: &InitFile) -> io::Result<()> {
    let (folder_mode, mode) = if file.private { (0o700, 0o600) } else { (0o755, 0o644) };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(folder_mode).create(folder)?;
    }
    let mut to = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    to.write_all(file.text.expose().as_bytes())?;
    to.sync_all()
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::PermissionDenied { FaultCode::Denied } else { FaultCode::Failure };
    Fault::new(code, format!("{}: {error}", path.display())).into()
}
