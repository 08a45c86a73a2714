//! `SET(name=value)`: sets a variable and is its value.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Set;

impl Func for Set {
    fn name(&self) -> &'static str {
        "SET"
    }

    fn syntax(&self) -> &'static str {
        "name=value"
    }

    fn synopsis(&self) -> &'static str {
        "Sets a variable and gives the value back."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let (name, value) = args.split_once('=').ok_or(FuncError::Missing("`=`"))?;
        let name = name.trim().value(scope);
        if name.is_empty() {
            return Err(FuncError::Missing("the name before `=`"));
        }
        let value = value.value(scope);
        scope.set_variable(&name, value.clone());
        Ok(value)
    }
}
