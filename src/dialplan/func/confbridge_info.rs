//! `CONFBRIDGE_INFO(what,room)`: numbers about a conference room.

use super::{Func, FuncError};
use crate::call::room::Count;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::{Scope, ValueWarning};

pub(super) struct ConfBridgeInfo;

impl Func for ConfBridgeInfo {
    fn name(&self) -> &'static str {
        "CONFBRIDGE_INFO"
    }

    fn syntax(&self) -> &'static str {
        "parties|admins|marked|locked|muted,room"
    }

    fn synopsis(&self) -> &'static str {
        "How many are in a conference room, how many of them are admins, marked or muted, or whether it is locked; 0 when there is none."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let args = args.arguments(2);
        let mut value = |index: usize| args.get(index).map(|piece| piece.value(scope)).unwrap_or_default();
        let (word, room) = (value(0), value(1));
        let count = match word.trim().to_ascii_lowercase().as_str() {
            "parties" => Some(Count::Parties),
            "admins" => Some(Count::Admins),
            "marked" => Some(Count::Marked),
            "locked" => Some(Count::Locked),
            "muted" => Some(Count::Muted),
            _ => None,
        };
        let Some(count) = count else {
            // A number all the same, as in Asterisk: what adds or compares it goes on.
            scope.warn(ValueWarning::Func { func: self.name(), error: FuncError::Argument(word) });
            return Ok("0".to_owned());
        };
        let channel = scope.channel().ok_or(FuncError::NoCall)?;
        Ok(channel.rooms().count(count, room.trim()).to_string())
    }
}
