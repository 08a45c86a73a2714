//! `Macro(name[,arguments])`: runs the steps of `[macro-name]` from `s,1` and comes back where they end.

use super::gosub::argument;
use super::{App, CheckError, Doing, Jump, Next, Outcome, record_enable};
use crate::call::{Channel, FrameKind, Position};
use crate::dialplan::args::Args;
use crate::dialplan::exec::{Argument, enter};
use crate::dialplan::piece::Piece;
use crate::dialplan::risk::{self, Risk};

pub(super) struct Macro;

impl App for Macro {
    fn name(&self) -> &'static str {
        "Macro"
    }

    fn syntax(&self) -> &'static str {
        "name[,argument...]"
    }

    fn synopsis(&self) -> &'static str {
        "Runs [macro-name] with ARG1, …, MACRO_EXTEN, MACRO_CONTEXT and MACRO_PRIORITY; Gosub is the modern form. A dialplan without \
         [macro-record-enable] has that of FreePBX: (record-enable,who,OUT) records the call as OUTwho-date-time-UNIQUEID.wav, \
         complete when the next Dial has ended, and sets CALLFILENAME, which has no ending."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        match args.arguments(usize::MAX).first() {
            Some(name) if !name.is_empty() => Ok(()),
            _ => Err(CheckError::Missing("the name of the macro")),
        }
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        risk::of_blanks(args.arguments(usize::MAX).get(1..).unwrap_or_default())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        begin(chan, &args)
    }
}

fn begin<'a>(chan: &'a mut Channel, args: &Args<'a>) -> Doing<'a> {
    let pieces = args.piece().arguments(usize::MAX);
    let name = pieces.first().map(|name| args.value(chan, name)).unwrap_or_default();
    let context = format!("macro-{}", name.trim());
    let target = Jump { context: Some(context.clone()), extension: Some("s".to_owned()), priority: "1".to_owned() };
    let there = args.plan().reach((chan.position(), &chan.caller().number), &target);
    let arguments: Vec<_> = pieces.iter().skip(1).map(|piece| argument(chan, args, piece)).collect();
    match there {
        Ok(position) => enters(chan, position, arguments).into(),
        Err(_) if record_enable::is_meant(&context) => Doing::waits(record_enable::run(chan, arguments)),
        Err(_) => {
            tracing::warn!(uuid = chan.uuid(), name, "there is no such macro: it is passed over");
            Ok(Next::Continue).into()
        }
    }
}

fn enters(chan: &mut Channel, there: Position, arguments: Vec<Argument>) -> Outcome {
    let Position { context, extension, priority } = chan.position().clone();
    // a macro in a macro still shows the extension that was dialled
    let outer = chan.frames().iter().any(|frame| frame.kind == FrameKind::Macro);
    enter(chan, FrameKind::Macro, arguments);
    chan.hide_var("MACRO_OFFSET");
    if !outer {
        for (name, value) in
            [("MACRO_EXTEN", extension), ("MACRO_CONTEXT", context), ("MACRO_PRIORITY", priority.to_string())]
        {
            chan.hide_var(name);
            chan.set_var(name, value);
        }
    }
    Ok(Next::At(there))
}
