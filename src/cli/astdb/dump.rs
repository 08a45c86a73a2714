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
        Some(path) => dump_to(path, detail, store)?,
    };
    context.output.note(&format!("{count} entries"));
    Ok(Exit::Ok)
}

/// Writes beside the file and renames: a dump that fails leaves the one before, and clear values only their owner can read.
fn dump_to(path: &Path, detail: Detail, store: &Store) -> Result<u64, Failure> {
    let is_file = std::fs::metadata(path).map_or(true, |facts| facts.is_file());
    let beside = if is_file {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        path.with_file_name(name)
    } else {
        // A pipe, a terminal, /dev/null.
        path.to_owned()
    };
    let written = write_dump((&beside, path), detail, store);
    if !is_file {
        return written;
    }
    let renamed = written.and_then(|count| {
        std::fs::rename(&beside, path).map_err(|error| failed(path, &error))?;
        Ok(count)
    });
    if renamed.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    renamed
}

fn write_dump((to, path): (&Path, &Path), detail: Detail, store: &Store) -> Result<u64, Failure> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to);
    let mut file = BufWriter::new(opened.map_err(|error| failed(path, &error))?);
    let count = store.dump(detail, &mut file)?;
    let file = file.into_inner().map_err(|error| failed(path, error.error()))?;
    match file.sync_all() {
        // What is no file cannot be synced.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(failed(path, &error)),
        _ => Ok(count),
    }
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
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FaultCode::Denied,
        _ => FaultCode::Failure,
    };
    Fault::new(code, format!("{}: {error}", path.display())).into()
}
