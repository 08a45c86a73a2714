//! `astdb key`: makes the master key, replaces it, and tells about it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::place::{Place, passphrase};
use crate::astdb::{KeySource, Store};
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{Fault, FaultCode};

/// Make, replace or look at the store's key
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a key file, before the first put would
    New,
    /// Seal everything with a new key; may be broken off at any moment, and goes on when called again
    Rotate {
        /// Make the new key from the passphrase that is the first line of this file
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        to_passphrase_file: Option<PathBuf>,
        /// Make the new key in this file, and leave the old one
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "to_passphrase_file")]
        to_key_file: Option<PathBuf>,
        /// Also remove the old keys from the key file: old copies of the store can then not be read any more
        #[arg(long)]
        forget_old: bool,
    },
    /// Show which keys the store is sealed with, and which of them are here; never the keys
    Info,
}

#[derive(Serialize)]
struct Info {
    key: String,
    generations: Vec<Generation>,
}

#[derive(Serialize)]
struct Generation {
    number: u32,
    from: &'static str,
    current: bool,
    here: bool,
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let setup = place.setup(context)?;
    let store = Store::new(setup);
    match &args.command {
        Command::New => new(&store, context),
        Command::Rotate { to_passphrase_file, to_key_file, forget_old } => {
            let to = match (to_passphrase_file, to_key_file) {
                (Some(file), _) => Some(KeySource::Passphrase(passphrase(file)?)),
                (None, Some(file)) => Some(KeySource::File(file.clone())),
                (None, None) => None,
            };
            rotate(&store, (to.as_ref(), *forget_old), context)
        }
        Command::Info => info(&store, context),
    }
}

fn new(store: &Store, context: &Context) -> Done {
    let KeySource::File(path) = &store.setup().keys else {
        return Err(Fault::new(FaultCode::Usage, "a passphrase needs no key file").into());
    };
    if path.exists() {
        let fault = Fault::new(FaultCode::Invalid, format!("{}: is there already", path.display()));
        return Err(fault.hint("`astdb key rotate` makes the next one").into());
    }
    store.make_key()?;
    context.output.note(&format!("{}: keep a copy elsewhere; without it nobody reads the store", path.display()));
    Ok(Exit::Ok)
}

fn rotate(store: &Store, (to, forget_old): (Option<&KeySource>, bool), context: &Context) -> Done {
    if !store.setup().path.exists() {
        let fault = format!("{}: there is no store yet", store.setup().path.display());
        return Err(Fault::new(FaultCode::NotFound, fault).into());
    }
    if context.common.dry_run {
        let values = store.verify()?.entries;
        context.output.note(&format!("would seal {values} entries and their history anew"));
        return Ok(Exit::Ok);
    }
    let rotated = store.rotate(to)?;
    if forget_old {
        store.forget_old_keys(rotated.generation)?;
    }
    context.output.note(&format!("{} values sealed anew, key generation {}", rotated.values, rotated.generation));
    Ok(Exit::Ok)
}

fn info(store: &Store, context: &Context) -> Done {
    let key = match &store.setup().keys {
        KeySource::File(path) => path.display().to_string(),
        _ => "passphrase".to_owned(),
    };
    let of = |generation: crate::astdb::Generation| Generation {
        number: generation.number,
        from: if generation.from_passphrase { "passphrase" } else { "key file" },
        current: generation.current,
        here: generation.here,
    };
    let generations: Vec<Generation> = store.generations()?.into_iter().map(of).collect();
    if context.output.is_json() {
        context.output.document("astdb.key/1", &Info { key, generations })?;
        return Ok(Exit::Ok);
    }
    context.output.line(&format!("key  {key}"))?;
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let row = |g: &Generation| vec![g.number.to_string(), g.from.to_owned(), word(g.current), word(g.here)];
    let rows: Vec<Vec<String>> = generations.iter().map(row).collect();
    context.output.table(&["GENERATION", "FROM", "CURRENT", "HERE"], &rows)?;
    Ok(Exit::Ok)
}
