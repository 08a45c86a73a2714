//! Takes the inside of `$[ ]` apart into values and operators. Above: `expr`.
//!
//! A value is `"…"` or a run of letters, digits and `.';\_^#@$`; a substitution belongs to the value it touches. What is
//! none of these parts values and means nothing else.

use super::expr_error::{ExprError, ExprErrorKind};
use super::template::{Part, Placed, Template};

/// Every operator as written, longer ones before their beginnings.
const SYMBOLS: [&str; 25] = [
    "||", "&&", "==", "!=", "<=", ">=", "=~", "~~", "::", "|", "&", "=", "<", ">", "+", "-", "*", "/", "%", "?", ":",
    "!", "(", ")", ",",
];

pub(super) enum Token {
    Value(Template),
    Symbol(&'static str),
}

/// The tokens, each with the byte at which it starts; what was left out goes to `problems`.
pub(super) fn tokens(inside: Vec<Placed>, problems: &mut Vec<ExprError>) -> Vec<(usize, Token)> {
    let mut quotes = 0;
    for placed in &inside {
        if let Part::Text(text) = &placed.part {
            quotes += text.matches('"').count();
        }
    }
    let mut lexer = Lexer { tokens: Vec::new(), value: None, quoting: Quoting::Outside, quotes, last: false, problems };
    let mut inside = inside.into_iter().peekable();
    while let Some(Placed { part, offset }) = inside.next() {
        lexer.last = inside.peek().is_none();
        match part {
            Part::Text(text) => lexer.text(&text, offset),
            code => lexer.value(offset).push(Placed { part: code, offset }),
        }
    }
    lexer.end_value();
    lexer.tokens
}

#[derive(Clone, Copy, PartialEq)]
enum Quoting {
    Outside,
    Inside,
    /// Just after the closing one: only a substitution can belong to the same value.
    Closed,
}

struct Lexer<'p> {
    tokens: Vec<(usize, Token)>,
    value: Option<(usize, Vec<Placed>)>,
    quoting: Quoting,
    /// Quotes still to come: the last one, when none is open, closes nothing.
    quotes: usize,
    /// In the last part.
    last: bool,
    problems: &'p mut Vec<ExprError>,
}

impl Lexer<'_> {
    fn value(&mut self, offset: usize) -> &mut Vec<Placed> {
        if self.quoting == Quoting::Closed {
            self.quoting = Quoting::Outside;
        }
        &mut self.value.get_or_insert_with(|| (offset, Vec::new())).1
    }

    fn end_value(&mut self) {
        self.quoting = Quoting::Outside;
        if let Some((offset, parts)) = self.value.take() {
            self.tokens.push((offset, Token::Value(Template::from_placed(parts))));
        }
    }

    fn text(&mut self, text: &str, offset: usize) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let at = offset + text.len() - rest.len();
            let taken = if c == '"' {
                self.quote(at)
            } else if self.quoting == Quoting::Inside {
                self.character(c, at)
            } else {
                self.unquoted(rest, at)
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Takes one `"`.
    fn quote(&mut self, at: usize) -> usize {
        self.quotes = self.quotes.saturating_sub(1);
        if self.quoting == Quoting::Inside {
            self.character('"', at);
            self.quoting = Quoting::Closed;
            return 1;
        }
        if self.quotes == 0 {
            self.ignore(at, ExprErrorKind::UnclosedQuote);
            return 1;
        }
        let after_substitution = self
            .value
            .as_ref()
            .and_then(|(_, parts)| parts.last())
            .is_some_and(|last| !matches!(last.part, Part::Text(_)));
        if !after_substitution {
            self.end_value();
        }
        self.character('"', at);
        self.quoting = Quoting::Inside;
        1
    }

    /// Takes an operator, a blank or a character of a value off the front, and says how many bytes that was.
    fn unquoted(&mut self, rest: &str, at: usize) -> usize {
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.end_value();
            self.tokens.push((at, Token::Symbol(symbol)));
            return symbol.len();
        }
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { return 0 };
        match c {
            ' ' | '\t' | '\r' | '\n' => self.end_value(),
            '$' if rest.len() == 1 && self.last => self.ignore(at, ExprErrorKind::Meaningless('$')),
            // `$` takes along whatever follows it
            '$' => {
                if self.quoting == Quoting::Closed {
                    self.end_value();
                }
                self.character('$', at);
                if let Some(next) = chars.next() {
                    self.quotes = self.quotes.saturating_sub(usize::from(next == '"'));
                    return 1 + self.character(next, at);
                }
            }
            c if c.is_ascii_alphanumeric() || !c.is_ascii() || ".';\\_^#@".contains(c) => {
                if self.quoting == Quoting::Closed {
                    self.end_value();
                }
                self.character(c, at);
            }
            c => self.ignore(at, ExprErrorKind::Meaningless(c)),
        }
        c.len_utf8()
    }

    fn ignore(&mut self, offset: usize, kind: ExprErrorKind) {
        self.end_value();
        self.problems.push(ExprError::harmless(offset, kind));
    }

    fn character(&mut self, c: char, at: usize) -> usize {
        let parts = &mut self.value.get_or_insert_with(|| (at, Vec::new())).1;
        match parts.last_mut() {
            Some(Placed { part: Part::Text(text), .. }) => text.push(c),
            _ => parts.push(Placed { part: Part::Text(c.to_string()), offset: at }),
        }
        c.len_utf8()
    }
}
