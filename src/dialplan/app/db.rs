//! `db(insert/family/key/value)`: FreeSWITCH's application of that name, which changes the store and says nothing.

use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::func::db::store;
use crate::dialplan::func::db_words::{answer_later, of_calls, parts};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::{Scope, ValueWarning};

pub(super) struct Db;

impl App for Db {
    fn name(&self) -> &'static str {
        "db"
    }

    fn syntax(&self) -> &'static str {
        "insert/family/key/value|delete/family/key"
    }

    fn synopsis(&self) -> &'static str {
        "Puts a value into the store, or removes one, in FreeSWITCH's words; to read, use the function db."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() { Err(CheckError::Missing("insert or delete")) } else { Ok(()) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let wanted = {
                let mut scope = args.scope(chan);
                let parts = parts(&mut scope, args.piece());
                if of_calls(&mut scope, &parts).is_some() {
                    return Ok(Next::Continue);
                }
                store(&scope).map(|store| (store, parts))
            };
            let done = match wanted {
                Ok((store, parts)) => answer_later(store, parts).await,
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                args.scope(chan).warn(ValueWarning::Func { func: "db", error });
            }
            Ok(Next::Continue)
        })
    }
}
