//! `GLOBAL(name)`: a variable that all calls share.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Global;

impl Func for Global {
    fn name(&self) -> &'static str {
        "GLOBAL"
    }

    fn syntax(&self) -> &'static str {
        "name"
    }

    fn synopsis(&self) -> &'static str {
        "A variable that all calls share, also where the channel has one of that name; can be set."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let name = args.value(scope);
        match scope.env() {
            Some(env) => Ok(env.global(&name).unwrap_or_default()),
            None => Ok(scope.variable(&name).unwrap_or_default()),
        }
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        set(scope, &args, value, false)
    }

    fn write_text(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        set(scope, &args, value, true)
    }
}

fn set(scope: &mut dyn Scope, args: &Piece<'_>, value: String, written: bool) -> Result<(), FuncError> {
    let name = args.value(scope);
    let Some(env) = scope.env() else {
        scope.set_variable(&name, value);
        return Ok(());
    };
    if env.set_global(&name, value, written) {
        Ok(())
    } else {
        Err(FuncError::Wrong("there is no room for more global variables".to_owned()))
    }
}
