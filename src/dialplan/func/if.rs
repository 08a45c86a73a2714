//! `IF(condition?value:value)`: one of two values.

use super::{Func, FuncError};
use crate::dialplan::evaluate::is_true;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct If;

impl Func for If {
    fn name(&self) -> &'static str {
        "IF"
    }

    fn syntax(&self) -> &'static str {
        "condition?value_if_true[:value_if_false]"
    }

    fn synopsis(&self) -> &'static str {
        "One of two values; only the one chosen is evaluated. A condition left empty gives nothing."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let chosen = self.chosen(scope, &args).ok_or(FuncError::Missing("`?`"))?;
        Ok(chosen.value(scope))
    }

    fn chooses(&self) -> bool {
        true
    }

    fn chosen<'p>(&self, scope: &mut dyn Scope, args: &Piece<'p>) -> Option<Piece<'p>> {
        let (condition, values) = args.split_once('?')?;
        if condition.clone().trim().is_empty() {
            return Some(Piece::default());
        }
        let (yes, no) = values.split_outside(':').unwrap_or_else(|| (values, Piece::default()));
        Some(if is_true(&condition.value(scope)) { yes.trim() } else { no.trim() })
    }
}
