//! C's `long double`, naively: a sign and a whole number times a power of two, cut to 64 bits after each operation.
//! Only finite numbers, and none so small that it would have fewer bits.

use std::cmp::Ordering;

use num_bigint::BigUint;

#[derive(Clone, Debug)]
pub(super) struct Real {
    negative: bool,
    size: BigUint,
    twos: i64,
}

fn big(number: u32) -> BigUint {
    BigUint::from(number)
}

impl Real {
    pub(super) fn small(number: u32) -> Self {
        Self { negative: false, size: big(number), twos: 0 }
    }

    /// Digits, perhaps a point, digits.
    pub(super) fn read(text: &str) -> Self {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits: BigUint = format!("{whole}{decimals}").parse().unwrap();
        Self::quotient(false, digits, 0, big(10).pow(u32::try_from(decimals.len()).unwrap()))
    }

    /// size · 2^twos / divisor
    fn quotient(negative: bool, size: BigUint, twos: i64, divisor: BigUint) -> Self {
        let extra = 128 + divisor.bits();
        let wide = size << extra;
        let inexact = &wide % &divisor != big(0);
        // one more bit at the end stands for all that is lost
        let size = (wide / divisor) * big(2) + big(inexact.into());
        Self { negative, size, twos: twos - i64::try_from(extra).unwrap() - 1 }.rounded()
    }

    fn rounded(self) -> Self {
        let bits = self.size.bits();
        if bits <= 64 {
            return self;
        }
        let cut = bits - 64;
        let (mut kept, rest) = (&self.size >> cut, &self.size % (big(1) << cut));
        let half = big(1) << (cut - 1);
        if rest > half || (rest == half && kept.bit(0)) {
            kept += big(1);
        }
        Self { size: kept, twos: self.twos + i64::try_from(cut).unwrap(), ..self }
    }

    /// Both sizes as multiples of the same power of two.
    fn aligned(&self, other: &Self) -> (BigUint, BigUint, i64) {
        let twos = self.twos.min(other.twos);
        let shifted = |real: &Self| &real.size << usize::try_from(real.twos - twos).unwrap();
        (shifted(self), shifted(other), twos)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.size == big(0)
    }

    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    pub(super) fn negated(&self) -> Self {
        Self { negative: !self.negative, ..self.clone() }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let (a, b, twos) = self.aligned(other);
        let (negative, size) = if self.negative == other.negative {
            (self.negative, a + b)
        } else if a == b {
            (false, big(0))
        } else if a > b {
            (self.negative, a - b)
        } else {
            (other.negative, b - a)
        };
        Self { negative, size, twos }.rounded()
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let negative = self.negative != other.negative;
        Self { negative, size: &self.size * &other.size, twos: self.twos + other.twos }.rounded()
    }

    pub(super) fn over(&self, other: &Self) -> Self {
        let negative = self.negative != other.negative;
        Self::quotient(negative, self.size.clone(), self.twos - other.twos, other.size.clone())
    }

    /// What is left of a division with a whole result, with the sign of what was divided.
    pub(super) fn rest(&self, other: &Self) -> Self {
        let (a, b, twos) = self.aligned(other);
        Self { negative: self.negative, size: a % b, twos }.rounded()
    }

    /// Without what is behind the point.
    pub(super) fn cut(&self) -> Self {
        let one = Self::small(1);
        self.plus(&self.rest(&one).negated()).with_sign(self.negative)
    }

    /// Zero has a sign too.
    pub(super) fn with_sign(self, negative: bool) -> Self {
        Self { negative, ..self }
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        let difference = self.plus(&other.negated());
        match (difference.is_zero(), difference.negative) {
            (true, _) => Ordering::Equal,
            (_, true) => Ordering::Less,
            (_, false) => Ordering::Greater,
        }
    }

    /// size · 2^twos · 10^tens, cut and rounded half to even.
    fn scaled(&self, tens: i64) -> (BigUint, BigUint) {
        let power = |base: u32, exponent: i64| big(base).pow(u32::try_from(exponent.max(0)).unwrap());
        let above = &self.size * power(2, self.twos) * power(10, tens);
        let below = power(2, -self.twos) * power(10, -tens);
        let (cut, rest) = (&above / &below, &above % &below * big(2));
        let up = rest > below || (rest == below && cut.bit(0));
        (cut.clone(), if up { cut + big(1) } else { cut })
    }

    /// As `%.18Lg` prints it.
    pub(super) fn print(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        if self.is_zero() {
            return format!("{sign}0");
        }
        // the power of ten of the first digit: search for the one that leaves 18 digits
        let mut power = 0_i64;
        let (least, most) = (big(10).pow(17), big(10).pow(18));
        while self.scaled(17 - power).0 >= most {
            power += 1;
        }
        while self.scaled(17 - power).0 < least {
            power -= 1;
        }
        let mut rounded = self.scaled(17 - power).1;
        if rounded == most {
            rounded = least;
            power += 1;
        }
        let digits = rounded.to_string();
        let tidy = |text: String| match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        };
        let text = if !(-4..18).contains(&power) {
            let letter = if power < 0 { '-' } else { '+' };
            tidy(format!("{}.{}", &digits[..1], &digits[1..])) + &format!("e{letter}{:02}", power.abs())
        } else if power < 0 {
            tidy(format!("0.{}{digits}", "0".repeat(usize::try_from(-power - 1).unwrap())))
        } else {
            let whole = usize::try_from(power + 1).unwrap();
            tidy(format!("{}.{}", &digits[..whole], &digits[whole..]))
        };
        sign.to_owned() + &text
    }
}
