//! `astdb key`: makes the master key, replaces it, and tells about it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::desk::Desk;
use super::place::passphrase;
use super::unlock::held_in_words;
use crate::astdb::{KeySource, Store};
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{Fault, FaultCode, StoreGeneration, StoreKey};

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
    /// When the server forgets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    generations: Vec<Generation>,
}

#[derive(Serialize)]
struct Generation {
    number: u32,
    from: &'static str,
    current: bool,
    here: bool,
}

pub(super) fn run(args: &Args, desk: &Desk, context: &Context) -> Done {
    let store = desk.file();
    match &args.command {
        Command::New => new(store, context),
        Command::Rotate { to_passphrase_file, to_key_file, forget_old } => {
            let to = match (to_passphrase_file, to_key_file) {
                (Some(file), _) => Some(KeySource::Passphrase(passphrase(file)?)),
                (None, Some(file)) => Some(KeySource::File(file.clone())),
                (None, None) => None,
            };
            rotate(store, (to.as_ref(), *forget_old), context)
        }
        Command::Info => match desk.server_key()? {
            Some(key) => told(&key, context),
            None => info(store, context),
        },
    }
}

fn new(store: &Store, context: &Context) -> Done {
    let KeySource::File(path) = &store.setup().keys else {
        let fault = Fault::new(FaultCode::Usage, "no file is named that the key is to be in");
        return Err(fault.hint("--key-file FILE; a passphrase needs none").into());
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
        KeySource::Passphrase(_) => "passphrase".to_owned(),
        _ => held_in_words(true, None),
    };
    let of = |generation: crate::astdb::Generation| Generation {
        number: generation.number,
        from: origin(generation.from_passphrase),
        current: generation.current,
        here: generation.here,
    };
    let generations: Vec<Generation> = store.generations()?.into_iter().map(of).collect();
    print(Info { key, until: None, generations }, context)
}

/// What the server says of its key.
fn told(key: &StoreKey, context: &Context) -> Done {
    if context.output.is_json() {
        return document(key, context);
    }
    print(of_server(key), context)
}

/// The same as a document.
pub(super) fn document(key: &StoreKey, context: &Context) -> Done {
    context.output.document("astdb.key/1", &of_server(key))?;
    Ok(Exit::Ok)
}

fn of_server(key: &StoreKey) -> Info {
    let of = |generation: &StoreGeneration| Generation {
        number: generation.number,
        from: origin(generation.from_passphrase),
        current: generation.current,
        here: generation.here,
    };
    let words = key.file.clone().unwrap_or_else(|| held_in_words(key.locked, key.until));
    Info { key: words, until: key.until, generations: key.generations.iter().map(of).collect() }
}

fn origin(from_passphrase: bool) -> &'static str {
    if from_passphrase { "passphrase" } else { "key file" }
}

fn print(info: Info, context: &Context) -> Done {
    if context.output.is_json() {
        context.output.document("astdb.key/1", &info)?;
        return Ok(Exit::Ok);
    }
    let Info { key, generations, .. } = info;
    context.output.line(&format!("key  {key}"))?;
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let row = |g: &Generation| vec![g.number.to_string(), g.from.to_owned(), word(g.current), word(g.here)];
    let rows: Vec<Vec<String>> = generations.iter().map(row).collect();
    context.output.table(&["GENERATION", "FROM", "CURRENT", "HERE"], &rows)?;
    Ok(Exit::Ok)
}
