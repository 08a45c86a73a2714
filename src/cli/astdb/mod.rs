//! The `astdb` program: one file per kind of command, one line here for each; their order is that of the manual.
//! Below: `crate::astdb`.

mod change;
mod database;
mod desk;
mod dump;
mod history;
mod import;
mod input;
mod key;
mod place;
mod read;
mod show;
mod unlock;
mod watch;

use clap::{Parser, Subcommand};

pub(super) use place::on_the_line;

use super::common::{Common, Context};
use super::entry::{Threads, Tool, in_runtime, interruptible, keep_memory_private};
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
    #[command(after_help = "\
Examples:
  astdb unlock --ttl 8h
  astdb unlock --passphrase-file - < /run/keys/astdb
  astdb unlock --key-file /media/stick/astdb.key --ttl 30m")]
    Unlock(unlock::UnlockArgs),
    Lock(unlock::LockArgs),
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
    keep_memory_private();
    match &command {
        Command::Unlock(args) => return unlock::unlock(args, place, context),
        Command::Lock(args) => return unlock::lock(args, context),
        _ => {}
    }
    let desk = match &command {
        Command::Get(args) if args.is_of_calls() => place.desk_of_calls(context)?,
        _ => place.desk(context)?,
    };
    let store = desk.file();
    match command {
        Command::Show(args) => show::show(&args, &desk, context),
        Command::Get(args) => read::get(&args, &desk, context),
        Command::Put(args) => change::put(&args, &desk, context),
        Command::Del(args) => change::del(&args, &desk, context),
        Command::Deltree(args) => change::deltree(&args, &desk, context),
        Command::Check(args) => read::check(&args, &desk),
        Command::Find(args) => show::find(&args, &desk, context),
        Command::Watch(args) => in_runtime(Threads::One, interruptible(watch::run(&args, store, context))),
        Command::Dump(args) => dump::dump(&args, store, context),
        Command::Load(args) => dump::load(&args, store, context),
        Command::Import(args) => import::run(&args, store, context),
        Command::Verify(args) => history::verify(&args, &desk, context),
        Command::Backup(args) => dump::backup(&args, store, context),
        Command::Log(args) => history::log(&args, &desk, context),
        Command::Database(args) => database::run(&args, &desk, context),
        Command::Key(args) => key::run(&args, &desk, context),
        Command::Unlock(_) | Command::Lock(_) | Command::Completion(_) | Command::Man(_) => Ok(Exit::Ok),
    }
}
