//! `TRIM(text)`, `LTRIM(text)`, `RTRIM(text)`: without white space at the ends.

use super::plain::{Empty, Plain};
use super::scan::is_space;

pub(super) static TRIM: Plain = Plain {
    name: "TRIM",
    syntax: "text",
    synopsis: "The text without white space at both ends.",
    empty: Empty::Taken,
    value: |text| text.trim_matches(is_space).to_owned(),
};

pub(super) static LTRIM: Plain = Plain {
    name: "LTRIM",
    syntax: "text",
    synopsis: "The text without white space at its start.",
    empty: Empty::Taken,
    value: |text| text.trim_start_matches(is_space).to_owned(),
};

pub(super) static RTRIM: Plain = Plain {
    name: "RTRIM",
    syntax: "text",
    synopsis: "The text without white space at its end.",
    empty: Empty::Taken,
    value: |text| text.trim_end_matches(is_space).to_owned(),
};

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn white_space_goes_at_the_ends_only() {
        for (text, expected) in [
            ("${TRIM(  abcd )}", "abcd"),
            ("${LTRIM( abcd )}", "abcd "),
            ("${RTRIM( abcd )}", " abcd"),
            ("${TRIM( a b c d )}", "a b c d"),
            ("${TRIM(${T})}", "x"),
            ("${TRIM(   )}|${LTRIM()}|${RTRIM( )}", "||"),
        ] {
            assert_eq!(value(text, &[("T", "\t\r\nx\x0b ")]), expected, "{text}");
        }
    }
}
