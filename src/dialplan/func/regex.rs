//! `REGEX("expression" text)`: whether a POSIX extended regular expression matches. Below: `posix`.

use super::slots::{self, Marks};
use super::{Func, FuncError};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::posix::Regex;
use crate::dialplan::vars::Scope;

pub(super) struct RegexFunc;

impl Func for RegexFunc {
    fn name(&self) -> &'static str {
        "REGEX"
    }

    fn syntax(&self) -> &'static str {
        "\"expression\" text"
    }

    fn synopsis(&self) -> &'static str {
        "1 if the regular expression matches somewhere in the text, else 0; write \\\\ for each of its backslashes."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let (expression, _) = parts(args).ok_or(CheckError::Missing("\"expression\""))?;
        match expression.literal() {
            Some(found) if Regex::compile(&found).is_err() => {
                Err(CheckError::Malformed { what: "regular expression", found })
            }
            _ => Ok(()),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let (expression, text) = parts(&args).ok_or(FuncError::Missing("\"expression\""))?;
        let (expression, text) = (expression.value(scope), text.value(scope));
        let regex = Regex::cached(&expression).map_err(|_| FuncError::Argument(expression))?;
        let text = text.strip_prefix([' ', '\t']).unwrap_or(&text);
        Ok(u8::from(regex.is_match(text)).to_string())
    }
}

/// What is in the quotes, and what follows them.
fn parts<'a>(args: &Piece<'a>) -> Option<(Piece<'a>, Piece<'a>)> {
    let mut parts = slots::split(args, '"', 3, Marks::Taken).into_iter().skip(1);
    Some((parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    #[test]
    fn an_expression_matches_anywhere_in_the_text() {
        let variables = [("N", "+44123"), ("Q", "a\"b"), ("R", "^\\+"), ("X", "\" x")];
        for (text, expected) in [
            ("${REGEX(\"^[0-9]+$\" 123)}", "1"),
            ("${REGEX(\"^[0-9]+$\" 12a)}", "0"),
            ("${REGEX(\"2\"123)}", "1"),
            ("${REGEX(\"^ \"  two blanks)}", "1"),
            ("${REGEX(\"^ \" one)}", "0"),
            ("${REGEX(\"^\\\\+44\" ${N})}", "1"),
            ("${REGEX(\"${R}\" ${N})}", "1"),
            ("${REGEX(\"a.b\" ${Q})}", "1"),
            ("${REGEX(\"^(SIP|PJSIP)/\" PJSIP/1)}", "1"),
            ("${REGEX(\"x,y\" x,y)}", "1"),
            ("${REGEX(\"\\\"\" ${Q})}", "1"),
        ] {
            assert_eq!(value(text, &variables), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_expression_is_refused() {
        assert_eq!(refusal("${REGEX(\"[z-a]\" x)}").split(':').next(), Some("REGEX"));
        assert_eq!(refusal("${REGEX(x)}"), "REGEX: \"expression\" is missing");
        assert_eq!(evaluate("${REGEX(\"${R}\" x)}", &[("R", "(")]).1, ["REGEX: `(` is no argument of it"]);
    }
}
