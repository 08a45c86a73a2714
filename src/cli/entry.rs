//! The one entry of all programs: argv[0] picks the tool, clap reads the rest, the exit code comes out.
//! Above: `src/bin`. Below: one file per command.

use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Done, Exit, Failure};
use super::output::{Colour, Form, Output, Talk};
use super::{astdb, complete, pbx, rec, spy};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::push::Stop;

/// The programs that are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The server and its commands.
    Pbx,
    /// The listening post.
    Spy,
    /// The store.
    Astdb,
    /// The recordings.
    Rec,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pbx, Self::Spy, Self::Astdb, Self::Rec];

    /// The name it is called by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pbx => "pbx",
            Self::Spy => "spy",
            Self::Astdb => "astdb",
            Self::Rec => "rec",
        }
    }

    /// Its flags and commands.
    pub fn command(self) -> Command {
        match self {
            Self::Pbx => pbx::Pbx::command(),
            Self::Spy => spy::Spy::command(),
            Self::Astdb => astdb::Astdb::command(),
            Self::Rec => rec::Rec::command(),
        }
    }

    /// By the name the program was called by; a copy or link named like another tool acts as that other.
    fn called(name: &OsStr) -> Option<Self> {
        let name = Path::new(name).file_stem()?;
        Self::ALL.into_iter().find(|tool| name == tool.name())
    }
}

/// Runs the tool that `argv[0]` names, else `usual`.
pub fn main(usual: Tool) -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let tool = words.first().and_then(|name| Tool::called(name)).unwrap_or(usual);
    // Asterisk's way to say a line to its console is a command here, so that it has a manual page like the others
    if let (Tool::Pbx, Some(flag)) = (tool, words.get_mut(1).filter(|word| *word == "-rx")) {
        *flag = "rx".into();
    }
    if complete::answer(tool) {
        return Exit::Ok.into();
    }
    let matches = match tool.command().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return say(tool, &error).into(),
    };
    let exit = match tool {
        Tool::Pbx => pbx::Pbx::from_arg_matches(&matches).map(pbx::run),
        Tool::Spy => spy::Spy::from_arg_matches(&matches).and_then(|spy| spy::run(spy, &matches)),
        Tool::Astdb => astdb::Astdb::from_arg_matches(&matches).map(astdb::run),
        Tool::Rec => rec::Rec::from_arg_matches(&matches).map(rec::run),
    };
    exit.unwrap_or_else(|error| say(tool, &error)).into()
}

/// For programs that have keys in memory: none of it is written to a core file, nor read by another process of the same user.
pub(super) fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // Where the system refuses, there is one guard less; the program works all the same.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Of a delivery: each of 8 uploads may wait for a name to be looked up, and none of them may keep the others from the disk.
const DISK_THREADS: usize = 12;

/// How many threads a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// A question and an answer; or a server, whose tasks pass each other work all the time: on one thread none of them has to
    /// be woken, and its sound has threads of its own.
    One,
    /// Deliveries: one for the network, and a few for the disk.
    Delivery,
    /// Audio, which must not wait for a terminal.
    Many,
}

/// Runs a command to its end. What it left running is not waited for: a blocked read of stdin would never end.
pub(super) fn in_runtime(threads: Threads, command: impl Future<Output = Done>) -> Done {
    let runtime = build(threads).map_err(|error| Fault::new(FaultCode::Failure, format!("starting: {error}")))?;
    let done = runtime.block_on(command);
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

fn build(threads: Threads) -> std::io::Result<Runtime> {
    match threads {
        Threads::One => Builder::new_current_thread().enable_all().build(),
        Threads::Delivery => Builder::new_current_thread().max_blocking_threads(DISK_THREADS).enable_all().build(),
        Threads::Many => Builder::new_multi_thread().enable_all().build(),
    }
}

/// Ends a command at Ctrl-C (130) or SIGTERM (143) by dropping it.
pub(super) async fn interruptible(command: impl Future<Output = Done>) -> Done {
    let mut ends = Ends::catch()?;
    tokio::select! {
        done = command => done,
        exit = ends.next() => Err(Failure::Silent(exit)),
    }
}

/// Asks a run of deliveries to end at Ctrl-C (130), SIGTERM or the end of its terminal (143), and waits until it has kept what arrived; a
/// second signal drops it.
pub(super) async fn stoppable(stop: &Stop, command: impl Future<Output = Done>) -> Done {
    let mut ends = Ends::catch()?;
    if !outlives_terminal() {
        ends.hangup = Some(Ends::caught(SignalKind::hangup())?);
    }
    let mut command = std::pin::pin!(command);
    let exit = tokio::select! {
        done = &mut command => return done,
        exit = ends.next() => exit,
    };
    stop.ask();
    tokio::select! {
        done = command => done.and(Err(Failure::Silent(exit))),
        exit = ends.next() => Err(Failure::Silent(exit)),
    }
}

/// The signals that end a command.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
    /// Where it is caught; else it ends the program at once.
    hangup: Option<Signal>,
}

impl Ends {
    fn catch() -> Result<Self, Fault> {
        let (interrupt, terminate) = (Self::caught(SignalKind::interrupt())?, Self::caught(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hangup: None })
    }

    fn caught(kind: SignalKind) -> Result<Signal, Fault> {
        signal(kind).map_err(|error| Fault::new(FaultCode::Failure, format!("catching signals: {error}")))
    }

    async fn next(&mut self) -> Exit {
        let Self { interrupt, terminate, hangup } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
            _ = hung_up => Exit::Terminated,
        }
    }
}

/// Whether whoever has started us wants us to go on without a terminal, as `nohup` does: then SIGHUP is ignored (proc(5)).
fn outlives_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    // SIGHUP is 1, and has the lowest bit.
    ignored.is_some_and(|ignored| ignored & 1 == 1)
}

/// Prints what clap has to say: help and version to stdout, an error as our one line and hint.
fn say(tool: Tool, error: &clap::Error) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed pipe is a good end here too.
        let _ = error.print();
        return Exit::Ok;
    }
    let form = if wants_json() { Form::Json } else { Form::Text };
    let output = Output { tool: tool.name(), form, talk: Talk::Normal, colour: Colour::Auto };
    output.ended(Err(Failure::Fault(usage_fault(tool, error))))
}

/// The flags could not be read, so they are looked for by hand.
fn wants_json() -> bool {
    let asked = std::env::args_os().any(|word| word == "--json");
    asked || std::env::var_os("WIRECHIEF_JSON").is_some_and(|value| !value.is_empty() && value != "0")
}

/// clap's paragraphs as one line: `error: …` up to the first blank line, its tip as the hint.
fn usage_fault(tool: Tool, error: &clap::Error) -> Fault {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let usage = error.render().to_string();
        let usage = usage.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or_default();
        return Fault::new(FaultCode::Usage, "no command is given").hint(format!("usage: {usage}; --help lists them"));
    }
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let line = first.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    let message = line.strip_prefix("error: ").unwrap_or(&line).trim_end().to_owned();
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: ").map(str::to_owned));
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: ").map(|usage| format!("usage: {usage}")));
    let help = || format!("`{} --help` lists what there is", command_of(tool, std::env::args().skip(1)));
    Fault::new(FaultCode::Usage, message).hint(tip.or(usage).unwrap_or_else(help))
}

/// The command that these words are of, with those above it: `rec remotes add`.
fn command_of(tool: Tool, words: impl Iterator<Item = String>) -> String {
    let (mut command, mut name) = (tool.command(), tool.name().to_owned());
    for word in words {
        if let Some(below) = command.find_subcommand(&word).cloned() {
            name = format!("{name} {}", below.get_name());
            command = below;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_called_by_picks_the_tool() {
        assert_eq!(Tool::called(OsStr::new("/usr/bin/spy")), Some(Tool::Spy));
        assert_eq!(Tool::called(OsStr::new("pbx")), Some(Tool::Pbx));
        assert_eq!(Tool::called(OsStr::new("spyglass")), None);
        assert_eq!(Tool::called(OsStr::new("")), None);
    }

    #[test]
    fn the_flags_of_all_tools_are_consistent() {
        for tool in Tool::ALL {
            tool.command().debug_assert();
        }
    }

    #[test]
    fn the_help_of_a_command_is_that_which_its_words_name() {
        let of = |words: &str| command_of(Tool::Rec, words.split(' ').map(str::to_owned));
        assert_eq!(of("ls --limit x"), "rec ls");
        assert_eq!(of("-q remotes add --kind ftp crm"), "rec remotes add");
        assert_eq!(of("--bogus"), "rec");
    }

    #[test]
    fn a_usage_error_is_one_line_with_a_hint() {
        for words in [vec!["pbx", "calls", "--jsn"], vec!["pbx", "hangup"], vec!["pbx"], vec!["pbx", "cals"]] {
            let error = Tool::Pbx.command().try_get_matches_from(&words).unwrap_err();
            let fault = usage_fault(Tool::Pbx, &error);
            assert!(!fault.message.contains('\n') && !fault.message.starts_with("error"), "{words:?}: {fault:?}");
            assert!(fault.hint.is_some_and(|hint| !hint.contains('\n')), "{words:?}");
        }
    }
}
