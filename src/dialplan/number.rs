//! Numbers of expressions: whole ones exactly, others to 15 digits. Below: `expr`.

use std::cmp::Ordering;
use std::fmt;

/// A number: whole as long as it fits, else a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Real(f64),
}

impl Number {
    /// A bare number: digits, at most one point, a minus before them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if !plain || !digits.bytes().any(|byte| byte.is_ascii_digit()) {
            return None;
        }
        match text.parse() {
            Ok(int) => Some(Self::Int(int)),
            Err(_) => text.parse().ok().map(Self::Real),
        }
    }

    pub(super) fn is_zero(self) -> bool {
        self.real() == 0.0
    }

    pub(super) fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            _ => self.real().total_cmp(&other.real()),
        }
    }

    pub(super) fn negative(self) -> Self {
        match self {
            Self::Int(int) => int.checked_neg().map_or(Self::Real(-self.real()), Self::Int),
            Self::Real(real) => Self::Real(-real),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.whole(other, i64::checked_add).unwrap_or(Self::Real(self.real() + other.real()))
    }

    pub(super) fn times(self, other: Self) -> Self {
        self.whole(other, i64::checked_mul).unwrap_or(Self::Real(self.real() * other.real()))
    }

    /// Divides by a number that is not zero.
    pub(super) fn over(self, other: Self) -> Self {
        let exact = |a: i64, b: i64| if a.checked_rem(b)? == 0 { a.checked_div(b) } else { None };
        self.whole(other, exact).unwrap_or(Self::Real(self.real() / other.real()))
    }

    /// What division by a number that is not zero leaves, with the sign of `self`.
    pub(super) fn remainder(self, other: Self) -> Self {
        self.whole(other, i64::checked_rem).unwrap_or(Self::Real(self.real() % other.real()))
    }

    fn whole(self, other: Self, operation: impl Fn(i64, i64) -> Option<i64>) -> Option<Self> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => operation(a, b).map(Self::Int),
            _ => None,
        }
    }

    fn real(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Real(real) => real,
        }
    }
}

impl fmt::Display for Number {
    /// As C's `%.15g` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let real = match *self {
            Self::Int(int) => return write!(f, "{int}"),
            Self::Real(0.0) => return f.write_str("0"),
            Self::Real(real) if !real.is_finite() => return write!(f, "{real}"),
            Self::Real(real) => real,
        };
        let scientific = format!("{real:.14e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        if (-4..15).contains(&exponent) {
            let decimals = usize::try_from(14 - exponent).unwrap_or_default();
            return f.write_str(without_zeros(&format!("{real:.decimals$}")));
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(f, "{}e{sign}{:02}", without_zeros(digits), exponent.abs())
    }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_print_like_c_does() {
        for (real, text) in [
            (0.30000000000000004, "0.3"),
            (1e15, "1e+15"),
            (123456.75, "123456.75"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
            (9.223372036854776e18, "9.22337203685478e+18"),
            (100.0, "100"),
            (-0.0, "0"),
        ] {
            assert_eq!(Number::Real(real).to_string(), text);
        }
    }

    #[test]
    fn only_plain_digits_are_a_number() {
        for text in ["", "-", ".", "1e5", "0x1", "inf", "nan", "1.2.3", " 1", "+1", "--1", "1-"] {
            assert_eq!(Number::parse(text), None, "{text:?}");
        }
        assert_eq!(Number::parse("-5"), Some(Number::Int(-5)));
        assert_eq!(Number::parse(".5"), Some(Number::Real(0.5)));
        assert_eq!(Number::parse("99999999999999999999"), Some(Number::Real(1e20)));
    }
}
