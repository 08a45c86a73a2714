//! `URIENCODE(text)`, `URIDECODE(text)`: percent encoding (RFC 2396 §2).

use super::bytes;
use super::plain::{Empty, Plain};

pub(super) static URIENCODE: Plain = Plain {
    name: "URIENCODE",
    syntax: "text",
    synopsis: "The text with all but letters, digits and -_.!~*'() as %XX.",
    empty: Empty::Taken,
    value: encode,
};

pub(super) static URIDECODE: Plain = Plain {
    name: "URIDECODE",
    syntax: "text",
    synopsis: "The text with every %XX made the character it stands for.",
    empty: Empty::Taken,
    value: decode,
};

fn encode(text: &str) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).map(|digit| digit.to_ascii_uppercase());
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([digit(byte >> 4), digit(byte & 0xf)].into_iter().flatten());
        }
    }
    encoded
}

/// `%` is itself where two characters do not follow or the first is no hexadecimal digit; a second that is none is lost.
fn decode(text: &str) -> String {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let code = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).map(|high| hex(*low).map_or(high, |low| high << 4 | low)),
            _ => None,
        };
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(code) => {
                decoded.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => decoded.push(byte),
        }
    }
    bytes::text(decoded)
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn all_but_unreserved_characters_are_encoded() {
        for (text, encoded) in [
            ("a b", "a%20b"),
            ("+44 (0)20/7", "%2B44%20(0)20%2F7"),
            ("-_.!~*'()", "-_.!~*'()"),
            ("ä\"", "%C3%A4%22"),
            ("100%", "100%25"),
            ("", ""),
        ] {
            assert_eq!(value("${URIENCODE(${T})}", &[("T", text)]), encoded);
            assert_eq!(value("${URIDECODE(${T})}", &[("T", encoded)]), text);
        }
    }

    #[test]
    fn what_is_no_code_stays() {
        for (text, expected) in
            [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("a+b", "a+b"), ("%e4", "ä"), ("a%00b", "a"), ("%4gx", "\u{4}x")]
        {
            assert_eq!(value("${URIDECODE(${T})}", &[("T", text)]), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in "[^\\x00]{0,40}") {
            let encoded = value("${URIENCODE(${T})}", &[("T", &text)]);
            proptest::prop_assert_eq!(value("${URIDECODE(${T})}", &[("T", &encoded)]), text);
        }
    }
}
