//! `BASE64_ENCODE(text)`, `BASE64_DECODE(text)` (RFC 4648 §4), and the code itself for `aes`.

use super::bytes;
use super::plain::{Empty, Plain};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) static BASE64_ENCODE: Plain = Plain {
    name: "BASE64_ENCODE",
    syntax: "text",
    synopsis: "The text in base64.",
    empty: Empty::Refused,
    value: |text| encode(text.as_bytes()),
};

pub(super) static BASE64_DECODE: Plain = Plain {
    name: "BASE64_DECODE",
    syntax: "base64",
    synopsis: "The text that base64 stands for, up to its first zero byte.",
    empty: Empty::Refused,
    value: |text| bytes::text(decode(text)),
};

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let sum = (0..3).fold(0_u32, |sum, index| sum << 8 | group.get(index).map_or(0, |byte| u32::from(*byte)));
        for index in 0..4_usize {
            let sextet = usize::try_from(sum >> (18 - 6 * index) & 63).unwrap_or_default();
            let letter = ALPHABET.get(sextet).filter(|_| index <= group.len());
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

/// Up to the first `=`. A character that is none of base64 counts as `/`, as in Asterisk, so that any text has a result.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut sum, mut bits) = (0_u32, 0_u32);
    for letter in text.bytes().take_while(|letter| *letter != b'=') {
        let sextet = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        sum = (sum << 6 | u32::from(sextet)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from(sum >> bits & 0xff));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648_hold() {
        for (text, base64) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(value("${BASE64_ENCODE(${T})}", &[("T", text)]), base64);
            assert_eq!(value("${BASE64_DECODE(${T})}", &[("T", base64)]), text);
        }
    }

    #[test]
    fn decoding_never_fails() {
        assert_eq!(value("${BASE64_DECODE(Zm9v)}", &[]), "foo");
        assert_eq!(value("${BASE64_DECODE(Zm9vAGJhcg==)}", &[]), "foo");
        assert_eq!(value("${BASE64_DECODE(Zg==Zg==)}", &[]), "f");
        assert_eq!(decode("*-ä"), decode("////"));
        assert_eq!(value("${BASE64_DECODE(5A==)}", &[]), "ä");
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            proptest::prop_assert_eq!(decode(&encode(&bytes)), bytes);
        }

        #[test]
        fn no_text_makes_decoding_panic(text in "\\PC{0,40}") {
            decode(&text);
        }
    }
}
