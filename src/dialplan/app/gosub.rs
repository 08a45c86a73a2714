//! `Gosub([[context,]extension,]priority[(arguments)])`: runs a subroutine, which comes back by `Return`.

use super::goto::{check_target, jump_to};
use super::{App, CheckError, Doing, Jump, Next, Outcome, record_enable};
use crate::call::{Channel, FrameKind};
use crate::dialplan::args::Args;
use crate::dialplan::exec::{Argument, enter};
use crate::dialplan::piece::Piece;

pub(super) struct Gosub;

impl App for Gosub {
    fn name(&self) -> &'static str {
        "Gosub"
    }

    fn syntax(&self) -> &'static str {
        "[[context,]extension,]priority[(argument[,argument...])]"
    }

    fn synopsis(&self) -> &'static str {
        "Runs a subroutine with its arguments as ARG1, ARG2, …; Return comes back to the next priority."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_call(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        match recorded(chan, &args) {
            Some(arguments) => Doing::waits(record_enable::run(chan, arguments)),
            None => call(chan, &args, args.piece()).into(),
        }
    }
}

/// The arguments of a call of `record-enable` in a dialplan that has none of its own.
fn recorded(chan: &mut Channel, args: &Args<'_>) -> Option<Vec<Argument>> {
    let (target, _) = args.piece().split_once('(')?;
    let context =
        target.arguments(3).first().and_then(Piece::literal).filter(|name| record_enable::is_meant(name.trim()));
    context?;
    let (target, arguments) = split_call(chan, args, args.piece()).ok()?;
    let there = args.plan().reach((chan.position(), &chan.caller().number), &target);
    there.is_err().then_some(arguments)
}

/// Refuses a call of a subroutine that can never work.
pub(super) fn check_call(text: &Piece<'_>) -> Result<(), CheckError> {
    match text.split_once('(') {
        Some((_, arguments)) if arguments.clone().trim().strip_suffix(')').is_none() => {
            Err(CheckError::Missing("`)` after the arguments"))
        }
        Some((target, _)) => check_target(&target.trim()),
        None => check_target(text),
    }
}

/// A target and the arguments given to it.
pub(super) fn split_call(
    chan: &mut Channel,
    args: &Args<'_>,
    text: &Piece<'_>,
) -> Result<(Jump, Vec<Argument>), CheckError> {
    let Some((target, arguments)) = text.split_once('(') else {
        return Ok((jump_to(chan, args, text), Vec::new()));
    };
    let arguments = arguments.trim().strip_suffix(')').ok_or(CheckError::Missing("`)` after the arguments"))?;
    let target = jump_to(chan, args, &target.trim());
    let arguments = arguments.arguments(usize::MAX);
    Ok((target, arguments.iter().map(|piece| argument(chan, args, piece)).collect()))
}

/// One argument of a subroutine.
pub(super) fn argument(chan: &mut Channel, args: &Args<'_>, piece: &Piece<'_>) -> Argument {
    let written = args.is_written(chan, piece);
    Argument { value: args.value(chan, piece), written }
}

/// Begins the subroutine; where there is none, the script ends as Asterisk's does.
pub(super) fn call(chan: &mut Channel, args: &Args<'_>, text: &Piece<'_>) -> Outcome {
    let (target, arguments) = split_call(chan, args, text)?;
    match args.plan().reach((chan.position(), &chan.caller().number), &target) {
        Ok(position) => {
            enter(chan, FrameKind::Gosub, arguments);
            Ok(Next::At(position))
        }
        Err(missing) => {
            tracing::warn!(uuid = chan.uuid(), ?missing, "Gosub to nowhere: the script ends");
            Ok(Next::End)
        }
    }
}
