//! `SECRET(name)`: a variable whose values appear in no log, trace or event.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Secret;

impl Func for Secret {
    fn name(&self) -> &'static str {
        "SECRET"
    }

    fn syntax(&self) -> &'static str {
        "name"
    }

    fn synopsis(&self) -> &'static str {
        "1 if the variable is kept secret, else 0; setting it to anything keeps the variable secret from then on."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let name = args.value(scope);
        let chan = scope.channel().ok_or(FuncError::NoCall)?;
        Ok(u8::from(chan.variables().is_secret(&name)).to_string())
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, _value: String) -> Result<(), FuncError> {
        let name = args.value(scope);
        scope.channel().ok_or(FuncError::NoCall)?.variables_mut().keep_secret(&name);
        Ok(())
    }
}
