//! `Verbose([level,]text)`: shows its text in the log.

use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Verbose;

impl App for Verbose {
    fn name(&self) -> &'static str {
        "Verbose"
    }

    fn syntax(&self) -> &'static str {
        "[level,]text"
    }

    fn synopsis(&self) -> &'static str {
        "Shows a text in the log: levels 0 and 1 at info, 2 and 3 at debug, higher ones at trace."
    }

    fn check(&self, _args: &Piece<'_>) -> Result<(), CheckError> {
        Ok(())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let pieces = args.piece().arguments(2);
        let mut values = pieces.iter().map(|piece| args.shown(chan, piece));
        let (level, text) = match (values.next(), values.next()) {
            (Some(level), Some(text)) => (level.trim().parse::<u32>().unwrap_or(0), text),
            (only, _) => (0, only.unwrap_or_default()),
        };
        let uuid = chan.uuid();
        match level {
            0 | 1 => tracing::info!(uuid, level, text, "Verbose"),
            2 | 3 => tracing::debug!(uuid, level, text, "Verbose"),
            _ => tracing::trace!(uuid, level, text, "Verbose"),
        }
        Ok(Next::Continue).into()
    }
}
