//! `info()`: shows all variables of the channel in the log.

use super::{App, CheckError, Doing, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct Info;

impl App for Info {
    fn name(&self) -> &'static str {
        "info"
    }

    fn syntax(&self) -> &'static str {
        "[level]"
    }

    fn synopsis(&self) -> &'static str {
        "Shows every variable of the channel in the log, names sorted."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 1)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        for (name, value) in chan.describe().variables {
            tracing::info!(uuid = chan.uuid(), name, value, "info");
        }
        Ok(Next::Continue).into()
    }
}
