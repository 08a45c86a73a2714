//! Numbers at the start of a text, as C's scanf takes them. Pure.

/// Most characters of a number that are looked at.
const MAX_DIGITS: usize = 30;

/// A leading whole number after blanks, and what follows it. More than fits is the largest there is.
pub(super) fn whole(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches(is_space);
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.bytes().skip(sign).take(MAX_DIGITS - sign).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(sign + digits)?;
    let saturated = if number.starts_with('-') { i64::MIN } else { i64::MAX };
    (digits > 0).then(|| (number.parse().unwrap_or(saturated), rest))
}

/// A leading number with a fraction, an exponent, in hexadecimal (`0x1f`), or `inf` or `nan`.
pub(super) fn real(text: &str) -> Option<f64> {
    let text = text.trim_start_matches(is_space);
    let text = text.get(..text.bytes().take(MAX_DIGITS).take_while(u8::is_ascii).count())?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => hexadecimal(digits)?,
        None => decimal(digits)?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// What C calls white space.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn decimal(text: &str) -> Option<f64> {
    if let Some(word) = text.get(..3).filter(|word| ["inf", "nan"].iter().any(|name| word.eq_ignore_ascii_case(name))) {
        return word.parse().ok();
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let before = digits(text);
    let mut end = before;
    if let Some(fraction) = text.get(before..)?.strip_prefix('.') {
        let after = digits(fraction);
        end = if before + after == 0 { 0 } else { before + 1 + after };
    }
    if end == 0 {
        return None;
    }
    if let Some(exponent) = text.get(end..)?.strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['-', '+']));
        let count = digits(exponent.get(sign..)?);
        end += if count > 0 { 1 + sign + count } else { 0 };
    }
    text.get(..end)?.parse().ok()
}

/// What follows `0x`: digits, a fraction, `p` and a power of two.
fn hexadecimal(text: &str) -> Option<f64> {
    let mut value = 0.0;
    let mut scale = None;
    let mut seen = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c.to_digit(16) {
            Some(digit) => {
                seen = true;
                value = value * 16.0 + f64::from(digit);
                scale = scale.map(|scale: f64| scale * 16.0);
            }
            None if c == '.' && scale.is_none() => scale = Some(1.0),
            None => break,
        }
        rest = rest.get(1..)?;
    }
    let power = rest.strip_prefix(['p', 'P']).and_then(whole).map_or(0, |(power, _)| power.clamp(-5000, 5000));
    let power = i32::try_from(power).ok()?;
    // a number that is only `0x` is the 0 before the x
    if seen { Some(value / scale.unwrap_or(1.0) * 2.0_f64.powi(power)) } else { Some(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_end_where_their_digits_end() {
        assert_eq!(whole(" \t-12abc"), Some((-12, "abc")));
        assert_eq!(whole("+7-9"), Some((7, "-9")));
        assert_eq!(whole("99999999999999999999"), Some((i64::MAX, "")));
        for text in ["", " ", "-", "abc", "--1", "ä"] {
            assert_eq!(whole(text), None, "{text:?}");
        }
    }

    #[test]
    fn real_numbers_are_read_in_every_form() {
        for (text, expected) in [
            (" 1.5x", 1.5),
            ("-.5", -0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1e", 1.0),
            ("1e+", 1.0),
            ("100ergs", 100.0),
            ("0x1f", 31.0),
            ("0x.8", 0.5),
            ("0x1p4", 16.0),
            ("0xg", 0.0),
            ("+2", 2.0),
            ("-inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(real(text), Some(expected), "{text:?}");
        }
        for text in ["", ".", "-", "abc", "e5", "ä1", "+-1"] {
            assert_eq!(real(text), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_scanning_panic(text in "\\PC{0,40}|[-+0-9xXpPeE.a-f ]{0,40}") {
            let _ = (whole(&text), real(&text));
        }
    }
}
