//! `CONNECTEDLINE(num|name|all)`: who is at the other end.

use super::callerid::{Field, all, split_all};
use super::{Func, FuncError, channel, known};
use crate::call::CallerId;
use crate::config::CallerIdText;
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct ConnectedLine;

impl Func for ConnectedLine {
    fn name(&self) -> &'static str {
        "CONNECTEDLINE"
    }

    fn syntax(&self) -> &'static str {
        "num|name|all[,i]"
    }

    fn synopsis(&self) -> &'static str {
        "The number or name of the party at the other end, as far as is known; set, it is for the dialplan alone: no phone is \
         told (with or without i)."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let first = args.arguments(2).into_iter().next().unwrap_or_default();
        known(&first, "part of a caller id", ["all", "name", "num", "number"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let field = field(scope, &args)?;
        let CallerId { name, number } = channel(scope)?.about().connected.clone();
        Ok(match field {
            Field::Number => number,
            Field::Name => name,
            Field::All => all(&CallerIdText { name, number }),
        })
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let field = field(scope, &args)?;
        let connected = &mut channel(scope)?.about_mut().connected;
        match field {
            Field::Number => connected.number = value,
            Field::Name => connected.name = value,
            Field::All => {
                let CallerIdText { name, number } = split_all(&value);
                *connected = CallerId { name, number };
            }
        }
        Ok(())
    }
}

fn field(scope: &mut dyn Scope, args: &Piece<'_>) -> Result<Field, FuncError> {
    let word = args.arguments(2).first().map(|piece| piece.value(scope)).unwrap_or_default();
    Field::from_word(&word).ok_or(FuncError::Argument(word))
}
