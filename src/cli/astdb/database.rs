//! `astdb database …`: the words of Asterisk's command line, with Asterisk's answers and honest exit codes.

use clap::{Args as ClapArgs, Subcommand};

use super::desk::Desk;
use super::show;
use crate::astdb::asterisk::{self, names};
use crate::astdb::{Detail, Select, Value};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::output::shown;

/// The words of Asterisk's command line
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Print the values too
    #[arg(long, global = true)]
    reveal: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List all, a family, or a key of it with all keys below
    Show {
        /// The family
        #[arg(add = complete::families())]
        family: Option<String>,
        /// The key
        #[arg(add = complete::keys())]
        keytree: Option<String>,
    },
    /// List a key in whatever family
    Showkey {
        /// The key
        key: String,
    },
    /// Print a value
    Get {
        /// The family
        #[arg(add = complete::families())]
        family: String,
        /// The key
        #[arg(add = complete::keys())]
        key: String,
    },
    /// Write a value
    Put {
        /// The family
        #[arg(add = complete::families())]
        family: String,
        /// The key
        #[arg(add = complete::keys())]
        key: String,
        /// The value; `-` reads it from standard input
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Remove a key
    Del {
        /// The family
        #[arg(add = complete::families())]
        family: String,
        /// The key
        #[arg(add = complete::keys())]
        key: String,
    },
    /// Remove a family, or a key of it with all keys below
    Deltree {
        /// The family
        #[arg(add = complete::families())]
        family: String,
        /// The key
        #[arg(add = complete::keys())]
        keytree: Option<String>,
    },
}

pub(super) fn run(args: &Args, desk: &Desk, context: &Context) -> Done {
    let detail = if args.reveal { Detail::Values } else { Detail::Names };
    let list = |select: &Select| show::listed(desk, (select, detail), context, |_| true).map(|(exit, _)| exit);
    let say = |text: &str| context.output.line(text);
    match &args.command {
        Command::Show { family: Some(family), keytree: Some(key) } => {
            let (family, key) = names(family, key);
            list(&show::select(Some(&family), Some(&key)))
        }
        Command::Show { family, keytree } => list(&show::select(family.as_deref(), keytree.as_deref())),
        Command::Showkey { key } => list(&Select::LastPart(key.clone())),
        Command::Get { family, key } => {
            let (family, key) = names(family, key);
            let Some(value) = desk.get(&family, &key)? else { return absent(context, asterisk::NOT_FOUND) };
            say(&asterisk::value(&shown(&value.text())))?;
            Ok(Exit::Ok)
        }
        Command::Put { family, key, value } => {
            let value = if value == "-" { super::input::from_stdin()? } else { Value::from(value.as_str()) };
            let (family, key) = names(family, key);
            desk.put(&family, &key, value)?;
            say(asterisk::UPDATED)?;
            Ok(Exit::Ok)
        }
        Command::Del { family, key } => {
            let (family, key) = names(family, key);
            if !desk.del(&family, &key)? {
                return absent(context, asterisk::NOT_REMOVED);
            }
            say(asterisk::REMOVED)?;
            Ok(Exit::Ok)
        }
        Command::Deltree { family, keytree } => {
            let removed = match (keytree.as_deref(), family.split_once('/')) {
                (Some(key), _) => {
                    let (family, key) = names(family, key);
                    desk.deltree(&family, Some(&key))
                }
                (None, Some((family, key))) => desk.deltree(family, Some(key)),
                (None, None) => desk.deltree(family, None),
            };
            match removed? {
                0 => absent(context, asterisk::NONE_EXIST),
                count => {
                    say(&asterisk::removed(count))?;
                    Ok(Exit::Ok)
                }
            }
        }
    }
}

/// Says in Asterisk's words that there is none, with the exit code for it.
fn absent(context: &Context, words: &str) -> Done {
    context.output.line(words)?;
    Err(Failure::Silent(Exit::NotFound))
}
