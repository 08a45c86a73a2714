//! Numbers of expressions, as Asterisk's: C's `long double` of the x87, 64 bits of mantissa. Above: `evaluate`, `math`.

use std::cmp::Ordering;
use std::fmt;

use dashu_int::UBig;
use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Status, StatusAnd};

/// 64 bits of mantissa, 15 of exponent.
pub(super) type Real = X87DoubleExtended;

/// Digits that are printed.
const DIGITS: usize = 18;
/// Whole numbers below this are printed with all their digits.
const PLAIN_BELOW: u64 = 1_000_000_000_000_000_000;
/// A number with more digits before its point is infinite; the largest finite one has 4,933.
const MOST_WHOLE_DIGITS: usize = 5_000;
/// Digits after the point beyond which only matters whether one is not 0: the smallest number has 16,445.
const MOST_DECIMALS: usize = 16_500;
/// The exponent of the x87 format that stands for 2^0.
const EXPONENT_BIAS: i32 = 16_383;
const MANTISSA_BITS: i32 = 64;

/// A number: a whole one as long as it fits, else a fraction. Whole ones are exact in 64 bits, so that both count alike.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Real(Real),
}

impl Number {
    /// What an expression takes for a number: digits, and digits after one point. No sign, no blanks.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('.') {
            None if are_digits(text) => Some(text.parse().map_or_else(|_| Self::decimal(text, ""), Self::Int)),
            Some((whole, decimals)) if are_digits(whole) && are_digits(decimals) => {
                Some(Self::decimal(whole, decimals))
            }
            _ => None,
        }
    }

    /// The number with which a text begins, after blanks; 0 when there is none.
    pub(super) fn leading(text: &str) -> Self {
        let text = text.trim_start_matches([' ', '\t']);
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, rest) = unsigned.split_at(digits(unsigned));
        let decimals = rest.strip_prefix('.').map_or("", |rest| rest.split_at(digits(rest)).0);
        let number = match decimals {
            "" => Self::parse(whole).unwrap_or(Self::Int(0)),
            _ => Self::decimal(whole, decimals),
        };
        if text.starts_with('-') { number.negative() } else { number }
    }

    /// Both are digits and nothing else.
    fn decimal(whole: &str, decimals: &str) -> Self {
        let whole = whole.trim_start_matches('0');
        if whole.len() > MOST_WHOLE_DIGITS {
            return Self::Real(Real::INFINITY);
        }
        let (near, far) = decimals.split_at(decimals.len().min(MOST_DECIMALS));
        let sticky = if far.bytes().any(|digit| digit != b'0') { "1" } else { "" };
        let parsed = format!("{whole}.{near}{sticky}0").parse::<Real>();
        Self::Real(parsed.unwrap_or(Real::ZERO))
    }

    pub(super) fn is_zero(self) -> bool {
        match self {
            Self::Int(int) => int == 0,
            Self::Real(real) => real.is_zero(),
        }
    }

    /// `None` when one of them is no number (NaN).
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            _ => self.real().partial_cmp(&other.real()),
        }
    }

    pub(super) fn negative(self) -> Self {
        match self {
            // zero has a sign, which only the other form can hold
            Self::Int(int) if int != 0 && int != i64::MIN => Self::Int(-int),
            number => Self::Real(-number.real()),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.whole(other, i64::checked_add).unwrap_or_else(|| self.computed(other, |a, b| a + b))
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.whole(other, i64::checked_sub).unwrap_or_else(|| self.computed(other, |a, b| a - b))
    }

    pub(super) fn times(self, other: Self) -> Self {
        let exact = |a: i64, b: i64| a.checked_mul(b).filter(|product| *product != 0 || (a >= 0 && b >= 0));
        self.whole(other, exact).unwrap_or_else(|| self.computed(other, |a, b| a * b))
    }

    /// Divides by a number that is not zero.
    pub(super) fn over(self, other: Self) -> Self {
        let exact = |a: i64, b: i64| if a != 0 && a.checked_rem(b)? == 0 { a.checked_div(b) } else { None };
        self.whole(other, exact).unwrap_or_else(|| self.computed(other, |a, b| a / b))
    }

    /// What division by a number that is not zero leaves, with the sign of `self`.
    pub(super) fn remainder(self, other: Self) -> Self {
        let exact = |a: i64, b: i64| a.checked_rem(b).filter(|rest| *rest != 0 || a >= 0);
        self.whole(other, exact).unwrap_or_else(|| self.computed(other, Real::c_fmod))
    }

    fn whole(self, other: Self, operation: impl Fn(i64, i64) -> Option<i64>) -> Option<Self> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => operation(a, b).map(Self::Int),
            _ => None,
        }
    }

    fn computed(self, other: Self, operation: impl Fn(Real, Real) -> StatusAnd<Real>) -> Self {
        let StatusAnd { status, value } = operation(self.real(), other.real());
        // what an x87 makes of an invalid operation has its sign set
        Self::Real(if status.intersects(Status::INVALID_OP) { -Real::NAN } else { value })
    }

    pub(super) fn real(self) -> Real {
        match self {
            Self::Int(int) => Real::from_i128(int.into()).value,
            Self::Real(real) => real,
        }
    }
}

/// Mantissa and exponent of a finite number without its sign, which is mantissa · 2^exponent.
pub(super) fn parts(real: Real) -> (u64, i32) {
    let bits = real.to_bits();
    let mantissa = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
    let biased = i32::try_from((bits >> MANTISSA_BITS) & 0x7fff).unwrap_or_default();
    // numbers without their leading bit share the exponent of the smallest with it
    (mantissa, biased.max(1) - EXPONENT_BIAS - (MANTISSA_BITS - 1))
}

impl fmt::Display for Number {
    /// As C's `%.18Lg` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let real = match *self {
            Self::Int(int) if int.unsigned_abs() < PLAIN_BELOW => return write!(f, "{int}"),
            number => number.real(),
        };
        if real.is_negative() {
            f.write_str("-")?;
        }
        if real.is_nan() {
            return f.write_str("nan");
        } else if real.is_infinite() {
            return f.write_str("inf");
        } else if real.is_zero() {
            return f.write_str("0");
        }
        let (digits, exponent) = rounded(real);
        let digits = digits.trim_end_matches('0');
        match usize::try_from(exponent) {
            Ok(whole) if whole < DIGITS => {
                let padded = format!("{digits:0<width$}", width = whole + 1);
                let (before, after) = padded.split_at(whole + 1);
                f.write_str(before)?;
                if after.is_empty() { Ok(()) } else { write!(f, ".{after}") }
            }
            Err(_) if exponent >= -4 => {
                let zeros = usize::try_from(-1 - exponent).unwrap_or_default();
                write!(f, "0.{:0<zeros$}{digits}", "")
            }
            _ => {
                let (first, more) = digits.split_at(1);
                let point = if more.is_empty() { "" } else { "." };
                write!(f, "{first}{point}{more}e{exponent:+03}")
            }
        }
    }
}

/// The first 18 digits, the last one rounded half to even, and the power of ten of the first.
fn rounded(real: Real) -> (String, i32) {
    let (mantissa, exponent) = parts(real);
    // m·2^-k is m·5^k·10^-k
    let (all, decimals) = match usize::try_from(exponent) {
        Ok(twos) => (UBig::from(mantissa) << twos, 0),
        Err(_) => {
            let unused = i32::try_from(mantissa.trailing_zeros()).unwrap_or_default().min(-exponent);
            let decimals = -exponent - unused;
            let fives = UBig::from(5_u8).pow(usize::try_from(decimals).unwrap_or_default());
            (UBig::from(mantissa >> unused) * fives, decimals)
        }
    };
    let mut digits = all.to_string();
    let power = i32::try_from(digits.len()).unwrap_or(i32::MAX) - 1 - decimals;
    let rest = if digits.len() > DIGITS { digits.split_off(DIGITS) } else { String::new() };
    let is_odd = digits.ends_with(['1', '3', '5', '7', '9']);
    let half = rest.strip_prefix('5').map(|rest| rest.bytes().all(|digit| digit == b'0'));
    let up = half.map_or(rest.as_str() > "5", |exactly| !exactly || is_odd);
    if !up {
        return (digits, power);
    }
    let kept = digits.trim_end_matches('9').len();
    digits.truncate(kept);
    match digits.pop().and_then(|last| last.to_digit(10)).and_then(|last| char::from_digit(last + 1, 10)) {
        Some(last) => {
            digits.push(last);
            (digits, power)
        }
        None => ("1".to_owned(), power + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::leading(text)
    }

    #[test]
    fn fractions_print_like_c_does() {
        for (text, expected) in [
            ("0.1", "0.1"),
            ("1000000000000000000", "1e+18"),
            ("100000000000000000", "100000000000000000"),
            ("123456.75", "123456.75"),
            ("0.00001", "1e-05"),
            ("0.0001", "0.0001"),
            ("0.00012345", "0.00012345"),
            ("-2.5", "-2.5"),
            ("9223372036854775807", "9.22337203685477581e+18"),
            ("100.0", "100"),
            ("-0", "-0"),
            ("1234567890123456785", "1.23456789012345678e+18"),
            ("1234567890123456775", "1.23456789012345678e+18"),
            ("1234567890123456775.5", "1.23456789012345678e+18"),
            ("9999999999999999999", "1e+19"),
            ("0.9999999999999999999", "1"),
            ("1.2.3", "1.2"),
            (".", "0"),
            (" -.5-", "-0.5"),
        ] {
            assert_eq!(number(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn only_plain_digits_are_a_number() {
        for text in ["", "-", ".", "1e5", "0x1", "inf", "nan", "1.2.3", " 1", "+1", "-1", "1-", ".5", "5.", "१"] {
            assert!(Number::parse(text).is_none(), "{text:?}");
        }
        assert!(matches!(Number::parse("007"), Some(Number::Int(7))));
        assert!(matches!(Number::parse("0.5"), Some(Number::Real(_))));
        assert!(matches!(Number::parse("99999999999999999999"), Some(Number::Real(_))));
    }

    #[test]
    fn results_are_rounded_to_64_bits_at_each_step() {
        let one = Number::Int(1);
        assert_eq!(one.over(Number::Int(3)).to_string(), "0.333333333333333333");
        assert_eq!(number("0.1").plus(number("0.2")).to_string(), "0.3");
        assert_eq!(Number::Int(i64::MAX).plus(one).to_string(), "9.22337203685477581e+18");
        let big = number("36893488147419103232"); // 2^65: one more is lost
        assert_eq!(big.plus(one).minus(big).to_string(), "0");
        assert_eq!(number("18446744073709551615").plus(one).minus(number("18446744073709551615")).to_string(), "1");
        assert_eq!(number("5.5").remainder(Number::Int(2)).to_string(), "1.5");
    }

    #[test]
    fn zero_has_a_sign_and_what_is_no_number_too() {
        let (zero, three) = (Number::Int(0), Number::Int(3));
        assert_eq!(zero.negative().to_string(), "-0");
        assert_eq!(zero.times(Number::Int(-3)).to_string(), "-0");
        assert_eq!(zero.over(Number::Int(-3)).to_string(), "-0");
        assert_eq!(Number::Int(-6).remainder(three).to_string(), "-0");
        assert_eq!(zero.minus(zero).to_string(), "0");
        let infinity = number(&"9".repeat(100_000));
        assert_eq!(infinity.to_string(), "inf");
        assert_eq!(infinity.minus(infinity).to_string(), "-nan");
        assert_eq!(infinity.order(infinity), Some(Ordering::Equal));
        assert_eq!(infinity.minus(infinity).order(zero), None);
    }

    #[test]
    fn the_longest_and_the_smallest_numbers_are_read() {
        assert_eq!(number(&format!("0.{}1", "0".repeat(100_000))).to_string(), "0");
        assert_eq!(number(&format!("0.{}4", "0".repeat(4950))).to_string(), "3.6451995318824746e-4951");
        assert_eq!(number(&format!("1{}", "0".repeat(4932))).to_string(), "1e+4932");
        assert_eq!(number(&format!("1{}", "0".repeat(4933))).to_string(), "inf");
        assert_eq!(
            number(&format!("{}.{}", "0".repeat(100_000), "3".repeat(100_000))).to_string(),
            "0.333333333333333333"
        );
    }
}
