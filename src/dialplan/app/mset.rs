//! `MSet(name=value[,name=value...])`: several assignments at once.

use super::set::{assign, assign_later, check, takes_time};
use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct MSet;

impl App for MSet {
    fn name(&self) -> &'static str {
        "MSet"
    }

    fn syntax(&self) -> &'static str {
        "name=value[,name=value...]"
    }

    fn synopsis(&self) -> &'static str {
        "Sets several variables or functions, from left to right; a value with a comma needs quotes around it."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let all = args.arguments(usize::MAX);
        if all.is_empty() { Err(CheckError::Missing("`name=value`")) } else { all.iter().try_for_each(check) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let all = args.piece().arguments(usize::MAX);
        if all.iter().any(takes_time) {
            return Doing::waits(async move {
                for assignment in all {
                    assign_later(chan, &args, &assignment).await?;
                }
                Ok(Next::Continue)
            });
        }
        let done = all.iter().try_for_each(|assignment| assign(chan, &args, assignment));
        done.map(|()| Next::Continue).map_err(Into::into).into()
    }
}
