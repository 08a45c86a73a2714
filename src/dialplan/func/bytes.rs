//! Between bytes and values: escapes in written characters, and texts that come out of decoders.

/// The first character of an argument, `\n`, `\r`, `\t`, `\xHH` and `\0nnn` read, and what follows it. `None` when there
/// is none or the escape is wrong.
pub(super) fn encoded(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first != '\\' {
        return Some((first, chars.as_str()));
    }
    let escaped = chars.next()?;
    let rest = chars.as_str();
    Some(match escaped {
        'n' => ('\n', rest),
        'r' => ('\r', rest),
        't' => ('\t', rest),
        'x' => digits(rest, 16, 2).filter(|_| rest.starts_with(|c: char| c.is_ascii_hexdigit()))?,
        '0' => digits(rest, 8, usize::MAX)?,
        other => (other, rest),
    })
}

/// All characters of an argument, up to the first wrong escape.
pub(super) fn decoded(text: &str) -> String {
    let mut rest = text;
    std::iter::from_fn(|| {
        let (c, after) = encoded(rest)?;
        rest = after;
        Some(c)
    })
    .collect()
}

/// A byte written in at most `most` digits; what is above a byte is lost.
fn digits(text: &str, radix: u32, most: usize) -> Option<(char, &str)> {
    let count = text.chars().take(most).take_while(|c| c.is_digit(radix)).count();
    let (digits, rest) = text.split_at_checked(count)?;
    let value = digits.chars().filter_map(|c| c.to_digit(radix)).fold(0_u32, |sum, d| (sum * radix + d) % 256);
    Some((char::from(u8::try_from(value).ok()?), rest))
}

/// The value that bytes are: up to the first zero, as where a text ends at zero. Bytes that are not UTF-8 become one
/// character each (ISO 8859-1), so that different bytes stay different values.
pub(super) fn text(mut bytes: Vec<u8>) -> String {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_asterisk_reads_them() {
        for (text, expected) in [
            ("\\n\\r\\t", "\n\r\t"),
            ("\\x2c\\x2C,", ",,,"),
            ("\\x9z", "\tz"),
            ("\\054\\0", ",\0"),
            ("\\-\\\\\\\"", "-\\\""),
            ("a\\xgb", "a"),
            ("a\\", "a"),
            ("ä\\xe4", "ää"),
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }

    #[test]
    fn bytes_become_a_text_up_to_the_first_zero() {
        assert_eq!(text(b"abc\0def".to_vec()), "abc");
        assert_eq!(text("äöü\0".as_bytes().to_vec()), "äöü");
        assert_eq!(text(vec![0xe4, 0xff, b'x']), "äÿx");
        assert_eq!(text(vec![0]), "");
    }
}
