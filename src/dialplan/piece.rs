//! A part of a template: splits at characters of the written text only, and evaluates to a value. Above: `args`, `app/*`.

pub(super) use super::bits::Bit;
use super::bits::Bits;
use super::template::{Part, Template};
use super::vars::{self, Scope};

/// A stretch of a template. Splitting looks at what was written in the file; a value put in by a substitution is never
/// split, whatever characters it holds.
#[derive(Clone, Debug, Default)]
pub struct Piece<'a> {
    bits: Bits<'a>,
}

impl<'a> Piece<'a> {
    pub(super) fn new(bits: impl Into<Bits<'a>>) -> Self {
        Self { bits: bits.into() }
    }

    pub(super) fn bits(&self) -> &[Bit<'a>] {
        &self.bits
    }

    /// Each stretch of text and each substitution by itself.
    pub(super) fn parts(&self) -> impl Iterator<Item = Self> {
        self.bits.iter().map(|bit| Self::new(vec![*bit]))
    }

    /// Whether there is a function in it that takes its time to be read.
    pub(super) fn waits(&self) -> bool {
        self.bits.iter().any(|bit| matches!(bit, Bit::Code(part) if part.waits()))
    }

    /// Whether there is nothing written.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// The text, when nothing in it is substituted.
    pub fn literal(&self) -> Option<String> {
        self.bits.iter().map(|bit| if let Bit::Text(text) = bit { Some(*text) } else { None }).collect()
    }

    /// The value, everything substituted.
    pub fn value(&self, scope: &mut dyn Scope) -> String {
        let mut value = String::new();
        for bit in self.bits.iter() {
            match bit {
                Bit::Text(text) => value.push_str(text),
                Bit::Code(part) => vars::append(part, scope, &mut value),
            }
        }
        vars::limit(value, scope)
    }

    /// Whether it is text of the dialplan and nothing else.
    pub fn is_written(&self, scope: &dyn Scope) -> bool {
        self.bits.iter().all(|bit| match bit {
            Bit::Text(_) => true,
            Bit::Code(part) => part.written_value(scope).is_some(),
        })
    }

    /// As [`super::Args::written`].
    pub fn written(&self, scope: &mut dyn Scope) -> Template {
        let mut parts = Vec::new();
        self.resolve(scope, &mut parts);
        Template::from_parts(parts)
    }

    /// As [`super::Args::settled`].
    pub fn settled(&self, scope: &mut dyn Scope) -> Template {
        let written = self.written(scope);
        let piece = written.piece();
        let parts = piece.bits.iter().map(|bit| match *bit {
            Bit::Text(text) => Part::Text(text.to_owned()),
            Bit::Code(part) => {
                let mut value = String::new();
                vars::append(part, scope, &mut value);
                Part::Value(vars::limit(value, scope))
            }
        });
        Template::from_parts(parts.collect())
    }

    fn resolve(&self, scope: &mut dyn Scope, parts: &mut Vec<Part>) {
        for bit in self.bits.iter() {
            let part = match *bit {
                Bit::Text(text) => Part::Text(text.to_owned()),
                Bit::Code(part) => {
                    if let Some(value) = part.written_value(scope) {
                        Part::Text(value)
                    } else if let Some(chosen) = part.chosen(scope) {
                        chosen.resolve(scope, parts);
                        continue;
                    } else {
                        part.clone()
                    }
                }
            };
            parts.push(part);
        }
    }

    /// Arguments as applications take them: at commas outside `( )`, `[ ]` and `" "`; quotes are taken off, and a
    /// backslash makes the next character plain. The last of `most` keeps its commas.
    pub fn arguments(&self, most: usize) -> Vec<Self> {
        let mut splitter = Splitter::default();
        for bit in self.bits.iter() {
            match bit {
                Bit::Text(text) => splitter.text(text, most),
                code => splitter.current.push(*code),
            }
        }
        if splitter.pieces.is_empty() && splitter.current.is_empty() {
            return Vec::new();
        }
        splitter.next_piece();
        splitter.pieces
    }

    /// At every written `delimiter`.
    pub fn split(&self, delimiter: char) -> Vec<Self> {
        let mut pieces = vec![Bits::default()];
        for bit in self.bits.iter() {
            let Bit::Text(text) = bit else {
                pieces.last_mut().into_iter().for_each(|last| last.push(*bit));
                continue;
            };
            for (index, part) in text.split(delimiter).enumerate() {
                if index > 0 {
                    pieces.push(Bits::default());
                }
                let written = (!part.is_empty()).then_some(Bit::Text(part));
                pieces.last_mut().into_iter().for_each(|last| last.extend(written));
            }
        }
        pieces.into_iter().map(Self::new).collect()
    }

    /// At the first written `delimiter`.
    pub fn split_once(&self, delimiter: char) -> Option<(Self, Self)> {
        for (index, bit) in self.bits.iter().enumerate() {
            let Bit::Text(text) = *bit else { continue };
            let Some((before, after)) = text.split_once(delimiter) else { continue };
            return Some(self.parted(index, (before, after)));
        }
        None
    }

    /// At the first written `delimiter` outside brackets.
    pub fn split_outside(&self, delimiter: char) -> Option<(Self, Self)> {
        let mut depth = 0_usize;
        for (index, bit) in self.bits.iter().enumerate() {
            let Bit::Text(text) = *bit else { continue };
            for (at, c) in text.char_indices() {
                match c {
                    '(' | '[' => depth += 1,
                    ')' | ']' => depth = depth.saturating_sub(1),
                    _ if c == delimiter && depth == 0 => {
                        let (before, after) = (text.get(..at)?, text.get(at + c.len_utf8()..)?);
                        return Some(self.parted(index, (before, after)));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// What stands before and after the stretch at `index`, with what is left of that.
    fn parted(&self, index: usize, (before, after): (&'a str, &'a str)) -> (Self, Self) {
        let text = |text: &'a str| (!text.is_empty()).then_some(Bit::Text(text));
        let (left, right) = self.bits.split_at(index.min(self.bits.len()));
        let left = left.iter().copied().chain(text(before));
        let right = text(after).into_iter().chain(right.iter().skip(1).copied());
        (Self { bits: left.collect() }, Self { bits: right.collect() })
    }

    /// Whether nothing in it is substituted.
    pub fn is_text(&self) -> bool {
        self.bits.iter().all(|bit| matches!(bit, Bit::Text(_)))
    }

    /// Without a written `suffix` at the end; `None` when it is not there.
    pub fn strip_suffix(mut self, suffix: char) -> Option<Self> {
        let Some(Bit::Text(text)) = self.bits.last_mut() else { return None };
        *text = text.strip_suffix(suffix)?;
        Some(Self { bits: self.bits.without_empty() })
    }

    /// Without written blanks at both ends.
    pub fn trim(mut self) -> Self {
        if let Some(Bit::Text(text)) = self.bits.first_mut() {
            *text = text.trim_start();
        }
        if let Some(Bit::Text(text)) = self.bits.last_mut() {
            *text = text.trim_end();
        }
        Self { bits: self.bits.without_empty() }
    }
}

impl<'a> From<&'a Template> for Piece<'a> {
    fn from(template: &'a Template) -> Self {
        template.piece()
    }
}

#[derive(Default)]
struct Splitter<'a> {
    pieces: Vec<Piece<'a>>,
    current: Bits<'a>,
    depth: usize,
    quoted: bool,
}

impl<'a> Splitter<'a> {
    fn text(&mut self, text: &'a str, most: usize) {
        let mut start = 0;
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => self.quoted = !self.quoted,
                '\\' => {
                    chars.next();
                }
                '(' | '[' => self.depth += 1,
                ')' | ']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            let ends = c == ',' && self.depth == 0 && !self.quoted && self.pieces.len() + 1 < most;
            if ends || c == '"' || c == '\\' {
                self.push(text.get(start..at));
                start = at + 1;
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
        self.pieces.push(Piece { bits: std::mem::take(&mut self.current) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::vars::tests::Variables;

    fn arguments(text: &str, most: usize) -> Vec<String> {
        let template = Template::compile(text).unwrap();
        let mut scope = Variables::with(&[("EVIL", "a,b&c\"(d"), ("N", "7")]);
        template.piece().arguments(most).iter().map(|piece| piece.value(&mut scope)).collect()
    }

    #[test]
    fn arguments_are_split_at_commas_outside_brackets_and_quotes() {
        assert_eq!(arguments("SIP/1&SIP/2,30,g", 9), ["SIP/1&SIP/2", "30", "g"]);
        assert_eq!(arguments("a,,b", 9), ["a", "", "b"]);
        assert_eq!(arguments("f(1,2),[a,b],\"x,y\",z\\,w", 9), ["f(1,2)", "[a,b]", "x,y", "z,w"]);
        assert_eq!(arguments("1,hello, world", 2), ["1", "hello, world"]);
        assert_eq!(arguments("", 9), Vec::<String>::new());
    }

    #[test]
    fn a_value_never_becomes_syntax() {
        assert_eq!(arguments("x${EVIL}y,z", 9), ["xa,b&c\"(dy", "z"]);
        let template = Template::compile("SIP/${EVIL}&SIP/${N}").unwrap();
        let mut scope = Variables::with(&[("EVIL", "1&SIP/trunk/1900"), ("N", "7")]);
        let targets: Vec<String> = template.piece().split('&').iter().map(|piece| piece.value(&mut scope)).collect();
        assert_eq!(targets, ["SIP/1&SIP/trunk/1900", "SIP/7"]);
    }

    #[test]
    fn trimming_keeps_blanks_that_come_from_values() {
        let template = Template::compile("  ${V}x ").unwrap();
        let mut scope = Variables::with(&[("V", " v ")]);
        assert_eq!(template.piece().trim().value(&mut scope), " v x");
    }
}
