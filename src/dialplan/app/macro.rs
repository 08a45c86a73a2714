//! `Macro(name[,arguments])`: runs the steps of `[macro-name]` from `s,1` and comes back where they end.

use super::gosub::argument;
use super::{App, CheckError, Doing, Jump, Next, Outcome};
use crate::call::{Channel, FrameKind, Position};
use crate::dialplan::args::Args;
use crate::dialplan::exec::enter;
use crate::dialplan::piece::Piece;

pub(super) struct Macro;

impl App for Macro {
    fn name(&self) -> &'static str {
        "Macro"
    }

    fn syntax(&self) -> &'static str {
        "name[,argument...]"
    }

    fn synopsis(&self) -> &'static str {
        "Runs [macro-name] with ARG1, …, MACRO_EXTEN, MACRO_CONTEXT and MACRO_PRIORITY; Gosub is the modern form."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        match args.arguments(usize::MAX).first() {
            Some(name) if !name.is_empty() => Ok(()),
            _ => Err(CheckError::Missing("the name of the macro")),
        }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        begin(chan, &args).into()
    }
}

fn begin(chan: &mut Channel, args: &Args<'_>) -> Outcome {
    let pieces = args.piece().arguments(usize::MAX);
    let name = pieces.first().map(|name| args.value(chan, name)).unwrap_or_default();
    let context = format!("macro-{}", name.trim());
    let target = Jump { context: Some(context), extension: Some("s".to_owned()), priority: "1".to_owned() };
    let Ok(position) = args.plan().reach((chan.position(), &chan.caller().number), &target) else {
        tracing::warn!(uuid = chan.uuid(), name, "there is no such macro: it is passed over");
        return Ok(Next::Continue);
    };
    let arguments = pieces.iter().skip(1).map(|piece| argument(chan, args, piece)).collect();
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
    Ok(Next::At(position))
}
