//! `FIELDQTY(name,delimiter)`, `FIELDNUM(name,delimiter,value)`: how many fields, and which.

use super::{Func, FuncError, bytes, named, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct FieldQty;

impl Func for FieldQty {
    fn name(&self) -> &'static str {
        "FIELDQTY"
    }

    fn syntax(&self) -> &'static str {
        "name,delimiter"
    }

    fn synopsis(&self) -> &'static str {
        "The number of fields of a variable; 0 when it is empty."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let mut pieces = slots::slots(&args, 2).into_iter();
        let name = pieces.next().unwrap_or_default();
        let Some(delimiter) = pieces.next() else { return Ok("1".to_owned()) };
        let value = named::read(scope, &name)?;
        let delimiter = delimiter.value(scope);
        let count = match bytes::encoded(&delimiter) {
            _ if value.is_empty() => 0,
            Some((delimiter, _)) => value.split(delimiter).count(),
            None => 1,
        };
        Ok(count.to_string())
    }
}

pub(super) struct FieldNum;

impl Func for FieldNum {
    fn name(&self) -> &'static str {
        "FIELDNUM"
    }

    fn syntax(&self) -> &'static str {
        "name,delimiter,value"
    }

    fn synopsis(&self) -> &'static str {
        "Which field of a variable has this value, letter case not counted; 0 when none has."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name", "delimiter", "value"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [name, delimiter, wanted] = slots::fixed(&args);
        let value = named::read(scope, &name)?;
        let (delimiter, wanted) = (delimiter.value(scope), wanted.value(scope));
        let Some((delimiter, _)) = bytes::encoded(&delimiter).filter(|_| !value.is_empty()) else {
            return Ok("0".to_owned());
        };
        let index = value.split(delimiter).position(|field| field.eq_ignore_ascii_case(&wanted));
        Ok(index.map_or(0, |index| index + 1).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refusal, value};

    #[test]
    fn fields_are_counted() {
        let variables = [("V", "ex-amp-le"), ("C", "a,b,,"), ("L", "x\ny\nz")];
        for (text, expected) in [
            ("${FIELDQTY(V,-)}", "3"),
            ("${FIELDQTY(C,,)}", "4"),
            ("${FIELDQTY(C,\\,)}", "4"),
            ("${FIELDQTY(C,\\x2c)}", "4"),
            ("${FIELDQTY(C,\\054)}", "4"),
            ("${FIELDQTY(L,\\n)}", "3"),
            ("${FIELDQTY(V)}", "1"),
            ("${FIELDQTY(V,)}", "1"),
            ("${FIELDQTY(NOTHING,-)}", "0"),
        ] {
            assert_eq!(value(text, &variables), expected, "{text}");
        }
    }

    #[test]
    fn fields_are_found() {
        let list = |text: &str| [("V".to_owned(), text.to_owned())];
        for (v, args, expected) in [
            ("ex-amp-le", "-,amp", "2"),
            ("ex-amp-le", "-,AMP", "2"),
            ("abc,def,ghi,jkl", "\\,,ghi", "3"),
            ("abc def ghi jkl", " ,abc", "1"),
            ("abc/def/ghi/jkl", "\\\\x2f,def", "2"),
            ("abc$def", ",ghi", "0"),
            ("abc,def,ghi,jkl", "-,", "0"),
            ("abc-def-ghi-jkl", "-,mno", "0"),
            ("", "-,", "0"),
        ] {
            let [(name, v)] = list(v);
            assert_eq!(value(&format!("${{FIELDNUM(V,{args})}}"), &[(&name, &v)]), expected, "{v} {args}");
        }
        assert_eq!(refusal("${FIELDNUM(V,-)}"), "FIELDNUM: value is missing");
    }
}
