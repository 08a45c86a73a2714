//! The `pbx` program: one file per command, one line here for each; their order is that of the manual.

mod bridge;
mod calls;
mod check;
mod codes;
mod conf;
mod config;
mod demo;
mod dtmf;
mod eval;
mod events;
mod hangup;
mod hold;
mod init;
mod r#match;
mod originate;
mod records;
mod regs;
mod reload;
mod run;
mod rx;
mod selftest;
mod status;
mod stdio;
mod stop;
mod trace;
mod transfer;
mod users;
pub(in crate::cli) mod watch;

use clap::{Parser, Subcommand};

use super::common::{Common, Context};
use super::entry::{Threads, Tool, in_runtime, interruptible};
use super::exit::{Done, Exit};
use super::{completion, man};

#[derive(Parser, Debug)]
#[command(name = "pbx", version, about = "A telephone exchange: SIP phones, their calls, and supervisors on them")]
#[command(subcommand_required = true, disable_help_subcommand = true)]
#[command(max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Pbx {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  kill -HUP $(pbx status --pid)
  pbx calls --json | jq -r '.calls[]|select(.duration_s>600).uuid'
  pbx stop --graceful --timeout 30m -q";

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Args),
    Demo(demo::Args),
    Status(status::Args),
    Stop(stop::Args),
    Reload(reload::Args),
    Check(check::Args),
    Match(r#match::Args),
    Eval(eval::Args),
    Codes(codes::Args),
    Calls(calls::Args),
    Originate(Box<originate::Args>),
    Hangup(hangup::Args),
    Transfer(transfer::Args),
    Bridge(bridge::Args),
    Hold(hold::Hold),
    Unhold(hold::Unhold),
    Dtmf(dtmf::Args),
    Conf(conf::Args),
    Events(events::Args),
    Trace(trace::Args),
    Rx(rx::Args),
    Users(users::Args),
    Regs(regs::Args),
    Records(records::Args),
    Config(config::Args),
    Init(init::Args),
    Selftest(selftest::Args),
    Stdio(stdio::Args),
    #[command(after_help = "\
Examples:
  pbx completion bash > ~/.local/share/bash-completion/completions/pbx
  source <(pbx completion zsh)
  pbx completion fish > ~/.config/fish/completions/pbx.fish")]
    Completion(completion::Args),
    #[command(after_help = "\
Examples:
  pbx man | man -l -
  pbx man calls show | man -l -
  pbx man dialplan | man -l -")]
    Man(man::Args),
}

/// Runs the command to its exit code.
pub(super) fn run(pbx: Pbx) -> Exit {
    let context = Context::new("pbx", pbx.common);
    let output = context.output;
    output.ended(execute(pbx.command, context))
}

fn execute(command: Command, context: Context) -> Done {
    match command {
        Command::Run(args) => in_runtime(Threads::One, run::run(args, context)),
        Command::Demo(args) => in_runtime(Threads::One, demo::run(args, context)),
        Command::Check(args) => check::run(args, &context),
        Command::Match(args) => r#match::run(args, &context),
        Command::Eval(args) => eval::run(args, &context),
        Command::Init(args) => init::run(&args, &context),
        Command::Selftest(args) => in_runtime(Threads::One, interruptible(selftest::run(args, context))),
        Command::Completion(args) => completion::run(&args, Tool::Pbx, &context),
        Command::Man(args) => man::run(&args, Tool::Pbx, &context),
        asking => {
            super::log::start_client(&context.common);
            in_runtime(Threads::One, interruptible(ask(asking, &context)))
        }
    }
}

/// Commands that are a conversation with a server.
async fn ask(command: Command, context: &Context) -> Done {
    match command {
        Command::Status(args) => status::run(args, context).await,
        Command::Stop(args) => stop::run(args, context).await,
        Command::Reload(args) => reload::run(args, context).await,
        Command::Codes(args) => codes::run(args, context).await,
        Command::Calls(args) => calls::run(args, context).await,
        Command::Originate(args) => originate::run(*args, context).await,
        Command::Hangup(args) => hangup::run(args, context).await,
        Command::Transfer(args) => transfer::run(args, context).await,
        Command::Bridge(args) => bridge::run(args, context).await,
        Command::Hold(args) => hold::hold(args, context).await,
        Command::Unhold(args) => hold::unhold(args, context).await,
        Command::Dtmf(args) => dtmf::run(args, context).await,
        Command::Conf(args) => conf::run(args, context).await,
        Command::Events(args) => events::run(args, context).await,
        Command::Trace(args) => trace::run(args, context).await,
        Command::Rx(args) => rx::run(args, context).await,
        Command::Users(args) => users::run(args, context).await,
        Command::Regs(args) => regs::run(args, context).await,
        Command::Records(args) => records::run(args, context).await,
        Command::Config(args) => config::run(args, context).await,
        Command::Stdio(args) => stdio::run(args, context).await,
        Command::Run(_)
        | Command::Demo(_)
        | Command::Check(_)
        | Command::Match(_)
        | Command::Eval(_)
        | Command::Init(_)
        | Command::Selftest(_)
        | Command::Completion(_)
        | Command::Man(_) => Ok(Exit::Ok),
    }
}
