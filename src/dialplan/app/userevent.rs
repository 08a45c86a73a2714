//! `UserEvent(name[,key:value...])`: puts an event of your own among those of `pbx events`.

use serde_json::json;

use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct UserEvent;

impl App for UserEvent {
    fn name(&self) -> &'static str {
        "UserEvent"
    }

    fn syntax(&self) -> &'static str {
        "name[,key:value...]"
    }

    fn synopsis(&self) -> &'static str {
        "Puts an event `user` with that name and fields among those of `pbx events`."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        match args.arguments(2).first() {
            Some(name) if !name.is_empty() => Ok(()),
            _ => Err(CheckError::Missing("the name of the event")),
        }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let mut pieces = args.piece().arguments(usize::MAX).into_iter();
        let name = pieces.next().map(|name| args.value(chan, &name)).unwrap_or_default();
        let mut fields = serde_json::Map::new();
        for piece in pieces.take(MAX_FIELDS) {
            let (key, value) = piece.split_once(':').unwrap_or_else(|| (piece, Piece::default()));
            fields.insert(args.shown(chan, &key).trim().to_owned(), args.shown(chan, &value).trim_start().into());
        }
        let event = json!({"uuid": chan.uuid(), "name": name.trim(), "fields": fields});
        chan.exchange().journal.note("user", event);
        Ok(Next::Continue).into()
    }
}

/// Fields of one event; further ones are left out.
const MAX_FIELDS: usize = 64;
