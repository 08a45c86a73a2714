//! Expressions `$[ ]`: a tree built once when the file is read. What a value will hold is one operand, never an operator.
//! Above: `template`. Below: `tokens`. `evaluate` computes it with the values of the moment.
//!
//! A syntax error does not keep a file from being read: as in Asterisk, whose reader computes as it reads, what was
//! complete when the error was met remains.

use std::sync::Arc;

use super::expr_error::{ExprError, ExprErrorKind, Gives};
use super::func;
use super::math::{self, Math};
use super::number::Number;
use super::posix::Regex;
use super::posix_syntax::RegexError;
use super::template::{Part, Placed, Template, Variable, What};
use super::tokens::{Token, tokens};

/// Deepest nesting of `( )` and of right-hand operands in one expression.
pub(super) const MAX_DEPTH: usize = 32;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression {
    pub(super) node: Node,
    /// The syntax error of which `node` is what remains.
    pub(super) broken: Option<ExprErrorKind>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Written text, quotes included.
    Literal(Literal),
    /// A run of text and substitutions.
    Value(Template),
    /// The written pattern to the right of `:` and `=~`.
    Pattern(Literal, Result<Arc<Regex>, RegexError>),
    Not(Box<Self>),
    Negative(Box<Self>),
    /// Operators that bind alike, from the left.
    Chain(Box<Self>, Vec<(Operator, Self)>),
    /// `a ? b :: c`, and again with the result as `a`
    Conditional(Box<Self>, Vec<[Self; 2]>),
    /// `SIN(1)`
    Math(&'static Math, Vec<Self>),
    /// `FUNC(args)`
    Call(Part),
    /// `what(ever)`
    NoFunction(String),
}

impl Node {
    /// The operands it is made of.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Not(node) | Self::Negative(node) => vec![node],
            Self::Chain(first, rest) => std::iter::once(&**first).chain(rest.iter().map(|(_, node)| node)).collect(),
            Self::Conditional(first, rest) => std::iter::once(&**first).chain(rest.iter().flatten()).collect(),
            Self::Math(_, nodes) => nodes.iter().collect(),
            Self::Literal(_) | Self::Value(_) | Self::Pattern(..) | Self::Call(_) | Self::NoFunction(_) => Vec::new(),
        }
    }
}

/// A value in which nothing is substituted.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub(super) text: String,
    /// What it is when taken for a number.
    pub(super) number: Option<Number>,
}

impl Literal {
    fn new(text: String) -> Self {
        let number = Number::parse(&text);
        Self { text, number }
    }
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
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
    /// `:`
    MatchAtStart,
    /// `=~`
    MatchAnywhere,
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
    &[(":", Operator::MatchAtStart), ("=~", Operator::MatchAnywhere), ("~~", Operator::Join)],
];

/// The unary operators bind tighter than all levels above this one.
const UNARY_LEVEL: usize = 5;

impl Expression {
    /// Builds the tree from the inside of `$[ ]`. What it warns of goes to `problems`.
    ///
    /// # Errors
    /// It is nested too deep.
    pub(super) fn compile(inside: Vec<Placed>, problems: &mut Vec<ExprError>) -> Result<Self, ExprError> {
        let tokens = tokens(inside, problems);
        let Some((_, first)) = tokens.first() else { return Ok(Self::whole(nothing())) };
        let begins = matches!(first, Token::Value(_) | Token::Symbol("(" | "!" | "-"));
        let mut parser = Parser { tokens: tokens.into_iter().peekable(), depth: 0, end: 0, problems };
        let (node, offset, kind, gives) = match parser.conditional() {
            Ok(node) => match parser.tokens.next() {
                None => return Ok(Self::whole(node)),
                Some((offset, token)) => (node, offset, misplaced(&token), Gives::Before),
            },
            Err((offset, ExprErrorKind::TooDeep)) => {
                return Err(ExprError::harmless(offset, ExprErrorKind::TooDeep));
            }
            Err((offset, kind)) if begins => (Node::Literal(Literal::new("0".to_owned())), offset, kind, Gives::Zero),
            Err((offset, kind)) => (nothing(), offset, kind, Gives::Nothing),
        };
        problems.push(ExprError { offset, kind: kind.clone(), gives });
        Ok(Self { node, broken: Some(kind) })
    }

    fn whole(node: Node) -> Self {
        Self { node, broken: None }
    }
}

fn nothing() -> Node {
    Node::Literal(Literal::new(String::new()))
}

fn misplaced(token: &Token) -> ExprErrorKind {
    match token {
        Token::Value(_) | Token::Symbol("(" | "!") => ExprErrorKind::TwoValues,
        Token::Symbol(")") => ExprErrorKind::Unopened,
        Token::Symbol("::") => ExprErrorKind::NoCondition,
        Token::Symbol(",") => ExprErrorKind::Comma,
        Token::Symbol(symbol) => ExprErrorKind::NoValueBefore(symbol),
    }
}

type Wrong = (usize, ExprErrorKind);

struct Parser<'p> {
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
    depth: usize,
    /// Where the last token taken starts.
    end: usize,
    problems: &'p mut Vec<ExprError>,
}

impl Parser<'_> {
    fn take_symbol(&mut self, among: impl Fn(&str) -> bool) -> Option<&'static str> {
        match self.tokens.next_if(|(_, token)| matches!(token, Token::Symbol(symbol) if among(symbol))) {
            Some((offset, Token::Symbol(symbol))) => {
                self.end = offset;
                Some(symbol)
            }
            _ => None,
        }
    }

    fn deeper(&mut self) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err((self.end, ExprErrorKind::TooDeep)) } else { Ok(()) }
    }

    /// `a ? b :: c`, from the left: what follows asks for the result of what stands before.
    fn conditional(&mut self) -> Result<Node, Wrong> {
        self.deeper()?;
        let condition = self.level(0)?;
        let mut more = Vec::new();
        while self.take_symbol(|symbol| symbol == "?").is_some() {
            let question = self.end;
            let yes = self.conditional()?;
            if self.take_symbol(|symbol| symbol == "::").is_none() {
                return Err((question, ExprErrorKind::NoAlternative));
            }
            more.push([yes, self.level(0)?]);
        }
        self.depth -= 1;
        Ok(if more.is_empty() { condition } else { Node::Conditional(Box::new(condition), more) })
    }

    fn level(&mut self, level: usize) -> Result<Node, Wrong> {
        let operators = LEVELS.get(level).copied().unwrap_or_default();
        let operand = |parser: &mut Self| if level < UNARY_LEVEL { parser.level(level + 1) } else { parser.unary() };
        let first = operand(self)?;
        let mut more = Vec::new();
        while let Some(symbol) = self.take_symbol(|symbol| operators.iter().any(|(written, _)| *written == symbol)) {
            let Some((_, operator)) = operators.iter().find(|(written, _)| *written == symbol) else { break };
            let at = self.end + symbol.len();
            let right = operand(self)?;
            let is_match = matches!(operator, Operator::MatchAtStart | Operator::MatchAnywhere);
            more.push((*operator, if is_match { self.pattern(right, at) } else { right }));
        }
        Ok(if more.is_empty() { first } else { Node::Chain(Box::new(first), more) })
    }

    /// `!` and `-` bind looser than the last level: they take all of it that follows.
    fn unary(&mut self) -> Result<Node, Wrong> {
        let Some(symbol) = self.take_symbol(|symbol| matches!(symbol, "!" | "-")) else { return self.primary() };
        self.deeper()?;
        let operand = Box::new(self.level(UNARY_LEVEL)?);
        self.depth -= 1;
        Ok(if symbol == "!" { Node::Not(operand) } else { Node::Negative(operand) })
    }

    fn primary(&mut self) -> Result<Node, Wrong> {
        let Some((offset, token)) = self.tokens.next() else { return Err((self.end, ExprErrorKind::NoValueAtEnd)) };
        self.end = offset;
        match token {
            Token::Value(value) => {
                let is_call = self.take_symbol(|symbol| symbol == "(").is_some();
                if is_call { self.call(&value, offset) } else { Ok(node(value)) }
            }
            Token::Symbol("(") => {
                let inside = self.conditional()?;
                self.close(offset)?;
                Ok(inside)
            }
            Token::Symbol(")") => Err((offset, ExprErrorKind::Unopened)),
            Token::Symbol(symbol) => Err((offset, ExprErrorKind::NoValueBefore(symbol))),
        }
    }

    fn close(&mut self, open: usize) -> Result<(), Wrong> {
        match self.tokens.next() {
            Some((_, Token::Symbol(")"))) => Ok(()),
            None => Err((open, ExprErrorKind::Unclosed)),
            Some((at, token)) => Err((at, misplaced(&token))),
        }
    }

    /// After `name(`. Each argument is an expression; after a comma it may be missing.
    fn call(&mut self, name: &Template, offset: usize) -> Result<Node, Wrong> {
        let open = self.end;
        let mut args = vec![self.conditional()?];
        while self.take_symbol(|symbol| symbol == ",").is_some() {
            let missing = self.tokens.peek().is_some_and(|(_, token)| matches!(token, Token::Symbol("," | ")")));
            args.push(if missing { nothing() } else { self.conditional()? });
        }
        self.close(open)?;
        let name = name.piece().literal().unwrap_or_default();
        if let Some(math) = math::find(&name) {
            if args.len() != math.takes() {
                let kind = ExprErrorKind::Arguments { name: math.name, takes: math.takes() };
                self.problems.push(ExprError::harmless(offset, kind));
            }
            return Ok(Node::Math(math, args));
        }
        let Some(func) = func::find(&name) else {
            let names = func::TABLE.iter().map(|func| func.name()).chain(math::names());
            let hint = crate::config::nearest(&name, names).map(str::to_owned);
            let kind = ExprErrorKind::NoFunction { name: name.clone(), hint };
            self.problems.push(ExprError::harmless(offset, kind));
            return Ok(Node::NoFunction(name));
        };
        let args = arguments(args);
        if let Err(why) = func.check(&args.piece()) {
            let kind = ExprErrorKind::FuncArguments { func: func.name(), why };
            self.problems.push(ExprError::harmless(offset, kind));
        }
        Ok(Node::Call(Part::Variable(Box::new(Variable::new(What::Call(func, args), None)))))
    }

    /// A pattern that is written is compiled at once.
    fn pattern(&mut self, right: Node, offset: usize) -> Node {
        let Node::Literal(literal) = right else { return right };
        let pattern = unquote(&literal.text).into_owned();
        let compiled = Regex::compile(&pattern).map(Arc::new);
        if let Err(error) = &compiled {
            let kind = ExprErrorKind::Pattern { pattern, error: error.clone() };
            self.problems.push(ExprError::harmless(offset, kind));
        }
        Node::Pattern(literal, compiled)
    }
}

fn node(value: Template) -> Node {
    match value.piece().literal() {
        Some(text) => Node::Literal(Literal::new(text)),
        None => Node::Value(value),
    }
}

/// What stands between the brackets of a function, with a value for each argument.
fn arguments(args: Vec<Node>) -> Template {
    let mut parts = Vec::new();
    for arg in args {
        if !parts.is_empty() {
            parts.push(Part::Text(",".to_owned()));
        }
        match arg {
            Node::Literal(literal) => parts.push(Part::Text(literal.text)),
            Node::Value(value) => parts.extend(value.into_parts()),
            node => parts.push(Part::Expression(Box::new(Expression::whole(node)))),
        }
    }
    Template::from_parts(parts)
}

/// A text in quotes without any quotes.
pub(super) fn unquote(text: &str) -> std::borrow::Cow<'_, str> {
    if text.starts_with('"') && text.ends_with('"') { text.replace('"', "").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::TemplateError;

    fn problems(expression: &str) -> Vec<ExprError> {
        let template = Template::compile(&format!("$[{expression}]"));
        template.unwrap_or_else(|error| panic!("{expression}: {error}")).problems().to_vec()
    }

    fn error(expression: &str) -> ExprErrorKind {
        problems(expression).pop().unwrap_or_else(|| panic!("{expression} is right")).kind
    }

    #[test]
    fn what_is_no_expression_is_named_with_its_reason() {
        assert_eq!(error("a b"), ExprErrorKind::TwoValues);
        assert_eq!(error("\"a\"b"), ExprErrorKind::TwoValues);
        assert_eq!(error("1 +"), ExprErrorKind::NoValueAtEnd);
        assert_eq!(error("= 1"), ExprErrorKind::NoValueBefore("="));
        assert_eq!(error("(1"), ExprErrorKind::Unclosed);
        assert_eq!(error("1)"), ExprErrorKind::Unopened);
        assert_eq!(error("\"a"), ExprErrorKind::UnclosedQuote);
        assert_eq!(error("a{b"), ExprErrorKind::TwoValues);
        assert_eq!(error("{b"), ExprErrorKind::Meaningless('{'));
        assert_eq!(error("1,2"), ExprErrorKind::Comma);
        assert_eq!(error("1 ? 2"), ExprErrorKind::NoAlternative);
        assert_eq!(error("1 :: 2"), ExprErrorKind::NoCondition);
        assert_eq!(error("SIN(1,2)"), ExprErrorKind::Arguments { name: "SIN", takes: 1 });
        let hint = Some("EXISTS".to_owned());
        assert_eq!(error("EXIST(1)"), ExprErrorKind::NoFunction { name: "EXIST".to_owned(), hint });
        let (pattern, error_of_it) = ("(".to_owned(), RegexError::UnclosedGroup);
        assert_eq!(error("a : \"(\""), ExprErrorKind::Pattern { pattern, error: error_of_it });
        assert_eq!(error(&"1+".repeat(100_000)), ExprErrorKind::NoValueAtEnd);
    }

    #[test]
    fn nesting_beyond_reason_is_an_error_and_not_a_crash() {
        for text in ["(", "-", "1?", "!", "F(", "1:-"] {
            let error = Template::compile(&format!("$[{}]", text.repeat(100_000))).unwrap_err();
            assert!(
                matches!(error, TemplateError::Expression(ExprError { kind: ExprErrorKind::TooDeep, .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_problem_points_at_its_token_and_says_what_remains() {
        let template = Template::compile("x$[1 + (2 * 3]y$[a b]").unwrap();
        let problems = template.problems();
        let found: Vec<_> = problems.iter().map(|problem| (problem.offset, problem.gives)).collect();
        assert_eq!(found, [(7, Gives::Zero), (19, Gives::Before)]);
        assert!(problems[1].to_string().ends_with("; only what stands before this counts"));
    }
}
