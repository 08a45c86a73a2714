//! `CUT(name,delimiter,fields)`: fields of a variable by number.

use super::{Func, FuncError, bytes, named, scan, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Cut;

impl Func for Cut {
    fn name(&self) -> &'static str {
        "CUT"
    }

    fn syntax(&self) -> &'static str {
        "name,delimiter,fields"
    }

    fn synopsis(&self) -> &'static str {
        "Fields of a variable, as 2, 2-4, 2-, -4 or several with &; the delimiter is - when none is given."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name", "delimiter", "fields"])?;
        let [_, _, fields] = slots::fixed(args);
        let bad = |found: String| CheckError::Malformed { what: "list of fields", found };
        match fields.literal() {
            Some(fields) if fields.split('&').any(|range| self::range(range).is_none()) => Err(bad(fields)),
            _ => Ok(()),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [name, delimiter, fields] = slots::fixed(&args);
        let value = named::read(scope, &name)?;
        let delimiter = bytes::encoded(&delimiter.value(scope)).map_or('-', |(delimiter, _)| delimiter);
        let fields = fields.value(scope);
        if value.is_empty() {
            return Ok(value);
        }
        let mut cut = String::with_capacity(value.len());
        let mut all = (1..).zip(value.split(delimiter)).peekable();
        let mut first = true;
        for range in fields.split('&') {
            let (start, stop) = self::range(range).ok_or_else(|| FuncError::Argument(fields.clone()))?;
            while all.next_if(|(number, _)| *number < start).is_some() {}
            // fields only go forward: one that has gone by is not there again
            while let Some((_, field)) = all.next_if(|(number, _)| *number <= stop) {
                cut.extend((!first).then_some(delimiter));
                cut.push_str(field);
                first = false;
            }
        }
        Ok(cut)
    }
}

/// First and last field of `2`, `2-4`, `2-` and `-4`.
fn range(text: &str) -> Option<(i64, i64)> {
    if let Some((stop, _)) = text.strip_prefix('-').and_then(scan::whole)
        && !text.get(1..)?.contains('-')
    {
        return Some((1, stop));
    }
    let (start, rest) = scan::whole(text)?;
    Some(match rest.strip_prefix('-') {
        Some(stop) => (start, scan::whole(stop).map_or(i64::MAX, |(stop, _)| stop)),
        None => (start, start),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    #[test]
    fn fields_are_cut_by_number() {
        let variables = [
            ("V", "a-b-c-d"),
            ("C", "a,b,c"),
            ("CHANNEL", "SIP/1001-0000002a"),
            ("L", "x\ny"),
            ("W", "a b"),
            ("F", "2-3"),
            ("U", "aäb"),
        ];
        for (text, expected) in [
            ("${CUT(V,-,1)}", "a"),
            ("${CUT(V,,2)}", "b"),
            ("${CUT(V,-,2-3)}", "b-c"),
            ("${CUT(V,-,2-)}", "b-c-d"),
            ("${CUT(V,-,-2)}", "a-b"),
            ("${CUT(V,-,1&3-4)}", "a-c-d"),
            ("${CUT(V,-,3&1)}", "c"),
            ("${CUT(V,-,9)}", ""),
            ("${CUT(V,-,0)}", ""),
            ("${CUT(V,-,${F})}", "b-c"),
            ("${CUT(C,\\,,2)}", "b"),
            ("${CUT(C,\",\",2-)}", "b,c"),
            ("${CUT(C,\\\\x2c,3)}", "c"),
            ("${CUT(L,\\\\n,2)}", "y"),
            ("${CUT(W, ,2)}", "b"),
            ("${CUT(U,ä,2)}", "b"),
            ("${CUT(CHANNEL,-,1)}", "SIP/1001"),
            ("${CUT(CUT(CHANNEL,-,1),/,2)}", "1001"),
            ("${CUT(NOTHING,-,1)}", ""),
            ("${CUT(V:2,-,1)}", "b"),
        ] {
            assert_eq!(value(text, &variables), expected, "{text}");
        }
    }

    #[test]
    fn fields_that_are_none_are_refused() {
        assert_eq!(refusal("${CUT(V,-)}"), "CUT: fields is missing");
        assert_eq!(refusal("${CUT(V,-,first)}"), "CUT: `first` is no list of fields");
        let (text, warnings) = evaluate("${CUT(V,-,${V})}", &[("V", "x-y")]);
        assert_eq!((text.as_str(), warnings), ("", vec!["CUT: `x-y` is no argument of it".to_owned()]));
    }

    proptest::proptest! {
        #[test]
        fn any_fields_of_any_value_are_survived(v in "[-a,é&]{0,20}", d in "\\PC?", f in "[-0-9&x ]{0,12}") {
            value("${CUT(V,${D},${F})}", &[("V", &v), ("D", &d), ("F", &f)]);
        }
    }
}
