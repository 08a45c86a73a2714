//! `BASE64_ENCODE(text)`, `BASE64_DECODE(text)` (RFC 4648 §4), and the code itself for `aes`.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::bytes;
use super::plain::{Empty, Plain};

/// Takes what was cut off anywhere.
const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

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
    STANDARD.encode(bytes)
}

/// Up to the first `=`. A character that is none of base64 counts as `/`, as in Asterisk, so that any text has a result.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let is_known = |letter: &u8| letter.is_ascii_alphanumeric() || *letter == b'+';
    let letters = text.bytes().take_while(|letter| *letter != b'=');
    let mut letters: Vec<_> = letters.map(|letter| if is_known(&letter) { letter } else { b'/' }).collect();
    if letters.len() % 4 == 1 {
        letters.pop(); // its six bits are no byte
    }
    UNPADDED.decode(letters).unwrap_or_default()
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
        assert_eq!((decode("Zm9vY"), decode("Zm9vYh"), decode("Z")), (b"foo".into(), b"foob".into(), Vec::new()));
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
