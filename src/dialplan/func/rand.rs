//! `RAND(least,most)`: a random whole number, both ends included.

use super::{Func, FuncError, scan, slots};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

/// The largest number when none is given: RAND_MAX of C libraries.
const RAND_MAX: i64 = 2_147_483_647;

pub(super) struct Rand;

impl Func for Rand {
    fn name(&self) -> &'static str {
        "RAND"
    }

    fn syntax(&self) -> &'static str {
        "[least][,most]"
    }

    fn synopsis(&self) -> &'static str {
        "A random whole number from least (0) to most (2147483647), both included."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [least, most] = slots::fixed(&args).map(|piece| piece.value(scope));
        let number = |text: &str, default| scan::whole(text).map_or(default, |(number, _)| number);
        let (a, b) = (i128::from(number(&least, 0)), i128::from(number(&most, RAND_MAX)));
        let random = getrandom::u64().map_err(|error| FuncError::Wrong(format!("no random numbers: {error}")))?;
        let least = a.min(b);
        Ok((least + i128::from(random) % (a.max(b) - least + 1)).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn every_number_of_the_range_comes_and_no_other() {
        let mut seen = [false; 8];
        for _ in 0..2000 {
            let number: usize = value("${RAND(1,8)}", &[]).parse().unwrap();
            seen[number - 1] = true;
        }
        assert_eq!(seen, [true; 8]);
    }

    #[test]
    fn ends_may_be_equal_turned_or_left_out() {
        assert_eq!(value("${RAND(5,5)}", &[]), "5");
        assert!(["-1", "0", "1"].contains(&value("${RAND(1,-1)}", &[]).as_str()));
        for text in ["${RAND()}", "${RAND(,)}", "${RAND(x,y)}", "${RAND(2147483647)}"] {
            assert!((0..=2_147_483_647).contains(&value(text, &[]).parse::<i64>().unwrap()), "{text}");
        }
        value("${RAND(-99999999999999999999,99999999999999999999)}", &[]);
    }
}
