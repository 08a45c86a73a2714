//! `INC(name)`, `DEC(name)`: counts a variable up or down and gives what it became.

use super::{Func, FuncError, scan};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

/// Counts.
pub(super) struct Step {
    name: &'static str,
    synopsis: &'static str,
    by: i64,
}

pub(super) static INC: Step = Step { name: "INC", synopsis: "Adds 1 to a variable and gives its new value.", by: 1 };

pub(super) static DEC: Step =
    Step { name: "DEC", synopsis: "Takes 1 from a variable and gives its new value.", by: -1 };

impl Func for Step {
    fn name(&self) -> &'static str {
        self.name
    }

    fn syntax(&self) -> &'static str {
        "name"
    }

    fn synopsis(&self) -> &'static str {
        self.synopsis
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() { Err(CheckError::Missing("name")) } else { Ok(()) }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let name = args.value(scope);
        let text = scope.variable(&name).filter(|text| !text.is_empty()).ok_or(FuncError::Unset(name.clone()))?;
        let number = match scan::whole(&text) {
            Some((number, "")) => number,
            // nothing but blanks counts as 0
            None if text.chars().all(scan::is_space) => 0,
            _ => return Err(FuncError::NotANumber(text)),
        };
        let number = number.saturating_add(self.by).to_string();
        scope.set_variable(&name, number.clone());
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, value_in};
    use crate::dialplan::vars::tests::Variables;

    #[test]
    fn a_variable_is_counted_up_and_down() {
        let mut scope = Variables::with(&[("N", "4"), ("M", " -1"), ("B", " "), ("L", "2147483647")]);
        let mut read = |text: &str| value_in(&mut scope, text);
        assert_eq!(read("${INC(N)} ${INC(N)} ${N}"), "5 6 6");
        assert_eq!(read("${DEC(N)} ${DEC(M)} ${M}"), "5 -2 -2");
        assert_eq!(read("${INC(B)} ${INC(L)}"), "1 2147483648");
    }

    #[test]
    fn what_is_no_number_stays_as_it_is() {
        let (text, warnings) = evaluate("${INC(V)}${INC(NOTHING)}${V}", &[("V", "5x")]);
        assert_eq!(text, "5x");
        assert_eq!(warnings, ["INC: `5x` is not a number", "INC: `NOTHING` is not set"]);
    }
}
