//! `astdb put`, `del` and `deltree`.

use std::ops::ControlFlow;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::desk::Desk;
use super::input;
use crate::astdb::{Detail, Select};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{Fault, FaultCode};

/// Write a value; the store and its key are made at the first one
#[derive(ClapArgs, Debug)]
pub(super) struct PutArgs {
    /// The family
    #[arg(add = complete::families())]
    family: String,
    /// The key
    #[arg(add = complete::keys())]
    key: String,
    /// `-` reads the value from standard input, byte for byte; without it a terminal is asked. A value written here is seen
    /// by others in the list of processes
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
}

/// Remove a key
#[derive(ClapArgs, Debug)]
pub(super) struct DelArgs {
    /// The family
    #[arg(add = complete::families())]
    family: String,
    /// The key
    #[arg(add = complete::keys())]
    key: String,
    /// Exit 3 when it is not there
    #[arg(long)]
    must_exist: bool,
}

/// Remove a family, or a key of it and all keys below
#[derive(ClapArgs, Debug)]
pub(super) struct DeltreeArgs {
    /// The family
    #[arg(add = complete::families())]
    family: String,
    /// The key
    #[arg(add = complete::keys())]
    key: Option<String>,
}

#[derive(Serialize)]
struct Removed {
    removed: u64,
}

pub(super) fn put(args: &PutArgs, desk: &Desk, context: &Context) -> Done {
    let value = input::value(args.value.as_deref())?;
    if context.common.dry_run {
        context.output.note(&format!("would write /{}/{}", args.family, args.key));
        return Ok(Exit::Ok);
    }
    desk.put(&args.family, &args.key, value)?;
    Ok(Exit::Ok)
}

pub(super) fn del(args: &DelArgs, desk: &Desk, context: &Context) -> Done {
    let name = format!("/{}/{}", args.family, args.key);
    let existed = if context.common.dry_run {
        let mut exists = false;
        desk.list(&Select::Tree(args.family.clone(), args.key.clone()), Detail::Names, &mut |entry| {
            exists |= entry.key == args.key;
            ControlFlow::Continue(())
        })?;
        context.output.note(&format!("would remove {} keys", u8::from(exists)));
        exists
    } else {
        desk.del(&args.family, &args.key)?
    };
    if args.must_exist && !existed {
        return Err(Fault::new(FaultCode::NotFound, format!("{name}: no such key")).into());
    }
    if context.output.is_json() {
        context.output.document("astdb.removed/1", &Removed { removed: existed.into() })?;
    }
    Ok(Exit::Ok)
}

pub(super) fn deltree(args: &DeltreeArgs, desk: &Desk, context: &Context) -> Done {
    let removed = if context.common.dry_run {
        let select = match &args.key {
            Some(key) => Select::Tree(args.family.clone(), key.clone()),
            None => Select::Family(args.family.clone()),
        };
        let count = desk.count(&select)?;
        context.output.note(&format!("would remove {count} keys"));
        return Ok(Exit::Ok);
    } else {
        desk.deltree(&args.family, args.key.as_deref())?
    };
    if context.output.is_json() {
        context.output.document("astdb.removed/1", &Removed { removed })?;
    } else {
        context.output.note(&format!("{removed} keys removed"));
    }
    Ok(Exit::Ok)
}
