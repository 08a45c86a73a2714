//! `QUOTE(text)`, `CSV_QUOTE(text)`: a text in quotes, with its own quotes marked.

use super::plain::{Empty, Plain};

pub(super) static QUOTE: Plain = Plain {
    name: "QUOTE",
    syntax: "text",
    synopsis: "The text in quotes, its own quotes and backslashes after a backslash.",
    empty: Empty::Taken,
    value: |text| marked(text, |c| matches!(c, '"' | '\\').then_some('\\')),
};

pub(super) static CSV_QUOTE: Plain = Plain {
    name: "CSV_QUOTE",
    syntax: "text",
    synopsis: "The text in quotes as in a CSV file, its own quotes doubled.",
    empty: Empty::Taken,
    value: |text| marked(text, |c| (c == '"').then_some('"')),
};

/// In quotes, with what `mark` says before each character.
fn marked(text: &str, mark: fn(char) -> Option<char>) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        quoted.extend(mark(c));
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn quotes_inside_are_marked() {
        let variables = [("Q", "ab\"c\"de"), ("B", "a\\b"), ("C", "\"a,b\" 123")];
        for (text, expected) in [
            ("${QUOTE(${Q})}", "\"ab\\\"c\\\"de\""),
            ("${QUOTE(${B})}", "\"a\\\\b\""),
            ("${QUOTE()}${CSV_QUOTE()}", "\"\"\"\""),
            ("${CSV_QUOTE(${C})}", "\"\"\"a,b\"\" 123\""),
            ("${CSV_QUOTE(${B})}", "\"a\\b\""),
        ] {
            assert_eq!(value(text, &variables), expected, "{text}");
        }
    }
}
