//! `LOCAL(name)`: a variable of the subroutine that runs, gone when it returns.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Local;

impl Func for Local {
    fn name(&self) -> &'static str {
        "LOCAL"
    }

    fn syntax(&self) -> &'static str {
        "name"
    }

    fn synopsis(&self) -> &'static str {
        "A variable that hides one of the same name until the subroutine returns; can be set inside a Gosub."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let name = args.value(scope);
        Ok(scope.variable(&name).unwrap_or_default())
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let name = hide(scope, &args)?;
        scope.set_variable(&name, value);
        Ok(())
    }

    fn write_text(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let name = hide(scope, &args)?;
        let chan = scope.channel().ok_or(FuncError::NoCall)?;
        chan.variables_mut().set_written(&name, value);
        Ok(())
    }
}

fn hide(scope: &mut dyn Scope, args: &Piece<'_>) -> Result<String, FuncError> {
    let name = args.value(scope);
    let chan = scope.channel().ok_or(FuncError::NoCall)?;
    if chan.hide_var(&name) {
        Ok(name)
    } else {
        Err(FuncError::Wrong("there is no Gosub that it could end with".into()))
    }
}
