//! `pbx config`: which files were read, and the settings in force; of the running server, else as one would start.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::config::{self, Secret};
use crate::control::protocol::{Fault, FaultCode, SettingsInForce, method};

/// Show where the settings come from and what they are
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Print the settings files that were read, one a line; none: the built-in configuration
    Path,
    /// Print the settings in force, secrets masked
    Show,
}

#[derive(Serialize)]
struct Sources<'a> {
    sources: &'a [String],
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    let in_force = in_force(context).await?;
    match (args.command, context.output.is_json()) {
        (Command::Path, true) => context.output.document("pbx.config/1", &Sources { sources: &in_force.sources })?,
        (Command::Show, true) => context.output.document("pbx.config/1", &in_force)?,
        (Command::Path, false) => {
            for source in &in_force.sources {
                context.output.line(source)?;
            }
            if in_force.sources.is_empty() {
                context.output.note("no file: the built-in configuration");
            }
        }
        (Command::Show, false) => {
            for line in lines(&in_force.settings) {
                context.output.line(&line)?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// With `--config`, that file; else what the server says; without one, what a server would read.
async fn in_force(context: &Context) -> Result<SettingsInForce, Failure> {
    if context.common.config.is_none() {
        match context.ask(method::SETTINGS, &()).await {
            Err(Failure::Fault(fault)) if fault.code == FaultCode::Unreachable && context.common.host.is_none() => {}
            answer => return answer,
        }
    }
    let files = context.settings_files();
    let settings = from_files(&files)?;
    let sources = files.iter().map(|file| file.display().to_string()).collect();
    Ok(SettingsInForce { sources, settings })
}

fn from_files(files: &[PathBuf]) -> Result<Value, Fault> {
    let read = if files.is_empty() {
        // The real ones are not needed to mask them.
        config::builtin(&["1001", "1002", "1003"].map(|user| Secret::new(user.to_owned())))
    } else {
        config::load(files, &|path: &Path| std::fs::read_to_string(path))
    };
    match read {
        Ok(settings) => Ok(settings.masked()),
        Err(error) => Err(Fault::new(FaultCode::Invalid, error.to_string())),
    }
}

/// One `section.key = value` a line, values as TOML writes them: to be read and to be searched with grep.
fn lines(settings: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    collect("", settings, &mut lines);
    lines
}

fn collect(name: &str, value: &Value, lines: &mut Vec<String>) {
    let Value::Object(section) = value else {
        lines.push(format!("{name} = {value}"));
        return;
    };
    for (key, value) in section {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        collect(&name, value, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s141_settings_are_one_greppable_line_each() {
        let settings = serde_json::json!({"sip": {"bind": ["udp://[::1]:5060"]}, "users": {"1001": {"context": "a"}}});
        assert_eq!(lines(&settings), [r#"sip.bind = ["udp://[::1]:5060"]"#, r#"users.1001.context = "a""#]);
    }

    #[test]
    fn the_built_in_configuration_shows_no_password() {
        let text = from_files(&[]).unwrap().to_string();
        assert!(text.contains("***"));
    }
}
