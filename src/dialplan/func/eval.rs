//! `EVAL(text)`: substitutes once more.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::template::Template;
use crate::dialplan::vars::Scope;

pub(super) struct Eval;

impl Func for Eval {
    fn name(&self) -> &'static str {
        "EVAL"
    }

    fn syntax(&self) -> &'static str {
        "text"
    }

    fn synopsis(&self) -> &'static str {
        "Substitutes in a value once more; only in text of the dialplan, what comes from outside is left as it is."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let written = args.written(scope);
        let foreign = !written.piece().is_text();
        let value = args.value(scope);
        if foreign && value.contains("${") | value.contains("$[") {
            // a caller's name must not be able to read the variables of the call (D2)
            return Err(FuncError::Wrong("a value from outside is not substituted".to_owned()));
        }
        let template = Template::compile(&value).map_err(|error| FuncError::Wrong(error.to_string()))?;
        Ok(template.piece().value(scope))
    }
}
