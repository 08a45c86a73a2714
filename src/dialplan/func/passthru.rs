//! `PASSTHRU(text)`: the text itself, for functions that want the name of something: `${CUT(PASSTHRU(a-b),-,2)}`.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Passthru;

impl Func for Passthru {
    fn name(&self) -> &'static str {
        "PASSTHRU"
    }

    fn syntax(&self) -> &'static str {
        "text"
    }

    fn synopsis(&self) -> &'static str {
        "The text itself, where a function wants the name of a variable."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        Ok(args.value(scope))
    }

    fn chooses(&self) -> bool {
        true
    }

    fn chosen<'p>(&self, _scope: &mut dyn Scope, args: &Piece<'p>) -> Option<Piece<'p>> {
        Some(args.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn a_text_stands_in_for_a_variable() {
        let variables = [("CHANNEL", "SIP/321-1")];
        assert_eq!(value("${PASSTHRU(a,b)}", &[]), "a,b");
        assert_eq!(value("${CUT(PASSTHRU(${CUT(CHANNEL,-,1)}),/,2)}", &variables), "321");
    }
}
