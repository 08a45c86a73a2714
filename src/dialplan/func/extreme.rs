//! `ABS(number)`, `MAX(a,b)`, `MIN(a,b)`: the amount of a number, and the larger or smaller of two.

use super::{Func, FuncError, scan, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Abs;

impl Func for Abs {
    fn name(&self) -> &'static str {
        "ABS"
    }

    fn syntax(&self) -> &'static str {
        "number"
    }

    fn synopsis(&self) -> &'static str {
        "The number without its sign."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_number(args)
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let text = args.value(scope);
        let number = scan::real(&text).ok_or(FuncError::NotANumber(text))?;
        Ok(printed(number.abs()))
    }
}

/// One of two numbers.
pub(super) struct Extreme {
    name: &'static str,
    synopsis: &'static str,
    of: fn(f64, f64) -> f64,
}

pub(super) static MAX: Extreme = Extreme {
    name: "MAX",
    synopsis: "The larger of two numbers, or the one that is there.",
    of: |a, b| if a < b { b } else { a },
};

pub(super) static MIN: Extreme = Extreme {
    name: "MIN",
    synopsis: "The smaller of two numbers, or the one that is there.",
    of: |a, b| if a > b { b } else { a },
};

impl Func for Extreme {
    fn name(&self) -> &'static str {
        self.name
    }

    fn syntax(&self) -> &'static str {
        "number,number"
    }

    fn synopsis(&self) -> &'static str {
        self.synopsis
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["number"])?;
        slots::slots(args, 2).iter().filter(|number| !number.is_empty()).try_for_each(check_number)
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [a, b] = slots::fixed(&args).map(|piece| piece.value(scope));
        let number = |text: String| match scan::real(&text) {
            Some(number) => Ok(Some(number)),
            None if text.is_empty() => Ok(None),
            None => Err(FuncError::NotANumber(text)),
        };
        match (number(a)?, number(b)?) {
            (Some(a), Some(b)) => Ok(printed((self.of)(a, b))),
            (Some(only), None) | (None, Some(only)) => Ok(printed(only)),
            (None, None) => Err(FuncError::Missing("number")),
        }
    }
}

fn check_number(number: &Piece<'_>) -> Result<(), CheckError> {
    match number.literal() {
        Some(found) if scan::real(&found).is_none() => Err(CheckError::Malformed { what: "number", found }),
        _ => Ok(()),
    }
}

/// Whole numbers without a point, others with six decimals.
fn printed(number: f64) -> String {
    let whole = number as i64;
    if whole as f64 == number && whole != i64::MAX { whole.to_string() } else { format!("{number:.6}") }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    #[test]
    fn whole_numbers_stay_whole_and_others_have_six_decimals() {
        for (text, expected) in [
            ("${ABS(-13)}", "13"),
            ("${ABS(2.5)}", "2.500000"),
            ("${ABS(-0)}", "0"),
            ("${ABS(-3000000000)}", "3000000000"),
            ("${ABS(1e20)}", "100000000000000000000.000000"),
            ("${MIN(7,4)}", "4"),
            ("${MIN(-1.5,${N})}", "-1.500000"),
            ("${MIN(,4)}", "4"),
            ("${MIN(-1,)}", "-1"),
            ("${MAX(4,7)}", "7"),
            ("${MAX(4)}", "4"),
            ("${MAX(${N},3)}", "3"),
        ] {
            assert_eq!(value(text, &[("N", "2")]), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(refusal("${ABS(x)}"), "ABS: `x` is no number");
        assert_eq!(refusal("${MAX(1,x)}"), "MAX: `x` is no number");
        let (text, warnings) = evaluate("${MIN(1,${V})}${MAX(${X},)}", &[("V", "x")]);
        assert_eq!(
            (text.as_str(), warnings),
            ("", vec!["MIN: `x` is not a number".into(), "MAX: number is missing".into()])
        );
    }
}
