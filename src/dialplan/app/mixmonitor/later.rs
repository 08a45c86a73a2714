//! The command that `MixMonitor` runs when a recording is complete: put together when it begins, started as `System` would.
//! Above: `mixmonitor`. Below: `system`, `program`.

use std::sync::Arc;

use crate::call::Channel;
use crate::call::recording::RecordingHandle;
use crate::dialplan::app::system;
use crate::dialplan::args::Args;
use crate::dialplan::env::Env;
use crate::dialplan::piece::{Bit, Piece};
use crate::dialplan::program::{self, Ended};
use crate::dialplan::template::{Part, Template};

/// What stands for `${` in a command until the recording has its name.
const LATER: &str = "^{";

/// The program and its arguments; `None` where nothing is to be started, which is told if it was asked for.
pub(super) fn prepare(chan: &mut Channel, args: &Args<'_>, command: Option<&Piece<'_>>) -> Option<Vec<String>> {
    let command = command.filter(|command| !command.is_empty())?;
    let written = args.written(chan, command);
    let command = unescaped(&written.piece());
    let settings = chan.exchange().settings.load_full();
    match system::prepare(chan, args, (&command.piece(), &settings.dialplan)) {
        Ok(arguments) => Some(arguments),
        Err(why) => {
            let line = args.shown(chan, &command.piece());
            system::refused(chan, ("MixMonitor", &line), &why);
            None
        }
    }
}

/// With `^{NAME}` as `${NAME}`: only where it is written, never where a value put it.
fn unescaped(command: &Piece<'_>) -> Template {
    let mut parts = Vec::new();
    for bit in command.bits() {
        match *bit {
            Bit::Text(text) if text.contains(LATER) => match Template::compile(&text.replace(LATER, "${")) {
                Ok(template) => parts.extend(template.into_parts()),
                Err(_) => parts.push(Part::Text(text.to_owned())),
            },
            Bit::Text(text) => parts.push(Part::Text(text.to_owned())),
            Bit::Code(part) => parts.push(part.clone()),
        }
    }
    Template::from_parts(parts)
}

/// Starts it when all recordings are complete and in the outbox; the call is over by then, as a rule.
pub(super) fn run(recordings: Vec<RecordingHandle>, arguments: Vec<String>, (uuid, env): (String, Arc<Env>)) {
    tokio::spawn(async move {
        for recording in recordings {
            if let Err(error) = recording.ended().await {
                tracing::warn!(uuid, %error, "MixMonitor: the command is run all the same");
            }
        }
        let name = arguments.first().map(String::as_str).unwrap_or_default();
        match program::run(&arguments, &uuid, env.surroundings()).await {
            Ok(Ended::Exited(status)) if status.success() => {}
            Ok(Ended::Exited(status)) => tracing::warn!(uuid, program = name, %status, "MixMonitor"),
            Ok(Ended::TimeOver) => tracing::warn!(uuid, program = name, "MixMonitor: it was ended, it took too long"),
            Err(error) => tracing::warn!(uuid, program = name, %error, "MixMonitor: the program cannot be started"),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::vars::tests::Variables;

    #[test]
    fn what_is_escaped_in_a_command_is_read_later_and_only_where_it_is_written() {
        let mut scope = Variables::with(&[("FILE", "a.wav"), ("TRAP", "^{FILE}")]);
        let mut value = |text: &str| unescaped(&Template::compile(text).unwrap().piece()).piece().value(&mut scope);
        assert_eq!(value("rec push ^{FILE} ${FILE}"), "rec push a.wav a.wav");
        assert_eq!(value("rec push ${TRAP} ^{FILE:0:1}"), "rec push ^{FILE} a");
        assert_eq!(value("rec push ^{FILE"), "rec push ^{FILE", "a mistake stays what it is");
    }
}
