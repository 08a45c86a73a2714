//! The `astdb` program: one file per kind of command, one line here for each; their order is that of the manual.
//! Below: `crate::astdb`.

mod change;
mod database;
mod dump;
mod history;
mod import;
mod input;
mod key;
mod place;
mod read;
mod show;
mod watch;

use clap::{Parser, Subcommand};

pub(super) use place::on_the_line;

use super::common::{Common, Context};
use super::entry::{Threads, Tool, in_runtime, interruptible};
use super::exit::{Done, Exit};
use super::{completion, man};

#[derive(Parser, Debug)]
#[command(
    name = "astdb",
    version,
    about = "The encrypted store of families and keys: DB() of the dialplan, from the shell"
)]
#[command(subcommand_required = true, disable_help_subcommand = true)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Astdb {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    place: place::Place,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  printf %s 1234 | astdb put pin 100 -
  printf %s \"$PIN\" | astdb check pin 100 - || echo wrong
  astdb show pin --reveal
  astdb watch pin | jq -r .key";

#[derive(Subcommand, Debug)]
enum Command {
    Show(show::ShowArgs),
    Get(read::GetArgs),
    Put(change::PutArgs),
    Del(change::DelArgs),
    Deltree(change::DeltreeArgs),
    Check(read::CheckArgs),
    Find(show::FindArgs),
    Watch(watch::Args),
    Dump(dump::DumpArgs),
    Load(dump::LoadArgs),
    #[command(after_help = "\
Examples:
  astdb import /var/lib/asterisk/astdb.sqlite3 --report
  astdb import /var/lib/asterisk/astdb.sqlite3 --family pin --aes-key-file secrets/pin-key")]
    Import(import::Args),
    Key(key::Args),
    Verify(history::VerifyArgs),
    Backup(dump::BackupArgs),
    Log(history::LogArgs),
    #[command(after_help = "\
Examples:
  astdb database show pin
  astdb database put pin 100 1234")]
    Database(database::Args),
    #[command(after_help = "\
Examples:
  astdb completion bash > ~/.local/share/bash-completion/completions/astdb")]
    Completion(completion::Args),
    #[command(after_help = "\
Examples:
  astdb man key rotate | man -l -")]
    Man(man::Args),
}

/// Runs the command to its exit code.
pub(super) fn run(astdb: Astdb) -> Exit {
    let context = Context::new("astdb", astdb.common);
    let output = context.output;
    output.ended(execute(astdb.command, &astdb.place, &context))
}

fn execute(command: Command, place: &place::Place, context: &Context) -> Done {
    match command {
        Command::Completion(args) => return completion::run(&args, Tool::Astdb, context),
        Command::Man(args) => return man::run(&args, Tool::Astdb, context),
        _ => super::log::start_client(&context.common),
    }
    // What is in memory here is not written to a core file, nor read by another process of the same user.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    if let Command::Key(args) = &command {
        return key::run(args, place, context);
    }
    let store = place.store(context)?;
    match command {
        Command::Show(args) => show::show(&args, &store, context),
        Command::Get(args) => read::get(&args, &store, context),
        Command::Put(args) => change::put(&args, &store, context),
        Command::Del(args) => change::del(&args, &store, context),
        Command::Deltree(args) => change::deltree(&args, &store, context),
        Command::Check(args) => read::check(&args, &store),
        Command::Find(args) => show::find(&args, &store, context),
        Command::Watch(args) => in_runtime(Threads::One, interruptible(watch::run(&args, &store, context))),
        Command::Dump(args) => dump::dump(&args, &store, context),
        Command::Load(args) => dump::load(&args, &store, context),
        Command::Import(args) => import::run(&args, &store, context),
        Command::Verify(args) => history::verify(&args, &store, context),
        Command::Backup(args) => dump::backup(&args, &store, context),
        Command::Log(args) => history::log(&args, &store, context),
        Command::Database(args) => database::run(&args, &store, context),
        Command::Key(_) | Command::Completion(_) | Command::Man(_) => Ok(Exit::Ok),
    }
}
