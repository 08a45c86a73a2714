//! `LISTFILTER(name,delimiter,value)`: a list without one of its values.

use super::{Func, FuncError, bytes, named, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct ListFilter;

impl Func for ListFilter {
    fn name(&self) -> &'static str {
        "LISTFILTER"
    }

    fn syntax(&self) -> &'static str {
        "name,delimiter,value"
    }

    fn synopsis(&self) -> &'static str {
        "The fields of a variable that do not have this value; the delimiter may be several characters."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name", "delimiter", "value"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [name, delimiter, unwanted] = slots::fixed(&args);
        let value = named::read(scope, &name)?;
        let mut delimiter = bytes::decoded(&delimiter.value(scope));
        if delimiter.is_empty() {
            delimiter.push(',');
        }
        let unwanted = unwanted.value(scope);
        let kept: Vec<&str> = value.split(delimiter.as_str()).filter(|field| *field != unwanted).collect();
        Ok(kept.join(&delimiter))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refusal, value};

    #[test]
    fn whole_fields_of_the_value_go() {
        let variables = [("V", "a-b-ab-b"), ("C", "x,y"), ("A", "1&&2&&3"), ("L", "p\nq")];
        for (text, expected) in [
            ("${LISTFILTER(V,-,b)}", "a-ab"),
            ("${LISTFILTER(V,-,c)}", "a-b-ab-b"),
            ("${LISTFILTER(V,-,B)}", "a-b-ab-b"),
            ("${LISTFILTER(C,,x)}", "y"),
            ("${LISTFILTER(C,\\,,y)}", "x"),
            ("${LISTFILTER(A,&&,2)}", "1&&3"),
            ("${LISTFILTER(L,\\\\n,p)}", "q"),
            ("${LISTFILTER(NOTHING,-,b)}", ""),
        ] {
            assert_eq!(value(text, &variables), expected, "{text}");
        }
        assert_eq!(refusal("${LISTFILTER(V)}"), "LISTFILTER: delimiter is missing");
    }
}
