//! `HANGUPCAUSE(channel,type)`: why a leg that was dialled has ended.

use super::{Func, FuncError, channel};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct HangupCause;

impl Func for HangupCause {
    fn name(&self) -> &'static str {
        "HANGUPCAUSE"
    }

    fn syntax(&self) -> &'static str {
        "channel,tech|ast"
    }

    fn synopsis(&self) -> &'static str {
        "Why a leg that this channel dialled ended, by the leg's channel name: ast is the number of the Q.850 cause, tech the \
         SIP status that means it."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let mut values = args.arguments(2).into_iter().map(|piece| piece.value(scope).trim().to_owned());
        let name = values.next().filter(|name| !name.is_empty()).ok_or(FuncError::Missing("the channel"))?;
        let kind = values.next().ok_or(FuncError::Missing("the type"))?;
        let cause = channel(scope)?.cause_of(&name);
        match (kind.to_ascii_lowercase().as_str(), cause) {
            ("ast", cause) => Ok(cause.map(|cause| cause.number().to_string()).unwrap_or_default()),
            ("tech", cause) => {
                Ok(cause.map(|cause| format!("SIP {} {}", cause.status(), cause.text())).unwrap_or_default())
            }
            _ => Err(FuncError::Argument(kind)),
        }
    }
}
