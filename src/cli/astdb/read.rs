//! `astdb get` and `astdb check`: one value.

use std::io::{self, Write};

use clap::Args as ClapArgs;
use serde::Serialize;

use super::desk::Desk;
use super::input;
use crate::astdb::Value;
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::output::shown;
use crate::control::protocol::{Fault, FaultCode};
use crate::dialplan::spymap;

/// Print a value; no newline is added into a pipe
#[derive(ClapArgs, Debug)]
pub(super) struct GetArgs {
    /// The family
    #[arg(add = complete::families())]
    family: String,
    /// The key
    #[arg(add = complete::keys())]
    key: String,
}

/// Compare a value with standard input, in constant time: exit 0 same, 1 different, 3 no such key
#[derive(ClapArgs, Debug)]
pub(super) struct CheckArgs {
    /// The family
    #[arg(add = complete::families())]
    family: String,
    /// The key
    #[arg(add = complete::keys())]
    key: String,
    /// `-`: what to compare with comes from standard input, never from the command line
    #[arg(value_parser = ["-"])]
    from: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    family: &'a str,
    key: &'a str,
    #[serde(flatten)]
    value: JsonValue,
}

/// A value in JSON: as text, or where it is none as hexadecimal digits.
#[derive(Serialize)]
pub(super) struct JsonValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_hex: Option<String>,
}

impl JsonValue {
    pub(super) fn of(value: &Value) -> Self {
        match std::str::from_utf8(value.expose()) {
            Ok(text) => Self { value: Some(text.to_owned()), value_hex: None },
            Err(_) => {
                let hex = value.expose().iter().map(|byte| format!("{byte:02x}")).collect();
                Self { value: None, value_hex: Some(hex) }
            }
        }
    }
}

impl GetArgs {
    /// Whether the live calls of a server have something to say of it.
    pub(super) fn is_of_calls(&self) -> bool {
        spymap::has_family(&self.family)
    }
}

pub(super) fn get(args: &GetArgs, desk: &Desk, context: &Context) -> Done {
    let value = desk.get(&args.family, &args.key)?.ok_or_else(|| missing((&args.family, &args.key), desk))?;
    if context.output.is_json() {
        let shown = Shown { family: &args.family, key: &args.key, value: JsonValue::of(&value) };
        context.output.document("astdb.value/1", &shown)?;
    } else if context.output.on_terminal() {
        context.output.raw(&format!("{}\n", shown(&value.text())))?;
    } else {
        let mut stdout = io::stdout().lock();
        stdout.write_all(value.expose())?;
        stdout.flush()?;
    }
    Ok(Exit::Ok)
}

pub(super) fn check(args: &CheckArgs, desk: &Desk) -> Done {
    let entered = input::value(args.from.as_deref())?;
    match desk.check(&args.family, &args.key, &entered)? {
        Some(true) => Ok(Exit::Ok),
        Some(false) => Err(Failure::Silent(Exit::Failure)),
        None => Err(missing((&args.family, &args.key), desk)),
    }
}

fn missing((family, key): (&str, &str), desk: &Desk) -> Failure {
    let fault = Fault::new(FaultCode::NotFound, format!("/{family}/{key}: no such key"));
    let path = &desk.file().setup().path;
    if path.exists() {
        return fault.into();
    }
    fault.hint(format!("{} is not there: --file, ASTDB_FILE or HOME say where the store is", path.display())).into()
}
