//! The `rec` program: one file per kind of command, one line here for each; their order is that of the manual.
//! Below: `crate::outbox`, which keeps the recordings and delivers them.

mod columns;
mod control;
mod export;
mod import;
mod index;
mod link;
mod ls;
mod place;
mod progress;
mod push;
mod remotes;
mod retry;
mod seal;
mod serve;
mod several;
mod show;
mod status;
mod tidy;
mod verify;
mod watch;
mod whole;

use clap::{Parser, Subcommand};

use super::common::{Common, Context};
use super::entry::Tool;
use super::exit::{Done, Exit};
use super::{completion, man};
use crate::control::protocol::{Fault, FaultCode, method};
use crate::outbox::{Filter, Listed};

#[derive(Parser, Debug)]
#[command(name = "rec", version, about = "Recordings of calls: listed, verified, and delivered exactly once")]
#[command(subcommand_required = true, disable_help_subcommand = true)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Rec {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    place: place::Place,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  */5 * * * *  rec push -q --max-time 4m
  rec ls --unsent --since 1d
  rec push --to crm \"$UUID\" && echo done
  rec status --check";

#[derive(Subcommand, Debug)]
enum Command {
    Ls(ls::Args),
    Show(show::Args),
    Push(push::Args),
    Watch(watch::Args),
    Status(status::Args),
    Test(remotes::TestArgs),
    Verify(verify::Args),
    Retry(retry::Args),
    Forget(tidy::ForgetArgs),
    Start(control::Start),
    /// End the recordings of a live call; they are complete, and in the outbox, when this returns
    Stop(control::Running),
    /// Record nothing for a while: the time is cut out, and the manifest says so
    Pause(control::Running),
    /// Go on after a pause
    Resume(control::Running),
    /// Record silence for a while, as when a card's number is read out: the time goes on, and the manifest says so
    Mask(control::Running),
    /// Go on after a mask
    Unmask(control::Running),
    Export(export::Args),
    Rename(tidy::RenameArgs),
    Purge(tidy::PurgeArgs),
    Index(index::Args),
    Link(link::Args),
    Serve(serve::Args),
    Seal(seal::SealArgs),
    Open(seal::OpenArgs),
    Shred(seal::ShredArgs),
    Import(import::Args),
    Remotes(remotes::Args),
    #[command(after_help = "\
Examples:
  rec completion bash > ~/.local/share/bash-completion/completions/rec")]
    Completion(completion::Args),
    #[command(after_help = "\
Examples:
  rec man | man -l -")]
    Man(man::Args),
}

impl Command {
    /// Whether a running server does it, be it that of another machine.
    fn asks_the_server(&self) -> bool {
        let live = matches!(self, Self::Start(_) | Self::Stop(_) | Self::Pause(_) | Self::Resume(_));
        live || matches!(self, Self::Mask(_) | Self::Unmask(_))
    }

    /// Whether it looks at recordings.
    fn has_a_spool(&self) -> bool {
        let is_about_rec = matches!(self, Self::Test(_) | Self::Remotes(_) | Self::Completion(_) | Self::Man(_));
        !is_about_rec && !self.asks_the_server()
    }
}

/// Runs the command to its exit code.
pub(super) fn run(rec: Rec) -> Exit {
    let context = Context::new("rec", rec.common);
    let output = context.output;
    output.ended(execute(rec.command, &rec.place, &context))
}

fn execute(command: Command, place: &place::Place, context: &Context) -> Done {
    if !matches!(command, Command::Completion(_) | Command::Man(_)) {
        super::log::start_client(&context.common);
    }
    if let Some(host) = context.common.host.as_deref().filter(|_| !command.asks_the_server()) {
        let fault =
            Fault::new(FaultCode::Usage, format!("--host {host}: this looks at the spool of this machine only"));
        return Err(fault.hint(format!("`ssh {host} rec …` looks at the one there")).into());
    }
    if place.is_on_the_line() && !command.has_a_spool() {
        let fault = Fault::new(FaultCode::Usage, "--spool: this looks at no recordings");
        let hint = match command.asks_the_server() {
            true => "the server records below its own spool; --socket names another server",
            false => "leave it out",
        };
        return Err(fault.hint(hint).into());
    }
    match command {
        Command::Ls(args) => ls::run(&args, place, context),
        Command::Show(args) => show::run(&args, place, context),
        Command::Push(args) => push::run(&args, place, context),
        Command::Watch(args) => watch::run(&args, place, context),
        Command::Status(args) => status::run(&args, place, context),
        Command::Test(args) => remotes::test(&args, context),
        Command::Retry(args) => retry::run(&args, place, context),
        Command::Start(args) => control::start(args, context),
        Command::Stop(args) => control::change((method::RECORD_STOP, "end the recordings of"), args, context),
        Command::Pause(args) => control::change((method::RECORD_PAUSE, "pause the recordings of"), args, context),
        Command::Resume(args) => control::change((method::RECORD_RESUME, "go on recording"), args, context),
        Command::Mask(args) => control::change((method::RECORD_MASK, "mask the recordings of"), args, context),
        Command::Unmask(args) => control::change((method::RECORD_UNMASK, "unmask the recordings of"), args, context),
        Command::Index(args) => index::run(&args, place, context),
        Command::Link(args) => link::run(&args, place, context),
        Command::Serve(args) => serve::run(&args, place, context),
        Command::Seal(args) => seal::seal(&args, place, context),
        Command::Open(args) => seal::open(&args, place, context),
        Command::Shred(args) => seal::shred(&args, place, context),
        Command::Import(args) => import::run(&args, place, context),
        Command::Verify(args) => verify::run(&args, place, context),
        Command::Forget(args) => tidy::forget(&args, place, context),
        Command::Rename(args) => tidy::rename(&args, place, context),
        Command::Purge(args) => tidy::purge(&args, place, context),
        Command::Export(args) => export::run(&args, place, context),
        Command::Remotes(args) => remotes::run(&args, context),
        Command::Completion(args) => completion::run(&args, Tool::Rec, context),
        Command::Man(args) => man::run(&args, Tool::Rec, context),
    }
}

/// The latest recordings of the spool that a line being completed means: id, file, and a line about each.
pub(super) fn latest(words: &[String], most: u32) -> Vec<(String, String, String)> {
    let (place, context) = place::on_the_line(words);
    let Ok(Some(desk)) = place.find(&context) else { return Vec::new() };
    let filter = Filter { limit: Some(most), ..Filter::default() };
    let listed = desk.outbox.list(&filter).unwrap_or_default();
    let told = |listed: Listed| {
        let help = format!("{} {} to {}", super::words::local(listed.started), listed.from, listed.to);
        (listed.id.to_string(), listed.file.unwrap_or_default(), help)
    };
    listed.into_iter().map(told).collect()
}

/// The names of the remotes that a line being completed may mean.
pub(super) fn remote_names(words: &[String]) -> Vec<String> {
    let (_, context) = place::on_the_line(words);
    let settings = place::settings(&context);
    settings.map(|settings| settings.remotes.into_keys().collect()).unwrap_or_default()
}
