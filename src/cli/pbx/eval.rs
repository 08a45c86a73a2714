//! `pbx eval`: the value of a text with `${ }` and `$[ ]` in it, without a call and without a server.

use clap::Args as ClapArgs;
use serde::Serialize;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::protocol::{Fault, FaultCode};
use crate::dialplan::{Alone, Template};

/// Print the value of a text with ${ } and $[ ] in it, as the dialplan would compute it
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  pbx eval '${AES_ENCRYPT(1234qwerasdfzxcv,1234)}'
  pbx eval --var EXTEN='*1234178575309' '${EXTEN:4}'
  pbx eval '$[ 7 / 2 ]'

A value that is not what was asked for (a division by zero, say) is printed as a call would see it, with a warning.")]
pub(super) struct Args {
    /// A variable the text may name
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
    /// The text; in quotes, so that the shell leaves it alone
    text: String,
}

#[derive(Serialize)]
struct Document {
    value: String,
    warnings: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

pub(super) fn run(args: Args, context: &Context) -> Done {
    let template = Template::compile(&args.text).map_err(|error| {
        Fault::new(FaultCode::Invalid, format!("column {}: {error}", column(&args.text, error.offset())))
    })?;
    let mut scope = Alone::with(args.vars);
    let value = template.piece().value(&mut scope);
    let warnings: Vec<String> = scope.warnings().iter().map(ToString::to_string).collect();
    if context.output.is_json() {
        context.output.document("pbx.eval/1", &Document { value, warnings })?;
    } else {
        for warning in warnings {
            context.output.note(&format!("warning: {warning}"));
        }
        context.output.line(&value)?;
    }
    Ok(Exit::Ok)
}

/// The character, from 1, at a byte.
fn column(text: &str, offset: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < offset).count() + 1
}
