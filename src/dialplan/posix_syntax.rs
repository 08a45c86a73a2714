//! Reads the syntax of POSIX extended regular expressions (XBD chapter 9, with the additions of the GNU C library).
//! Above: `posix`, which compiles what comes out.

use std::iter::Peekable;
use std::str::Chars;

use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

/// Deepest nesting of groups and repetitions.
const MAX_DEPTH: usize = 40;
/// Largest count in `{ }` (RE_DUP_MAX of the GNU C library).
const MAX_COUNT: u32 = 32_767;

/// A pattern, taken apart.
pub(super) struct Syntax {
    pub(super) hir: Hir,
    pub(super) groups: u32,
}

/// Why a text is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// `(` without `)`.
    #[error("`(` is never closed")]
    UnclosedGroup,
    /// `[` without `]`.
    #[error("`[` is never closed")]
    UnclosedBracket,
    /// `\` and nothing after it.
    #[error("nothing follows the last `\\`")]
    NothingEscaped,
    /// `*` with nothing before it.
    #[error("`{0}` has nothing before it to repeat")]
    NothingToRepeat(char),
    /// `{x}`
    #[error("`{{ }}` takes a count, as in {{2}}, {{2,}} or {{2,5}}, of at most {MAX_COUNT}")]
    BadCount,
    /// `[z-a]`
    #[error("`[ ]` has a range whose end is before its start or is none")]
    BadRange,
    /// `[[:what:]]`
    #[error("there is no class [:{0}:]")]
    UnknownClass(String),
    /// `\1`
    #[error("back-references such as `\\{0}` are not supported")]
    BackReference(char),
    /// Groups in groups in groups.
    #[error("nested deeper than {MAX_DEPTH} groups")]
    TooDeep,
    /// Counts that multiply.
    #[error("it is too big")]
    TooBig,
}

/// Reads a pattern.
pub(super) fn read(pattern: &str) -> Result<Syntax, RegexError> {
    let mut reader = Reader { rest: pattern.chars().peekable(), groups: 0, depth: 0 };
    let hir = reader.alternatives()?;
    Ok(Syntax { hir, groups: reader.groups })
}

struct Reader<'p> {
    rest: Peekable<Chars<'p>>,
    groups: u32,
    depth: usize,
}

impl Reader<'_> {
    fn alternatives(&mut self) -> Result<Hir, RegexError> {
        let mut alternatives = vec![self.sequence()?];
        while self.rest.next_if_eq(&'|').is_some() {
            alternatives.push(self.sequence()?);
        }
        Ok(Hir::alternation(alternatives))
    }

    fn sequence(&mut self) -> Result<Hir, RegexError> {
        let mut sequence = Vec::new();
        // outside of a group `)` is itself
        while let Some(next) = self.rest.next_if(|c| *c != '|' && (*c != ')' || self.depth == 0)) {
            let atom = match self.atom(next)? {
                Atom::Anchor(look) => Hir::look(look),
                Atom::Repeatable(hir) => self.repeated(hir)?,
            };
            sequence.push(atom);
        }
        Ok(Hir::concat(sequence))
    }

    fn atom(&mut self, first: char) -> Result<Atom, RegexError> {
        Ok(Atom::Repeatable(match first {
            '(' => self.group()?,
            '[' => self.bracket()?,
            '.' => class(&[('\0', char::MAX)]),
            '^' => return Ok(Atom::Anchor(Look::Start)),
            '$' => return Ok(Atom::Anchor(Look::End)),
            '\\' => return self.escaped(),
            '*' | '+' | '?' | '{' => return Err(RegexError::NothingToRepeat(first)),
            c => literal(c),
        }))
    }

    fn group(&mut self) -> Result<Hir, RegexError> {
        if self.depth == MAX_DEPTH {
            return Err(RegexError::TooDeep);
        }
        self.depth += 1;
        self.groups += 1;
        let index = self.groups;
        let sub = Box::new(self.alternatives()?);
        self.rest.next_if_eq(&')').ok_or(RegexError::UnclosedGroup)?;
        self.depth -= 1;
        Ok(Hir::capture(Capture { index, name: None, sub }))
    }

    fn escaped(&mut self) -> Result<Atom, RegexError> {
        Ok(match self.rest.next().ok_or(RegexError::NothingEscaped)? {
            '<' => Atom::Anchor(Look::WordStartAscii),
            '>' => Atom::Anchor(Look::WordEndAscii),
            'b' => Atom::Anchor(Look::WordAscii),
            'B' => Atom::Anchor(Look::WordAsciiNegate),
            '`' => Atom::Anchor(Look::Start),
            '\'' => Atom::Anchor(Look::End),
            'w' => Atom::Repeatable(class(WORD)),
            'W' => Atom::Repeatable(without(WORD)),
            's' => Atom::Repeatable(class(SPACE)),
            'S' => Atom::Repeatable(without(SPACE)),
            digit @ '1'..='9' => return Err(RegexError::BackReference(digit)),
            c => Atom::Repeatable(literal(c)),
        })
    }

    /// What follows an atom: `*`, `+`, `?`, `{ }`, also several of them.
    fn repeated(&mut self, atom: Hir) -> Result<Hir, RegexError> {
        let mut hir = atom;
        // the last repetition, as long as it is not part of `hir` yet: `a*+?` is one
        let mut last: Option<(u32, Option<u32>)> = None;
        let mut layers = self.depth;
        while let Some(sign) = self.rest.next_if(|c| matches!(c, '*' | '+' | '?' | '{')) {
            let range = match sign {
                '*' => (0, None),
                '+' => (1, None),
                '?' => (0, Some(1)),
                _ => self.count()?,
            };
            last = Some(match last {
                Some(before) if before.0 <= 1 && range.0 <= 1 && is_simple(before) && is_simple(range) => {
                    (before.0.min(range.0), before.1.and(range.1))
                }
                Some(before) => {
                    layers += 1;
                    if layers > MAX_DEPTH {
                        return Err(RegexError::TooDeep);
                    }
                    hir = repetition(hir, before);
                    range
                }
                None => range,
            });
        }
        Ok(match last {
            Some(range) => repetition(hir, range),
            None => hir,
        })
    }

    /// After `{`.
    fn count(&mut self) -> Result<(u32, Option<u32>), RegexError> {
        let least = self.number()?;
        let range = match self.rest.next() {
            Some('}') => (least.ok_or(RegexError::BadCount)?, least),
            Some(',') => {
                let most = self.number()?;
                self.rest.next_if_eq(&'}').ok_or(RegexError::BadCount)?;
                (least.unwrap_or(0), most)
            }
            _ => return Err(RegexError::BadCount),
        };
        if range.1.is_some_and(|most| most < range.0) { Err(RegexError::BadCount) } else { Ok(range) }
    }

    fn number(&mut self) -> Result<Option<u32>, RegexError> {
        let mut number = None;
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
            let next = number.unwrap_or(0_u32) * 10 + digit;
            if next > MAX_COUNT {
                return Err(RegexError::BadCount);
            }
            number = Some(next);
        }
        Ok(number)
    }

    /// After `[`. A `\` in here is itself.
    fn bracket(&mut self) -> Result<Hir, RegexError> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        let mut first = true;
        loop {
            match self.rest.next().ok_or(RegexError::UnclosedBracket)? {
                ']' if !first => break,
                // a `-` is itself only at either end
                '-' if !first && self.rest.peek() != Some(&']') => return Err(RegexError::BadRange),
                '[' if self.rest.peek() == Some(&':') => ranges.extend_from_slice(self.class_name()?),
                c => {
                    let start = self.collated(c)?;
                    ranges.push((start, self.range_end()?.unwrap_or(start)));
                }
            }
            first = false;
        }
        if ranges.iter().any(|(start, end)| start > end) {
            return Err(RegexError::BadRange);
        }
        Ok(if negated { without(&ranges) } else { class(&ranges) })
    }

    /// `-x` after the start of a range; a `-` before `]` is itself.
    fn range_end(&mut self) -> Result<Option<char>, RegexError> {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || ahead.peek() == Some(&']') {
            return Ok(None);
        }
        self.rest = ahead;
        let end = self.rest.next().ok_or(RegexError::UnclosedBracket)?;
        if end == '[' && self.rest.peek() == Some(&':') {
            return Err(RegexError::BadRange);
        }
        self.collated(end).map(Some)
    }

    /// A character of a bracket, which may be written `[.x.]` or `[=x=]`.
    fn collated(&mut self, c: char) -> Result<char, RegexError> {
        let Some(mark) = self.rest.next_if(|next| c == '[' && matches!(next, '.' | '=')) else { return Ok(c) };
        let inner = self.rest.next().ok_or(RegexError::UnclosedBracket)?;
        match (self.rest.next(), self.rest.next()) {
            (Some(end), Some(']')) if end == mark => Ok(inner),
            _ => Err(RegexError::BadRange),
        }
    }

    /// At the first `:` of `[:name:]`.
    fn class_name(&mut self) -> Result<&'static [(char, char)], RegexError> {
        self.rest.next();
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(char::is_ascii_alphabetic) {
            name.push(c);
        }
        let closed = self.rest.next() == Some(':') && self.rest.next() == Some(']');
        let known = CLASSES.iter().find(|(known, _)| closed && *known == name);
        known.map(|(_, ranges)| *ranges).ok_or(RegexError::UnknownClass(name))
    }
}

enum Atom {
    Repeatable(Hir),
    /// What stands between characters cannot be repeated.
    Anchor(Look),
}

const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: &[(char, char)] = &[('\t', '\r'), (' ', ' ')];
const CLASSES: [(&str, &[(char, char)]); 12] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", &[('0', '9')]),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", SPACE),
    ("upper", &[('A', 'Z')]),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

fn literal(c: char) -> Hir {
    Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes())
}

fn ranges(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(start, end)| ClassUnicodeRange::new(*start, *end)))
}

fn class(of: &[(char, char)]) -> Hir {
    Hir::class(Class::Unicode(ranges(of)))
}

fn without(these: &[(char, char)]) -> Hir {
    let mut class = ranges(these);
    class.negate();
    Hir::class(Class::Unicode(class))
}

fn is_simple((least, most): (u32, Option<u32>)) -> bool {
    least <= 1 && most.is_none_or(|most| most == 1)
}

fn repetition(sub: Hir, (min, max): (u32, Option<u32>)) -> Hir {
    Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(sub) })
}

#[cfg(test)]
mod tests {
    use super::super::posix::Regex;
    use super::*;

    fn matched<'t>(text: &'t str, pattern: &str) -> Option<&'t str> {
        let regex = Regex::compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        regex.anywhere(text).map(|found| found.whole)
    }

    #[test]
    fn brackets_hold_classes_ranges_and_plain_backslashes() {
        for (text, pattern, expected) in [
            ("a1b", "[[:digit:]]", Some("1")),
            ("..x", "[^.]", Some("x")),
            ("a]b", "[]]", Some("]")),
            ("a]b", "[^]a]", Some("b")),
            ("a-b", "[b-]+", Some("-b")),
            ("x\\d", "[\\d]+", Some("\\d")),
            ("a.b", "[[.-.].]", Some(".")),
            ("+49 30", "[+[:space:]0-9]*", Some("+49 30")),
            ("tab\t", "[[:blank:]]", Some("\t")),
            ("x[y", "[[]", Some("[")),
            ("a-", "[--.]", Some("-")),
            ("%-", "[%--]*", Some("%-")),
            ("ABC", "[a-z]", None),
        ] {
            assert_eq!(matched(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn repetitions_anchors_and_escapes_are_those_of_the_c_library() {
        for (text, pattern, expected) in [
            ("aaa", "a{2}", Some("aa")),
            ("aaa", "a{,2}", Some("aa")),
            ("aaa", "a{2,}", Some("aaa")),
            ("aaa", "a*+?", Some("aaa")),
            ("a)b", "a)", Some("a)")),
            ("one two", "\\<t", Some("t")),
            ("one two", "e\\>", Some("e")),
            ("a.c", "a\\.c", Some("a.c")),
            ("abc", "a\\.c", None),
            ("x^2", "x\\^2", Some("x^2")),
            ("ab", "^b", None),
            ("ab", "b$", Some("b")),
            ("a b", "\\w\\W\\w", Some("a b")),
            ("d", "\\d", Some("d")),
            ("", "a||b", Some("")),
            ("", "()", Some("")),
        ] {
            assert_eq!(matched(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        let error = |pattern: &str| read(pattern).map(|_| ()).unwrap_err();
        assert_eq!(error("(a"), RegexError::UnclosedGroup);
        assert_eq!(error("[a"), RegexError::UnclosedBracket);
        assert_eq!(error("[]"), RegexError::UnclosedBracket);
        assert_eq!(error("a\\"), RegexError::NothingEscaped);
        assert_eq!(error("*a"), RegexError::NothingToRepeat('*'));
        assert_eq!(error("a|+"), RegexError::NothingToRepeat('+'));
        assert_eq!(error("^*"), RegexError::NothingToRepeat('*'));
        for pattern in ["a{", "a{x}", "a{2,1}", "a{99999}", "a{1", "a{}"] {
            assert_eq!(error(pattern), RegexError::BadCount, "{pattern}");
        }
        for pattern in ["[z-a]", "[a-c-e]", "[[:alpha:]-z]", "[a-[:alpha:]]"] {
            assert_eq!(error(pattern), RegexError::BadRange, "{pattern}");
        }
        assert_eq!(error("[[:digits:]]"), RegexError::UnknownClass("digits".to_owned()));
        assert_eq!(error("(a)\\1"), RegexError::BackReference('1'));
        assert_eq!(error(&"(".repeat(100_000)), RegexError::TooDeep);
        assert_eq!(error(&format!("a{}", "{2}".repeat(100_000))), RegexError::TooDeep);
        assert!(read(&format!("a{}", "*".repeat(100_000))).is_ok());
    }
}
