//! `FILTER(characters,text)`: only the characters that are allowed.

use super::slots::{self, Marks};
use super::{Func, FuncError, bytes};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Filter;

impl Func for Filter {
    fn name(&self) -> &'static str {
        "FILTER"
    }

    fn syntax(&self) -> &'static str {
        "characters,text"
    }

    fn synopsis(&self) -> &'static str {
        "The allowed characters of the text; ranges as 0-9, others as \\n, \\xHH or \\0nnn, the minus itself as \\-."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["characters", "text"])?;
        let [characters, _] = halves(args);
        match characters.literal() {
            Some(found) if Allowed::parse(&found).is_none() => {
                Err(CheckError::Malformed { what: "set of characters", found })
            }
            _ => Ok(()),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [characters, text] = halves(&args).map(|piece| piece.value(scope));
        let allowed = Allowed::parse(&characters).ok_or(FuncError::Argument(characters))?;
        Ok(text.chars().filter(|c| allowed.contains(*c)).collect())
    }
}

/// Both arguments; backslashes and quotes stay, for the set to read.
fn halves<'a>(args: &Piece<'a>) -> [Piece<'a>; 2] {
    let mut halves = slots::split(args, ',', 2, Marks::Kept).into_iter();
    std::array::from_fn(|_| halves.next().unwrap_or_default())
}

/// What is allowed: bytes as in Asterisk, and ranges of letters that have more than one.
struct Allowed {
    bytes: [bool; 256],
    letters: Vec<(char, char)>,
}

impl Allowed {
    /// `None` when an escape is wrong.
    fn parse(mut text: &str) -> Option<Self> {
        let mut allowed = Self { bytes: [false; 256], letters: Vec::new() };
        while !text.is_empty() {
            let (first, rest) = unit(text)?;
            text = rest;
            let Some(after) = rest.strip_prefix('-') else {
                allowed.add(first, first);
                continue;
            };
            let (last, rest) = unit(after).unwrap_or((first, after));
            text = rest;
            allowed.add(first, last);
        }
        Some(allowed)
    }

    fn add(&mut self, first: Unit, last: Unit) {
        let (Unit::Byte(first), Unit::Byte(last)) = (first, last) else {
            self.letters.push((first.letter(), last.letter()));
            return;
        };
        // a range that goes down wraps around, as in Asterisk
        for step in 0..=last.wrapping_sub(first) {
            let byte = first.wrapping_add(step);
            self.bytes.get_mut(usize::from(byte)).into_iter().for_each(|allowed| *allowed = byte != 0);
        }
    }

    fn contains(&self, c: char) -> bool {
        let byte = |byte: u8| self.bytes.get(usize::from(byte)).copied().unwrap_or_default();
        c.encode_utf8(&mut [0; 4]).bytes().all(byte)
            || self.letters.iter().any(|(first, last)| (*first..=*last).contains(&c))
    }
}

/// One end of a range.
#[derive(Clone, Copy)]
enum Unit {
    /// A character of ASCII, or any byte written as `\xHH` or `\0nnn`.
    Byte(u8),
    Letter(char),
}

impl Unit {
    fn letter(self) -> char {
        match self {
            Self::Byte(byte) => char::from(byte),
            Self::Letter(letter) => letter,
        }
    }
}

fn unit(text: &str) -> Option<(Unit, &str)> {
    let is_code = text.starts_with("\\x") || text.starts_with("\\0");
    let (c, rest) = bytes::encoded(text)?;
    let unit = match u8::try_from(c) {
        Ok(byte) if is_code || c.is_ascii() => Unit::Byte(byte),
        _ => Unit::Letter(c),
    };
    Some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    #[test]
    fn only_what_is_allowed_stays() {
        for (set, text, expected) in [
            ("A-R", "DAHDI", "DAHDI"),
            ("A\\-R", "DAHDI", "A"),
            ("A\\-R", "A-R", "A-R"),
            ("\\x41-R", "DAHDI", "DAHDI"),
            ("0-9A-Ca-c", "0042133333A12212", "0042133333A12212"),
            ("0-9a-cA-C_+\\-", "+49-a_d", "+49-a_"),
            ("0-9", "Call +1 (800) 555", "1800555"),
            ("\\x20-\\x7e", "a\tä b\u{7f}", "a b"),
            ("\\x20-\\xff", "a\tä", "aä"),
            ("äöü", "aäbü¤", "äü"),
            ("à-ÿ", "aäbü¤", "äü"),
            ("\\054\\n", "a,b\n", ",\n"),
            ("x-", "x-", "x"),
            ("-x", "x-", "x-"),
            ("\"\"", "a\"b", "\""),
            ("", "abc", ""),
        ] {
            assert_eq!(value(&format!("${{FILTER({set},${{T}})}}"), &[("T", text)]), expected, "{set} {text}");
        }
        assert_eq!(value("${FILTER(a-c,\\,abc,d)}", &[]), "abc");
    }

    #[test]
    fn a_range_that_goes_down_wraps_around() {
        assert_eq!(value("${FILTER(y-b,abcxyz)}", &[]), "abyz");
    }

    #[test]
    fn a_wrong_set_is_refused() {
        assert_eq!(refusal("${FILTER(a\\xg,b)}"), "FILTER: `a\\xg` is no set of characters");
        assert_eq!(refusal("${FILTER(a)}"), "FILTER: text is missing");
        assert_eq!(evaluate("${FILTER(${S},b)}", &[("S", "\\xg")]).1, ["FILTER: `\\xg` is no argument of it"]);
    }

    proptest::proptest! {
        #[test]
        fn a_filtered_text_filters_to_itself(set in "[-a-z0\\\\xä]{0,12}", text in "[-a-zäé\\\\]{0,20}") {
            let of = |text: &str| value("${FILTER(${S},${T})}", &[("S", &set), ("T", text)]);
            let once = of(&text);
            proptest::prop_assert_eq!(of(&once), once);
        }
    }
}
