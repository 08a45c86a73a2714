//! The `spy` program: a session on a call, or one of its commands: one file for each, one line here; their order is that of the manual.
//! Below: `crate::spy` listens.

mod log;
mod ls;
mod perms;
mod session;
mod sound;

use std::path::Path;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, Command as Flags, CommandFactory, Parser, Subcommand};

use super::common::{Common, Context};
use super::entry::{Threads, Tool, in_runtime, interruptible};
use super::exit::{Done, Exit};
use super::{completion, man};
use crate::config::{self, Config, Secret};
use crate::control::protocol::{Fault, FaultCode};

#[derive(Parser, Debug)]
#[command(
    name = "spy",
    version,
    about = "Listen to a live call (eavesdrop, call barge), whisper to one side, or barge in"
)]
#[command(max_term_width = 100, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(super) struct Spy {
    #[command(flatten)]
    args: session::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  spy --mode whisper c7709e9c-1517-11dc-842a-d3a3942d3d63
  spy --stdout --format wav \"$U\" > call.wav
  ssh box spy --stdout --channels split --rate 16000 \"$U\" | aplay -q -t raw -f S16_LE -r 16000 -c 2";

#[derive(Subcommand, Debug)]
enum Command {
    Ls(ls::Args),
    Log(log::Args),
    Perms(perms::Args),
    Completion(completion::Args),
    Man(man::Args),
}

/// Runs a session or a command to its exit code.
///
/// # Errors
/// A command was given flags of a session.
pub(super) fn run(spy: Spy, matches: &ArgMatches) -> Result<Exit, clap::Error> {
    if let Some(name) = matches.subcommand_name() {
        refuse_flags_of_sessions(name, matches)?;
    }
    let context = Context::new("spy", spy.args.common.clone());
    let output = context.output;
    Ok(output.ended(execute(spy, context)))
}

fn execute(spy: Spy, context: Context) -> Done {
    match spy.command {
        Some(Command::Completion(args)) => completion::run(&args, Tool::Spy, &context),
        Some(Command::Man(args)) => man::run(&args, Tool::Spy, &context),
        Some(asking) => {
            super::log::start_client(&context.common);
            in_runtime(Threads::One, interruptible(ask(asking, &context)))
        }
        None => {
            super::log::start_client(&context.common);
            in_runtime(Threads::Many, session::run(spy.args, context))
        }
    }
}

async fn ask(command: Command, context: &Context) -> Done {
    match command {
        Command::Ls(args) => ls::run(args, context).await,
        Command::Log(args) => log::run(args, context).await,
        Command::Perms(args) => perms::run(args, context).await,
        Command::Completion(_) | Command::Man(_) => Ok(Exit::Ok),
    }
}

/// The settings that a server would start with here.
fn settings(context: &Context) -> Result<Config, Fault> {
    let files = context.settings_files();
    let read = if files.is_empty() {
        // The real passwords are not needed for what is asked here.
        config::builtin(&["1001", "1002", "1003"].map(|user| Secret::new(user.to_owned())))
    } else {
        config::load(&files, &|path: &Path| std::fs::read_to_string(path))
    };
    read.map_err(|error| Fault::new(FaultCode::Invalid, error.to_string()))
}

/// `spy --mode whisper log` is no session on a call named `log`, and no log that is whispered to.
fn refuse_flags_of_sessions(command: &str, matches: &ArgMatches) -> Result<(), clap::Error> {
    let ids = |flags: Flags| flags.get_arguments().map(|flag| flag.get_id().clone()).collect::<Vec<_>>();
    let shared = ids(Common::augment_args(Flags::new("common")));
    let own = ids(session::Args::augment_args(Flags::new("session")));
    let given = |id: &clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    match own.into_iter().find(|id| !shared.contains(id) && given(id)) {
        None => Ok(()),
        Some(id) => {
            let text = format!("`{id}` belongs to a session, `{command}` is a command: one or the other\n");
            Err(Spy::command().error(ErrorKind::ArgumentConflict, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    fn parsed(words: &str) -> Result<Spy, clap::Error> {
        let matches = Spy::command().try_get_matches_from(words.split(' '))?;
        if let Some(name) = matches.subcommand_name() {
            refuse_flags_of_sessions(name, &matches)?;
        }
        Spy::from_arg_matches(&matches)
    }

    #[test]
    fn a_command_is_no_uuid_and_takes_no_flags_of_sessions() {
        for words in [
            "spy man",
            "spy --json log",
            "spy log --json",
            "spy log verify",
            "spy -q perms 1001",
            "spy --socket S perms",
        ] {
            let spy = parsed(words).expect(words);
            assert!(spy.command.is_some() && spy.args.uuid.is_none(), "{words}: {spy:?}");
        }
        for words in ["spy --mode whisper log", "spy U log", "spy --stdout man", "spy log verify extra"] {
            assert!(parsed(words).is_err(), "{words}");
        }
        assert_eq!(parsed("spy U").expect("a session").args.uuid.as_deref(), Some("U"));
    }
}
