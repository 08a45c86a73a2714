//! `astdb dump`, `load` and `backup`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use crate::astdb::{Detail, Load, Store};
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{Fault, FaultCode};

/// Write all entries as lines of JSON, their values sealed
#[derive(ClapArgs, Debug)]
pub(super) struct DumpArgs {
    /// Where to; without it: standard output
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Write the values in clear
    #[arg(long)]
    reveal: bool,
}

/// Read a dump and write its entries
#[derive(ClapArgs, Debug)]
pub(super) struct LoadArgs {
    /// The dump; `-`: standard input
    #[arg(value_hint = clap::ValueHint::FilePath)]
    dump: PathBuf,
    /// Remove all entries that are there
    #[arg(long)]
    replace: bool,
}

/// Copy the store to a file, sealed as it is, while others use it
#[derive(ClapArgs, Debug)]
pub(super) struct BackupArgs {
    /// The copy; one of that name is replaced
    #[arg(value_hint = clap::ValueHint::FilePath)]
    copy: PathBuf,
}

pub(super) fn dump(args: &DumpArgs, store: &Store, context: &Context) -> Done {
    let detail = if args.reveal { Detail::Values } else { Detail::Names };
    let count = match &args.output {
        None => {
            let mut stdout = BufWriter::new(io::stdout().lock());
            let count = store.dump(detail, &mut stdout)?;
            stdout.flush()?;
            count
        }
        Some(path) => {
            let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
            let mut file = BufWriter::new(opened.map_err(|error| failed(path, &error))?);
            let count = store.dump(detail, &mut file)?;
            let synced = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
            synced.map_err(|error| failed(path, &error))?;
            count
        }
    };
    context.output.note(&format!("{count} entries"));
    Ok(Exit::Ok)
}

pub(super) fn load(args: &LoadArgs, store: &Store, context: &Context) -> Done {
    let load = match (context.common.dry_run, args.replace) {
        (true, _) => Load::Try,
        (false, true) => Load::Replace,
        (false, false) => Load::Merge,
    };
    let count = if args.dump == Path::new("-") {
        store.load(&mut io::stdin().lock(), load)?
    } else {
        let file = File::open(&args.dump).map_err(|error| failed(&args.dump, &error))?;
        store.load(&mut BufReader::new(file), load)?
    };
    let verb = if load == Load::Try { "would be loaded" } else { "loaded" };
    context.output.note(&format!("{count} entries {verb}"));
    Ok(Exit::Ok)
}

pub(super) fn backup(args: &BackupArgs, store: &Store, context: &Context) -> Done {
    if context.common.dry_run {
        context.output.note(&format!("would write {}", args.copy.display()));
        return Ok(Exit::Ok);
    }
    store.backup(&args.copy)?;
    Ok(Exit::Ok)
}

pub(super) fn failed(path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => FaultCode::NotFound,
        io::ErrorKind::PermissionDenied => FaultCode::Denied,
        _ => FaultCode::Failure,
    };
    Fault::new(code, format!("{}: {error}", path.display())).into()
}
