//! Where a value comes from: standard input, a prompt without echo, or the command line.

use std::io::{self, IsTerminal, Read};

use zeroize::Zeroizing;

use crate::astdb::{VALUE_LIMIT, Value};
use crate::cli::ask::hidden_line;
use crate::cli::exit::Failure;
use crate::control::protocol::{Fault, FaultCode};

/// The value for the word that was typed: `-` is standard input, nothing at all a prompt.
pub(super) fn value(word: Option<&str>) -> Result<Value, Failure> {
    match word {
        Some("-") => from_stdin(),
        Some(text) => Ok(Value::from(text)),
        None if io::stdin().is_terminal() => prompted(),
        None => {
            let fault = Fault::new(FaultCode::Usage, "no value is given, and there is no terminal to ask on");
            Err(fault.hint("`-` reads it from standard input").into())
        }
    }
}

/// All of standard input, byte for byte.
pub(super) fn from_stdin() -> Result<Value, Failure> {
    // Room for the largest value at once, so that no part of it is left behind in memory when it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(VALUE_LIMIT + 1));
    let limit = u64::try_from(VALUE_LIMIT + 1).unwrap_or(u64::MAX);
    let read = io::stdin().lock().take(limit).read_to_end(&mut bytes);
    read.map_err(|error| Fault::new(FaultCode::Failure, format!("standard input: {error}")))?;
    Ok(Value::new(bytes))
}

/// A value typed on the terminal.
fn prompted() -> Result<Value, Failure> {
    Ok(Value::from(hidden_line("value: ")?.as_str()))
}
