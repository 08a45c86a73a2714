//! `Log(level,text)`: writes a line to the log.

use tracing::Level;

use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Log;

impl App for Log {
    fn name(&self) -> &'static str {
        "Log"
    }

    fn syntax(&self) -> &'static str {
        "level,text"
    }

    fn synopsis(&self) -> &'static str {
        "Writes a line to the log; levels are ERROR, WARNING, NOTICE, VERBOSE and DEBUG."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let (level, _) = args.split_once(',').ok_or(CheckError::Missing("the text"))?;
        level.literal().map_or(Ok(()), |word| level_of(&word).map(|_| ()))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let (word, text) = args.piece().split_once(',').unwrap_or_default();
        let (word, text) = (args.value(chan, &word), args.shown(chan, &text));
        let uuid = chan.uuid();
        match level_of(&word) {
            Ok(Level::ERROR) => tracing::error!(uuid, text, "Log"),
            Ok(Level::WARN) => tracing::warn!(uuid, text, "Log"),
            Ok(Level::INFO) => tracing::info!(uuid, text, "Log"),
            Ok(_) => tracing::debug!(uuid, text, "Log"),
            Err(error) => return Err(error.into()).into(),
        }
        Ok(Next::Continue).into()
    }
}

fn level_of(word: &str) -> Result<Level, CheckError> {
    match word.trim().to_ascii_uppercase().as_str() {
        "ERROR" => Ok(Level::ERROR),
        "WARNING" => Ok(Level::WARN),
        "NOTICE" => Ok(Level::INFO),
        "VERBOSE" | "DEBUG" | "DTMF" => Ok(Level::DEBUG),
        _ => Err(CheckError::Unknown {
            what: "level",
            found: word.trim().to_owned(),
            known: "ERROR, WARNING, NOTICE, VERBOSE, DEBUG".to_owned(),
        }),
    }
}
