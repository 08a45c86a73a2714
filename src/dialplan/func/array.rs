//! `Set(ARRAY(name,…)=value,…)`: several variables at once, from a list.

use super::named::Named;
use super::{Func, FuncError, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::template::Template;
use crate::dialplan::vars::Scope;

/// Most variables.
const MOST: usize = 100;

pub(super) struct Array;

impl Func for Array {
    fn name(&self) -> &'static str {
        "ARRAY"
    }

    fn syntax(&self) -> &'static str {
        "name[,name…]"
    }

    fn synopsis(&self) -> &'static str {
        "Set: gives each of the variables one field of the value, none where there are too few."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name"])
    }

    fn read(&self, _scope: &mut dyn Scope, _args: Piece<'_>) -> Result<String, FuncError> {
        Err(FuncError::WriteOnly)
    }

    /// The list is mostly computed, hence split as it came out: its fields become values and nothing else.
    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let list = Template::literal(value);
        let mut fields = slots::slots(&list.piece(), MOST).into_iter();
        for name in slots::slots(&args, MOST) {
            let field = fields.next().and_then(|field| field.literal()).unwrap_or_default();
            Named::new(&name)?.write(scope, field)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{set, value_in};
    use crate::dialplan::vars::tests::Variables;

    #[test]
    fn each_variable_gets_its_field() {
        let mut scope = Variables::with(&[("c", "old"), ("N", "d")]);
        set(&mut scope, "ARRAY", "a,b,CALLERID(num),${N},c", "1,\"2,3\",+44,x\\,y").unwrap();
        assert_eq!(value_in(&mut scope, "${a}|${b}|${CALLERID(num)}|${d}|${c}"), "1|2,3|+44|x,y|");
    }
}
