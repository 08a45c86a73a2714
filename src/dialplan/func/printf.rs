//! One conversion of C's printf: `%-8.3f` and the like. Pure. Above: `sprintf`.

use super::math::unsigned;

/// Widest field and most digits, in characters: what Asterisk has room for.
const MOST: usize = 4096;

/// What stands between `%` and the letter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spec {
    /// `#`
    pub(super) alternate: bool,
    /// `0`
    pub(super) zero: bool,
    /// `-`
    pub(super) left: bool,
    /// `+`
    pub(super) plus: bool,
    /// A blank.
    pub(super) blank: bool,
    pub(super) width: usize,
    pub(super) precision: Option<usize>,
    /// How many bits of a whole number count.
    pub(super) bits: u32,
}

impl Spec {
    /// `%s`
    pub(super) fn text(self, text: &str) -> String {
        let most = self.precision.unwrap_or(usize::MAX);
        let text: String = text.chars().take(most).collect();
        Self { zero: false, ..self }.padded("", &text)
    }

    /// `%d` and `%i`
    pub(super) fn signed(self, number: i64) -> String {
        let number = match self.bits {
            8 => i64::from(number as i8),
            16 => i64::from(number as i16),
            _ => number,
        };
        let digits = self.at_least(number.unsigned_abs().to_string());
        self.whole(self.sign(number < 0), &digits)
    }

    /// `%o`, `%u`, `%x` and `%X`
    pub(super) fn unsigned(self, number: i64, conversion: char) -> String {
        let number = match self.bits {
            8 => u64::from(number as u8),
            16 => u64::from(number as u16),
            _ => unsigned(number),
        };
        let mut digits = self.at_least(match conversion {
            'o' => format!("{number:o}"),
            'x' => format!("{number:x}"),
            'X' => format!("{number:X}"),
            _ => number.to_string(),
        });
        let prefix = match conversion {
            'x' if self.alternate && number != 0 => "0x",
            'X' if self.alternate && number != 0 => "0X",
            _ => "",
        };
        if conversion == 'o' && self.alternate && !digits.starts_with('0') {
            digits.insert(0, '0');
        }
        self.whole(prefix, &digits)
    }

    /// `%e`, `%f`, `%g`, `%a` and their capitals
    pub(super) fn real(self, number: f64, conversion: char) -> String {
        let amount = number.abs();
        let small = conversion.to_ascii_lowercase();
        let precision = self.precision.unwrap_or(6).min(MOST);
        let mut digits = match small {
            _ if amount.is_nan() => "nan".to_owned(),
            _ if amount.is_infinite() => "inf".to_owned(),
            'a' => hexadecimal(amount, self.precision),
            'e' => exponential(amount, precision),
            'g' => general(amount, precision.max(1), self.alternate),
            _ => format!("{amount:.precision$}"),
        };
        if self.alternate && precision == 0 && small == 'f' && amount.is_finite() {
            digits.push('.');
        }
        let mut sign = self.sign(number.is_sign_negative() && !number.is_nan()).to_owned();
        if small == 'a' && amount.is_finite() {
            sign.push_str("0x");
        }
        let spec = Self { zero: self.zero && amount.is_finite(), ..self };
        let printed = spec.padded(&sign, &digits);
        if conversion.is_ascii_uppercase() { printed.to_ascii_uppercase() } else { printed }
    }

    fn sign(self, negative: bool) -> &'static str {
        match self {
            _ if negative => "-",
            Self { plus: true, .. } => "+",
            Self { blank: true, .. } => " ",
            _ => "",
        }
    }

    /// At least as many digits as the precision says; none for a 0 that may have none.
    fn at_least(self, digits: String) -> String {
        match self.precision.map(|precision| precision.min(MOST)) {
            Some(0) if digits == "0" => String::new(),
            Some(precision) => format!("{digits:0>precision$}"),
            None => digits,
        }
    }

    /// A precision of a whole number forbids zeros before it.
    fn whole(self, prefix: &str, digits: &str) -> String {
        Self { zero: self.zero && self.precision.is_none(), ..self }.padded(prefix, digits)
    }

    fn padded(self, prefix: &str, body: &str) -> String {
        let missing = self.width.min(MOST).saturating_sub(prefix.len() + body.chars().count());
        match self {
            Self { left: true, .. } => format!("{prefix}{body}{}", " ".repeat(missing)),
            Self { zero: true, .. } => format!("{prefix}{}{body}", "0".repeat(missing)),
            _ => format!("{}{prefix}{body}", " ".repeat(missing)),
        }
    }
}

/// `1.500000e-07`
fn exponential(amount: f64, precision: usize) -> String {
    let text = format!("{amount:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// The shorter of both forms, with so many digits in all.
fn general(amount: f64, digits: usize, keeps_zeros: bool) -> String {
    let text = exponential(amount, digits - 1);
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = power.parse().unwrap_or_default();
    let short = |text: &str| match text.contains('.') && !keeps_zeros {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match usize::try_from(exponent.saturating_add(4)) {
        Ok(above) if above < digits + 4 => {
            let decimals = (digits + 3).saturating_sub(above);
            short(&format!("{amount:.decimals$}"))
        }
        _ => format!("{}e{power}", short(mantissa)),
    }
}

/// `1.8p+1`, without the `0x`.
fn hexadecimal(amount: f64, precision: Option<usize>) -> String {
    const DIGITS: usize = 13;
    let bits = amount.to_bits();
    let raw = i64::try_from(bits >> 52).unwrap_or_default();
    let (mut first, mut fraction) = (u64::from(raw > 0), bits & ((1 << 52) - 1));
    let exponent = match raw {
        0 if fraction == 0 => 0,
        0 => -1022,
        raw => raw - 1023,
    };
    if let Some(kept) = precision.filter(|kept| *kept < DIGITS) {
        let dropped = u32::try_from(4 * (DIGITS - kept)).unwrap_or_default();
        let all = first << 52 | fraction;
        let (down, rest, half) = (all >> dropped, all & ((1 << dropped) - 1), 1_u64 << (dropped - 1));
        let up = rest > half || (rest == half && down & 1 == 1);
        let rounded = (down + u64::from(up)) << dropped;
        (first, fraction) = (rounded >> 52, rounded & ((1 << 52) - 1));
    }
    let digits = format!("{fraction:013x}");
    let digits = match precision.map(|precision| precision.min(MOST)) {
        Some(precision) => format!("{:0<precision$}", digits.get(..precision.min(DIGITS)).unwrap_or_default()),
        None => digits.trim_end_matches('0').to_owned(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    format!("{first}{point}{digits}p{exponent:+}")
}
