//! `TOLOWER(text)`, `TOUPPER(text)`, `LEN(text)`, `KEYPADHASH(text)`, `DIGIT_SUM(number)`: a text's characters one by one.

use super::plain::{Empty, Plain};

/// Only the letters of ASCII change, as in Asterisk.
pub(super) static TOLOWER: Plain = Plain {
    name: "TOLOWER",
    syntax: "text",
    synopsis: "The text with capital letters A-Z made small.",
    empty: Empty::Taken,
    value: str::to_ascii_lowercase,
};

pub(super) static TOUPPER: Plain = Plain {
    name: "TOUPPER",
    syntax: "text",
    synopsis: "The text with small letters a-z made capital.",
    empty: Empty::Taken,
    value: str::to_ascii_uppercase,
};

pub(super) static LEN: Plain = Plain {
    name: "LEN",
    syntax: "text",
    synopsis: "The number of characters of the text.",
    empty: Empty::Taken,
    value: |text| text.chars().count().to_string(),
};

pub(super) static KEYPADHASH: Plain = Plain {
    name: "KEYPADHASH",
    syntax: "text",
    synopsis: "The digits on whose keys the letters of the text stand; other characters are left out.",
    empty: Empty::Taken,
    value: |text| text.chars().filter_map(key).collect(),
};

pub(super) static DIGIT_SUM: Plain = Plain {
    name: "DIGIT_SUM",
    syntax: "number",
    synopsis: "The sum of the digits of the number.",
    empty: Empty::Refused,
    value: |text| text.chars().filter_map(|c| c.to_digit(10)).sum::<u32>().to_string(),
};

/// The key of a telephone on which a letter stands (ITU-T E.161).
fn key(c: char) -> Option<char> {
    Some(match c.to_ascii_uppercase() {
        digit @ '0'..='9' => digit,
        'A'..='C' => '2',
        'D'..='F' => '3',
        'G'..='I' => '4',
        'J'..='L' => '5',
        'M'..='O' => '6',
        'P'..='S' => '7',
        'T'..='V' => '8',
        'W'..='Z' => '9',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn characters_are_changed_counted_and_hashed() {
        for (text, expected) in [
            ("${TOUPPER(Example)}", "EXAMPLE"),
            ("${TOLOWER(Example, Ä)}", "example, Ä"),
            ("${LEN(example)}", "7"),
            ("${LEN()}", "0"),
            ("${LEN(a,b)}", "3"),
            ("${LEN(äöü)}", "3"),
            ("${KEYPADHASH(Les)}", "537"),
            ("${KEYPADHASH(PQRS tuv-01)}", "777788801"),
            ("${DIGIT_SUM(859)}", "22"),
            ("${DIGIT_SUM(x)}", "0"),
        ] {
            assert_eq!(value(text, &[]), expected, "{text}");
        }
    }
}
