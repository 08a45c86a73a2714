//! `System(command)` and `TrySystem(command)`: start a program, as far as `[dialplan] system` allows.

use serde_json::json;

use super::{App, CheckError, Doing, Next, Outcome};
use crate::call::{Cause, Channel};
use crate::config::{DialplanSettings, SystemChoice};
use crate::dialplan::args::Args;
use crate::dialplan::command::{self, CommandError};
use crate::dialplan::piece::Piece;
use crate::dialplan::program::{self, Ended};
use crate::dialplan::risk::{self, Risk};

pub(super) struct System;
pub(super) struct TrySystem;

/// The exit status by which a shell says that there is no such program.
const NOT_FOUND: i32 = 127;

impl App for System {
    fn name(&self) -> &'static str {
        "System"
    }

    fn syntax(&self) -> &'static str {
        "program argument... (or: program,argument,...)"
    }

    fn synopsis(&self) -> &'static str {
        "Starts a program of [dialplan] programs, waits for it, sets SYSTEMSTATUS to SUCCESS, APPERROR or FAILURE; a FAILURE \
         ends the call."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check(args)
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        risk::of_command(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            if system(chan, &args).await == Status::Failure {
                chan.hangup(Cause::NOT_AVAILABLE);
                return Ok(Next::End);
            }
            Ok(Next::Continue) as Outcome
        })
    }
}

impl App for TrySystem {
    fn name(&self) -> &'static str {
        "TrySystem"
    }

    fn syntax(&self) -> &'static str {
        System.syntax()
    }

    fn synopsis(&self) -> &'static str {
        "As System, but goes on whatever happens."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check(args)
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        risk::of_command(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            system(chan, &args).await;
            Ok(Next::Continue)
        })
    }
}

fn check(args: &Piece<'_>) -> Result<(), CheckError> {
    if args.is_empty() { Err(CheckError::Missing("the command")) } else { Ok(()) }
}

/// The words of SYSTEMSTATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Success,
    AppError,
    Failure,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::AppError => "APPERROR",
            Self::Failure => "FAILURE",
        }
    }
}

/// Runs what the arguments say, or says why not.
async fn system(chan: &mut Channel, args: &Args<'_>) -> Status {
    let settings = chan.exchange().settings.load_full();
    let status = match prepare(chan, args, (args.piece(), &settings.dialplan)) {
        Ok(arguments) => run(chan, args, &arguments).await,
        Err(why) => {
            let line = args.shown(chan, args.piece());
            refused(chan, ("System", &line), &why);
            Status::Failure
        }
    };
    chan.set_var("SYSTEMSTATUS", status.word());
    status
}

/// Why nothing is started.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("[dialplan] system is \"off\"")]
    Off,
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Tells that an application's command was not started.
pub(super) fn refused(chan: &Channel, (app, line): (&'static str, &str), why: &Refusal) {
    let line = line.escape_debug().to_string();
    tracing::warn!(uuid = chan.uuid(), app, command = line, %why, "nothing is started");
    let note = json!({"uuid": chan.uuid(), "command": line, "why": why.to_string()});
    chan.exchange().journal.note("dialplan.system_refused", note);
}

/// The program and the arguments that a command stands for, as far as the settings allow it.
pub(super) fn prepare(
    chan: &mut Channel,
    args: &Args<'_>,
    (line, settings): (&Piece<'_>, &DialplanSettings),
) -> Result<Vec<String>, Refusal> {
    let line = args.written(chan, &line.clone().trim());
    let line = line.piece();
    match settings.system {
        SystemChoice::Off => Err(Refusal::Off),
        SystemChoice::Argv => {
            let words = command::words(&line)?;
            let (program, rest) = words.split_first().ok_or(CommandError::Nothing)?;
            let name = program.literal().ok_or(CommandError::ComputedProgram)?;
            let listed = settings.programs.iter().find(|listed| {
                listed.as_os_str() == name.as_str() || listed.file_name().is_some_and(|file| file == name.as_str())
            });
            let path = listed.ok_or(CommandError::NotListed(name))?.to_string_lossy().into_owned();
            Ok([path].into_iter().chain(rest.iter().map(|word| args.value(chan, word))).collect())
        }
        SystemChoice::Shell => {
            let (script, values) = command::script(&line)?;
            let fixed = ["/bin/sh", "-c", &script, "System"].map(str::to_owned);
            Ok(fixed.into_iter().chain(values.iter().map(|value| args.value(chan, value))).collect())
        }
    }
}

/// Waits for the program, serving the caller's phone meanwhile; when the caller hangs up, the program goes on to its end.
async fn run(chan: &mut Channel, args: &Args<'_>, arguments: &[String]) -> Status {
    let uuid = chan.uuid().to_owned();
    let program = program::run(arguments, &uuid, args.env().surroundings());
    tokio::pin!(program);
    let ended = loop {
        let here = !chan.is_gone();
        tokio::select! {
            ended = &mut program => break ended,
            _ = chan.wait(std::time::Duration::from_secs(60)), if here => {}
        }
    };
    let name = arguments.first().map(String::as_str).unwrap_or_default();
    match ended {
        Ok(Ended::Exited(status)) if status.success() => Status::Success,
        Ok(Ended::Exited(status)) if status.code() == Some(NOT_FOUND) => Status::Failure,
        Ok(Ended::Exited(status)) => {
            tracing::info!(uuid, program = name, %status, "System");
            Status::AppError
        }
        Ok(Ended::TimeOver) => {
            tracing::warn!(uuid, program = name, "System: the program was ended, it took longer than a minute");
            Status::AppError
        }
        Err(error) => {
            tracing::warn!(uuid, program = name, %error, "System: the program cannot be started");
            Status::Failure
        }
    }
}
