//! Expressions `$[ ]`: a tree built once when the file is read. What a value will hold is one operand, never an operator.
//! Above: `template`. `evaluate` computes it with the values of the moment.

use super::template::{Part, Placed, Template};

/// Deepest nesting of `( )` and of right-hand operands in one expression.
const MAX_DEPTH: usize = 32;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression(pub(super) Node);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// `$[]`
    Empty,
    /// A run of text and substitutions, quotes included.
    Word(Template),
    Not(Box<Self>),
    Negative(Box<Self>),
    /// Operators that bind alike, from the left.
    Chain(Box<Self>, Vec<(Operator, Self)>),
    /// `a ? b :: c`
    Conditional(Box<[Self; 3]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Join,
}

/// Binary operators, loosest first; those of one row bind alike, from the left.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or), ("|", Operator::Or)],
    &[("&&", Operator::And), ("&", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("=", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        ("<", Operator::Less),
        (">=", Operator::GreaterOrEqual),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
    &[("~~", Operator::Join)],
];

/// The unary operators bind tighter than all levels above this one.
const UNARY_LEVEL: usize = 5;

/// Every operator as written, longer ones before their beginnings.
const SYMBOLS: [&str; 24] = [
    "||", "&&", "==", "!=", "<=", ">=", "=~", "~~", "::", "|", "&", "=", "<", ">", "+", "-", "*", "/", "%", "?", ":",
    "!", "(", ")",
];

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in `$[ ]`: {kind}")]
pub struct ExprError {
    /// Byte at which.
    pub offset: usize,
    /// What.
    pub kind: ExprErrorKind,
}

/// What can be wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprErrorKind {
    /// An operator where a value should be.
    #[error("`{0}` needs a value before it")]
    NoValueBefore(&'static str),
    /// The end where a value should be.
    #[error("a value is missing at the end")]
    NoValueAtEnd,
    /// Two values in a row.
    #[error("two values without an operator between them (put text with blanks in \" \")")]
    TwoValues,
    /// `)` without `(`.
    #[error("`)` without `(`")]
    Unopened,
    /// `(` without `)`.
    #[error("`(` opened here is never closed")]
    Unclosed,
    /// `"` without `"`.
    #[error("`\"` opened here is never closed")]
    UnclosedQuote,
    /// `?` without `::`.
    #[error("`?` needs `::` after its first value")]
    NoAlternative,
    /// `::` without `?`.
    #[error("`::` without `?`")]
    NoCondition,
    /// `:` and `=~`.
    #[error("the regular-expression operator `{0}` is not supported")]
    NoRegex(&'static str),
    /// Too deep.
    #[error("nested deeper than {MAX_DEPTH} brackets")]
    TooDeep,
}

impl Expression {
    /// Builds the tree from the inside of `$[ ]`.
    pub(super) fn compile(inside: Vec<Placed>) -> Result<Self, ExprError> {
        let tokens = tokens(inside)?;
        if tokens.is_empty() {
            return Ok(Self(Node::Empty));
        }
        let mut parser = Parser { tokens: tokens.into_iter().peekable(), depth: 0, end: 0 };
        let node = parser.conditional()?;
        match parser.tokens.next() {
            None => Ok(Self(node)),
            Some((offset, token)) => Err(ExprError { offset, kind: misplaced(&token) }),
        }
    }
}

fn misplaced(token: &Token) -> ExprErrorKind {
    match token {
        Token::Word(_) | Token::Symbol("(" | "!") => ExprErrorKind::TwoValues,
        Token::Symbol(")") => ExprErrorKind::Unopened,
        Token::Symbol("::") => ExprErrorKind::NoCondition,
        Token::Symbol(symbol @ (":" | "=~")) => ExprErrorKind::NoRegex(symbol),
        Token::Symbol(symbol) => ExprErrorKind::NoValueBefore(symbol),
    }
}

enum Token {
    Word(Template),
    Symbol(&'static str),
}

fn tokens(inside: Vec<Placed>) -> Result<Vec<(usize, Token)>, ExprError> {
    let mut lexer = Lexer::default();
    for Placed { part, offset } in inside {
        match part {
            Part::Text(text) => lexer.text(&text, offset),
            code => lexer.word(offset).push(Placed { part: code, offset }),
        }
    }
    if let Some(offset) = lexer.quote {
        return Err(ExprError { offset, kind: ExprErrorKind::UnclosedQuote });
    }
    lexer.end_word();
    Ok(lexer.tokens)
}

#[derive(Default)]
struct Lexer {
    tokens: Vec<(usize, Token)>,
    word: Option<(usize, Vec<Placed>)>,
    /// Where the quote we are in was opened.
    quote: Option<usize>,
}

impl Lexer {
    fn word(&mut self, offset: usize) -> &mut Vec<Placed> {
        &mut self.word.get_or_insert_with(|| (offset, Vec::new())).1
    }

    fn end_word(&mut self) {
        if let Some((offset, parts)) = self.word.take() {
            self.tokens.push((offset, Token::Word(Template::from_placed(parts))));
        }
    }

    fn text(&mut self, text: &str, offset: usize) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let at = offset + text.len() - rest.len();
            let symbol = SYMBOLS.iter().find(|symbol| self.quote.is_none() && rest.starts_with(**symbol));
            let taken = match symbol {
                Some(symbol) => {
                    self.end_word();
                    self.tokens.push((at, Token::Symbol(symbol)));
                    symbol.len()
                }
                None if c.is_whitespace() && self.quote.is_none() => {
                    self.end_word();
                    c.len_utf8()
                }
                None => {
                    if c == '"' {
                        self.quote = if self.quote.is_some() { None } else { Some(at) };
                    }
                    self.character(c, at);
                    c.len_utf8()
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    fn character(&mut self, c: char, at: usize) {
        let parts = self.word(at);
        match parts.last_mut() {
            Some(Placed { part: Part::Text(text), .. }) => text.push(c),
            _ => parts.push(Placed { part: Part::Text(c.to_string()), offset: at }),
        }
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
    depth: usize,
    /// Where the last token taken starts.
    end: usize,
}

impl Parser {
    fn take_symbol(&mut self, among: impl Fn(&str) -> bool) -> Option<&'static str> {
        match self.tokens.next_if(|(_, token)| matches!(token, Token::Symbol(symbol) if among(symbol))) {
            Some((offset, Token::Symbol(symbol))) => {
                self.end = offset;
                Some(symbol)
            }
            _ => None,
        }
    }

    fn error<T>(&self, offset: usize, kind: ExprErrorKind) -> Result<T, ExprError> {
        Err(ExprError { offset, kind })
    }

    fn conditional(&mut self) -> Result<Node, ExprError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error(self.end, ExprErrorKind::TooDeep);
        }
        let condition = self.level(0)?;
        let node = if self.take_symbol(|symbol| symbol == "?").is_some() {
            let question = self.end;
            let yes = self.conditional()?;
            if self.take_symbol(|symbol| symbol == "::").is_none() {
                return self.error(question, ExprErrorKind::NoAlternative);
            }
            Node::Conditional(Box::new([condition, yes, self.conditional()?]))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn level(&mut self, level: usize) -> Result<Node, ExprError> {
        let Some(operators) = LEVELS.get(level) else { return self.primary() };
        let first = if level == UNARY_LEVEL { self.unary(level)? } else { self.level(level + 1)? };
        let mut more = Vec::new();
        while let Some(symbol) = self.take_symbol(|symbol| operators.iter().any(|(written, _)| *written == symbol)) {
            let Some((_, operator)) = operators.iter().find(|(written, _)| *written == symbol) else { break };
            let right = if level == UNARY_LEVEL { self.primary()? } else { self.level(level + 1)? };
            more.push((*operator, right));
        }
        Ok(if more.is_empty() { first } else { Node::Chain(Box::new(first), more) })
    }

    /// `!` and `-` bind looser than `~~`: they take the whole join that follows.
    fn unary(&mut self, level: usize) -> Result<Node, ExprError> {
        let Some(symbol) = self.take_symbol(|symbol| matches!(symbol, "!" | "-")) else { return self.primary() };
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error(self.end, ExprErrorKind::TooDeep);
        }
        let operand = Box::new(self.level(level)?);
        self.depth -= 1;
        Ok(if symbol == "!" { Node::Not(operand) } else { Node::Negative(operand) })
    }

    fn primary(&mut self) -> Result<Node, ExprError> {
        let Some((offset, token)) = self.tokens.next() else {
            return self.error(self.end, ExprErrorKind::NoValueAtEnd);
        };
        self.end = offset;
        match token {
            Token::Word(word) => Ok(Node::Word(word)),
            Token::Symbol("(") => {
                let inside = self.conditional()?;
                match self.take_symbol(|symbol| symbol == ")") {
                    Some(_) => Ok(inside),
                    None => match self.tokens.next() {
                        None => self.error(offset, ExprErrorKind::Unclosed),
                        Some((at, token)) => self.error(at, misplaced(&token)),
                    },
                }
            }
            Token::Symbol(")") => self.error(offset, ExprErrorKind::Unopened),
            Token::Symbol(symbol) => self.error(offset, ExprErrorKind::NoValueBefore(symbol)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::TemplateError;

    fn error(expression: &str) -> ExprErrorKind {
        match Template::compile(&format!("$[{expression}]")) {
            Err(TemplateError::Expression(error)) => error.kind,
            other => panic!("{expression}: {other:?}"),
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_reason() {
        assert_eq!(error("a b"), ExprErrorKind::TwoValues);
        assert_eq!(error("1 +"), ExprErrorKind::NoValueAtEnd);
        assert_eq!(error("= 1"), ExprErrorKind::NoValueBefore("="));
        assert_eq!(error("(1"), ExprErrorKind::Unclosed);
        assert_eq!(error("1)"), ExprErrorKind::Unopened);
        assert_eq!(error("\"a"), ExprErrorKind::UnclosedQuote);
        assert_eq!(error("1 ? 2"), ExprErrorKind::NoAlternative);
        assert_eq!(error("1 :: 2"), ExprErrorKind::NoCondition);
        assert_eq!(error("a : b"), ExprErrorKind::NoRegex(":"));
        assert_eq!(error("a =~ b"), ExprErrorKind::NoRegex("=~"));
        assert_eq!(error(&"(".repeat(100_000)), ExprErrorKind::TooDeep);
        assert_eq!(error(&"-".repeat(100_000)), ExprErrorKind::TooDeep);
        assert_eq!(error(&"1?".repeat(100_000)), ExprErrorKind::TooDeep);
        assert_eq!(error(&"1+".repeat(100_000)), ExprErrorKind::NoValueAtEnd);
    }

    #[test]
    fn an_error_points_at_its_token() {
        let Err(TemplateError::Expression(error)) = Template::compile("x$[1 + (2 * 3]") else { panic!() };
        assert_eq!(error.offset, 7);
    }
}
