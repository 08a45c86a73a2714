//! `MD5(text)`, `SHA1(text)`: digests in small hexadecimal digits.

use md5::{Digest, Md5};
use sha1::Sha1;

use super::plain::{Empty, Plain};

pub(super) static MD5: Plain = Plain {
    name: "MD5",
    syntax: "text",
    synopsis: "The MD5 digest of the text, 32 hexadecimal digits.",
    empty: Empty::Refused,
    value: |text| hexadecimal(&Md5::digest(text.as_bytes())),
};

pub(super) static SHA1: Plain = Plain {
    name: "SHA1",
    syntax: "text",
    synopsis: "The SHA-1 digest of the text, 40 hexadecimal digits.",
    empty: Empty::Refused,
    value: |text| hexadecimal(&Sha1::digest(text.as_bytes())),
};

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    #[test]
    fn digests_are_those_of_the_standards() {
        assert_eq!(value("${MD5(abc)}", &[]), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(value("${SHA1(abc)}", &[]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(value("${MD5(a,\"b\")}", &[]), value("${MD5(${V})}", &[("V", "a,\"b\"")]));
        let (empty, warnings) = evaluate("${SHA1(${NOTHING})}", &[]);
        assert_eq!((empty.as_str(), warnings), ("", vec!["SHA1: text is missing".to_owned()]));
        assert_eq!(refusal("${MD5()}"), "MD5: text is missing");
    }
}
