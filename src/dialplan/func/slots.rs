//! Splits the written arguments of a function as Asterisk's functions do. Below: `piece`.
//!
//! Unlike an application's arguments, the last slot is taken as it stands: its quotes and backslashes are its own.

use crate::dialplan::app::CheckError;
use crate::dialplan::piece::{Bit, Piece};

/// What becomes of quotes and backslashes in all slots but the last.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Marks {
    /// Taken off once they have protected a delimiter.
    #[default]
    Taken,
    /// Left for the function to read.
    Kept,
}

/// At commas outside `( )`, `[ ]` and `" "`, into at most `most` pieces; the last one keeps its commas.
pub(super) fn slots<'a>(args: &Piece<'a>, most: usize) -> Vec<Piece<'a>> {
    split(args, ',', most, Marks::Taken)
}

/// At written delimiters outside brackets and, unless they are the delimiter, quotes.
pub(super) fn split<'a>(args: &Piece<'a>, delimiter: char, most: usize, marks: Marks) -> Vec<Piece<'a>> {
    let mut splitter = Splitter { delimiter, most, marks, ..Splitter::default() };
    for bit in args.bits() {
        match bit {
            Bit::Text(text) => splitter.text(text),
            code => splitter.current.push(*code),
        }
    }
    if !args.is_empty() {
        splitter.next_piece();
    }
    splitter.pieces
}

/// The first `COUNT` of at most as many arguments, empty where none is written.
pub(super) fn fixed<'a, const COUNT: usize>(args: &Piece<'a>) -> [Piece<'a>; COUNT] {
    let mut slots = slots(args, COUNT).into_iter();
    std::array::from_fn(|_| slots.next().unwrap_or_default())
}

/// Refuses fewer arguments than `names` has: the first that is not there is the one missing.
pub(super) fn need(args: &Piece<'_>, names: &[&'static str]) -> Result<(), CheckError> {
    let found = slots(args, names.len()).len();
    names.get(found).map_or(Ok(()), |name| Err(CheckError::Missing(name)))
}

#[derive(Default)]
struct Splitter<'a> {
    delimiter: char,
    most: usize,
    marks: Marks,
    pieces: Vec<Piece<'a>>,
    current: Vec<Bit<'a>>,
    round: usize,
    square: usize,
    quoted: bool,
}

impl<'a> Splitter<'a> {
    fn text(&mut self, text: &'a str) {
        let mut start = 0;
        let mut chars = text.char_indices();
        while self.pieces.len() + 1 < self.most {
            let Some((at, c)) = chars.next() else { break };
            let mut taken = false;
            match c {
                '(' => self.round += 1,
                ')' => self.round = self.round.saturating_sub(1),
                '[' => self.square += 1,
                ']' => self.square = self.square.saturating_sub(1),
                '"' if self.delimiter != '"' => {
                    self.quoted = !self.quoted;
                    taken = self.marks == Marks::Taken;
                }
                '\\' => {
                    chars.next();
                    taken = self.marks == Marks::Taken;
                }
                _ => {}
            }
            let ends = c == self.delimiter && self.round == 0 && self.square == 0 && !self.quoted;
            if ends || taken {
                self.push(text.get(start..at));
                start = at + c.len_utf8();
            }
            if ends {
                self.next_piece();
            }
        }
        self.push(text.get(start..));
    }

    fn push(&mut self, text: Option<&'a str>) {
        self.current.extend(text.filter(|text| !text.is_empty()).map(Bit::Text));
    }

    fn next_piece(&mut self) {
        self.pieces.push(Piece::new(std::mem::take(&mut self.current)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;
    use crate::dialplan::vars::tests::Variables;

    fn values(text: &str, delimiter: char, most: usize, marks: Marks) -> Vec<String> {
        let template = Template::compile(text).unwrap();
        let mut scope = Variables::with(&[("EVIL", "a,b\"(\\")]);
        split(&template.piece(), delimiter, most, marks).iter().map(|piece| piece.value(&mut scope)).collect()
    }

    #[test]
    fn the_last_slot_is_kept_as_it_is_written() {
        assert_eq!(values("k,\"a\\b\",c", ',', 2, Marks::Taken), ["k", "\"a\\b\",c"]);
        assert_eq!(values("V,\\,,\\n", ',', 3, Marks::Taken), ["V", ",", "\\n"]);
        assert_eq!(values("\"a,b\",[c,d],(e,f),g\\,h,", ',', 9, Marks::Taken), ["a,b", "[c,d]", "(e,f)", "g,h", ""]);
        assert_eq!(values("a\\-\",\",x,y", ',', 2, Marks::Kept), ["a\\-\",\"", "x,y"]);
        assert_eq!(values("\"[\"a]\\\\.\" x\"y", '"', 3, Marks::Taken), ["", "[\"a]\\.", " x\"y"]);
        assert_eq!(values("", ',', 2, Marks::Taken), Vec::<String>::new());
    }

    #[test]
    fn values_are_never_split() {
        assert_eq!(values("${EVIL},x${EVIL},z", ',', 3, Marks::Taken), ["a,b\"(\\", "xa,b\"(\\", "z"]);
    }
}
