//! `EXISTS(value)`: whether there is a value.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Exists;

impl Func for Exists {
    fn name(&self) -> &'static str {
        "EXISTS"
    }

    fn syntax(&self) -> &'static str {
        "value"
    }

    fn synopsis(&self) -> &'static str {
        "1 if the value is not empty, else 0."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let value = args.value(scope);
        Ok(u8::from(!value.is_empty()).to_string())
    }
}
