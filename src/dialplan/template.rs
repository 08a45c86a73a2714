//! Text with `${ }` and `$[ ]` in it, taken apart once when the file is read. Below: `expr`, `func`. Above: `parse`, `args`.
//!
//! What is syntax is decided here, before any value is known: a value put in later is data and nothing else.

use super::bits::{Bit, Bits};
use super::expr::Expression;
use super::expr_error::ExprError;
use super::func::{self, Func};
use super::piece::Piece;
use super::problem::did_you_mean;
use super::settle::{Ticket, node_waits};

/// Deepest nesting of `${ }`, `$[ ]` and brackets.
const MAX_DEPTH: usize = 15;

/// A text with substitutions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
    /// What is wrong with its expressions and does not keep it from being used.
    problems: Vec<ExprError>,
    /// It has a function in it that takes its time.
    waits: bool,
}

/// A stretch of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// As it stands.
    Text(String),
    /// `${…}`
    Variable(Box<Variable>),
    /// `$[…]`
    Expression(Box<Expression>),
    /// The value of one of these, computed elsewhere: data.
    Value(String),
}

impl Part {
    /// Whether there is a function in it that takes its time to be read.
    pub(super) fn waits(&self) -> bool {
        match self {
            Self::Variable(variable) => variable.waits(),
            Self::Expression(expression) => node_waits(&expression.node),
            Self::Text(_) | Self::Value(_) => false,
        }
    }

    /// The value, where this is a variable as a whole, named by text, that holds text of the dialplan only.
    pub(super) fn written_value(&self, scope: &dyn super::vars::Scope) -> Option<String> {
        let Self::Variable(variable) = self else { return None };
        let name = |name: &Template| match name.parts.as_slice() {
            [Self::Text(name)] => Some(name.clone()),
            _ => None,
        };
        match (&variable.what, &variable.slice) {
            (What::Named(named), None) => {
                let name = name(named)?;
                if scope.is_written(&name) { scope.variable(&name) } else { None }
            }
            (What::Call(func, args), None) if func.name() == "GLOBAL" => scope.env()?.written_global(&name(args)?),
            _ => None,
        }
    }

    /// What a function that only chooses among its written arguments has chosen.
    pub(super) fn chosen(&self, scope: &mut dyn super::vars::Scope) -> Option<Piece<'_>> {
        let Self::Variable(variable) = self else { return None };
        match (&variable.what, &variable.slice) {
            (What::Call(func, args), None) => func.chosen(scope, &args.piece()),
            _ => None,
        }
    }
}

/// `${name:offset:length}` or `${FUNC(args):offset:length}`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variable {
    pub(super) what: What,
    pub(super) slice: Option<Slice>,
    /// For a function that takes its time to be read.
    pub(super) ticket: Option<Ticket>,
}

impl Variable {
    pub(super) fn new(what: What, slice: Option<Slice>) -> Self {
        let ticket = match &what {
            What::Call(func, _) => Ticket::of(*func),
            What::Named(_) => None,
        };
        Self { what, slice, ticket }
    }

    fn waits(&self) -> bool {
        let (What::Named(within) | What::Call(_, within)) = &self.what;
        let in_slice = |slice: &Slice| slice.offset.waits || slice.length.as_ref().is_some_and(|length| length.waits);
        self.ticket.is_some() || within.waits || self.slice.as_ref().is_some_and(in_slice)
    }
}

/// What a `${…}` reads.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A variable; the name may itself hold substitutions.
    Named(Template),
    /// A function.
    Call(&'static dyn Func, Template),
}

impl PartialEq for What {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named(ours), Self::Named(theirs)) => ours == theirs,
            (Self::Call(f, ours), Self::Call(g, theirs)) => f.name() == g.name() && ours == theirs,
            _ => false,
        }
    }
}

/// The `:offset:length` of a `${…}`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) offset: Template,
    pub(super) length: Option<Template>,
}

/// Why a text is no template, with the byte at which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An opening without its partner.
    #[error("`{opening}` opened here is never closed by `{closing}`")]
    Unclosed {
        /// `${`, `$[` or `(`.
        opening: &'static str,
        /// What would close it.
        closing: &'static str,
        /// Where it is opened.
        offset: usize,
    },
    /// A function nobody knows.
    #[error("unknown function `{name}`{}", did_you_mean(.hint))]
    UnknownFunc {
        /// As written.
        name: String,
        /// The nearest function.
        hint: Option<String>,
        /// Where it stands.
        offset: usize,
    },
    /// What a function says of its arguments.
    #[error("{func}: {why}")]
    FuncArguments {
        /// The function.
        func: &'static str,
        /// What is wrong.
        why: super::app::CheckError,
        /// Where it stands.
        offset: usize,
    },
    /// Something between `)` and `}`.
    #[error("after the `)` of a function only `:` or `}}` can follow")]
    AfterCall {
        /// Where it stands.
        offset: usize,
    },
    /// `${}`
    #[error("`${{}}` names no variable")]
    NoName {
        /// Where it stands.
        offset: usize,
    },
    /// An expression nested too deep.
    #[error("{0}")]
    Expression(ExprError),
    /// Brackets in brackets in brackets.
    #[error("nested deeper than {MAX_DEPTH} brackets")]
    TooDeep {
        /// Where it gets too deep.
        offset: usize,
    },
}

impl TemplateError {
    /// Where in the text, in bytes.
    pub fn offset(&self) -> usize {
        match self {
            Self::Expression(error) => error.offset,
            Self::Unclosed { offset, .. }
            | Self::UnknownFunc { offset, .. }
            | Self::FuncArguments { offset, .. }
            | Self::AfterCall { offset }
            | Self::NoName { offset }
            | Self::TooDeep { offset } => *offset,
        }
    }
}

impl Template {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// The first thing wrong with it, and where.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        let mut compiler = Compiler { text, at: 0, depth: 0, problems: Vec::new() };
        let template = Self::from_placed(compiler.parts(Until::End)?);
        Ok(Self { problems: compiler.problems, ..template })
    }

    /// A text in which nothing is substituted.
    pub fn literal(text: impl Into<String>) -> Self {
        Self::from_parts(vec![Part::Text(text.into())])
    }

    pub(super) fn from_parts(parts: Vec<Part>) -> Self {
        let waits = parts.iter().any(Part::waits);
        Self { parts, problems: Vec::new(), waits }
    }

    pub(super) fn from_placed(placed: Vec<Placed>) -> Self {
        Self::from_parts(placed.into_iter().map(|placed| placed.part).collect())
    }

    /// Whether there is a function in it that takes its time to be read.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// What is wrong with its expressions; it can be used all the same.
    pub fn problems(&self) -> &[ExprError] {
        &self.problems
    }

    /// All of it, to be split or evaluated.
    pub fn piece(&self) -> Piece<'_> {
        let bits = self.parts.iter().map(|part| match part {
            Part::Text(text) => Bit::Text(text),
            code => Bit::Code(code),
        });
        Piece::new(bits.collect::<Bits<'_>>())
    }
}

/// A part and the byte at which it starts.
pub(super) struct Placed {
    pub(super) part: Part,
    pub(super) offset: usize,
}

/// What ends the stretch being read; the end character itself is left to the caller.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    End,
    /// `(`, `:` or `}`
    Name,
    /// `)` that is not a partner of a `(` inside
    Call,
    /// `:` or `}`
    Offset,
    /// `}`
    Length,
    /// `]` that is not a partner of a `[` inside
    Expression,
}

impl Until {
    fn is_end(self, byte: u8) -> bool {
        match self {
            Self::End => false,
            Self::Name => matches!(byte, b'(' | b':' | b'}'),
            Self::Call => matches!(byte, b')' | b'}'),
            Self::Offset => matches!(byte, b':' | b'}'),
            Self::Length => byte == b'}',
            Self::Expression => byte == b']',
        }
    }

    /// The bracket that nests inside without meaning anything.
    fn nesting(self) -> Option<(u8, u8)> {
        match self {
            Self::Call => Some((b'(', b')')),
            Self::Expression => Some((b'[', b']')),
            _ => None,
        }
    }
}

struct Compiler<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    problems: Vec<ExprError>,
}

impl Compiler<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Reads up to, not including, the end of this stretch, or to the end of the text.
    fn parts(&mut self, until: Until) -> Result<Vec<Placed>, TemplateError> {
        let mut parts = Vec::new();
        let mut start = self.at;
        let mut nested = 0_usize;
        while let Some(byte) = self.peek(0) {
            let opening = byte == b'$' && matches!(self.peek(1), Some(b'{' | b'['));
            if opening {
                self.push_text(&mut parts, start);
                let offset = self.at;
                parts.push(Placed { part: self.substitution()?, offset });
                start = self.at;
                continue;
            }
            match until.nesting() {
                Some((open, _)) if byte == open => nested += 1,
                Some((_, close)) if byte == close && nested > 0 => nested -= 1,
                _ if until.is_end(byte) => break,
                _ => {}
            }
            self.at += 1;
        }
        self.push_text(&mut parts, start);
        Ok(parts)
    }

    fn push_text(&self, parts: &mut Vec<Placed>, start: usize) {
        if let Some(text) = self.text.get(start..self.at).filter(|text| !text.is_empty()) {
            parts.push(Placed { part: Part::Text(text.to_owned()), offset: start });
        }
    }

    /// At `${` or `$[`.
    fn substitution(&mut self) -> Result<Part, TemplateError> {
        let offset = self.at;
        if self.depth == MAX_DEPTH {
            return Err(TemplateError::TooDeep { offset });
        }
        self.depth += 1;
        let variable = self.peek(1) == Some(b'{');
        self.at += 2;
        let part = if variable {
            Part::Variable(Box::new(self.variable(offset)?))
        } else {
            let inside = self.parts(Until::Expression)?;
            self.close(b']', Unclosed("$[", "]", offset))?;
            let expression = Expression::compile(inside, &mut self.problems).map_err(TemplateError::Expression)?;
            Part::Expression(Box::new(expression))
        };
        self.depth -= 1;
        Ok(part)
    }

    fn variable(&mut self, offset: usize) -> Result<Variable, TemplateError> {
        let open = Unclosed("${", "}", offset);
        let name_at = self.at;
        let name = Template::from_placed(self.parts(Until::Name)?);
        let what = if self.peek(0) == Some(b'(') { self.call(&name, name_at)? } else { What::Named(name) };
        if matches!(&what, What::Named(name) if name.parts.is_empty()) && self.peek(0).is_some() {
            return Err(TemplateError::NoName { offset });
        }
        let mut slice = None;
        if self.peek(0) == Some(b':') {
            self.at += 1;
            let from = Template::from_placed(self.parts(Until::Offset)?);
            let mut length = None;
            if self.peek(0) == Some(b':') {
                self.at += 1;
                length = Some(Template::from_placed(self.parts(Until::Length)?));
            }
            slice = Some(Slice { offset: from, length });
        }
        self.close(b'}', open)?;
        Ok(Variable::new(what, slice))
    }

    /// At the `(` after a function's name.
    fn call(&mut self, name: &Template, name_at: usize) -> Result<What, TemplateError> {
        let open = Unclosed("(", ")", self.at);
        self.at += 1;
        let args = Template::from_placed(self.parts(Until::Call)?);
        self.close(b')', open)?;
        if !matches!(self.peek(0), None | Some(b':' | b'}')) {
            return Err(TemplateError::AfterCall { offset: self.at });
        }
        let func = find_func(name, name_at)?;
        func.check(&args.piece()).map_err(|why| TemplateError::FuncArguments {
            func: func.name(),
            why,
            offset: name_at,
        })?;
        Ok(What::Call(func, args))
    }

    fn close(&mut self, closing: u8, open: Unclosed) -> Result<(), TemplateError> {
        if self.peek(0) == Some(closing) {
            self.at += 1;
            return Ok(());
        }
        let Unclosed(opening, closing, offset) = open;
        Err(TemplateError::Unclosed { opening, closing, offset })
    }
}

/// Opening, closing, and where it was opened.
#[derive(Clone, Copy)]
struct Unclosed(&'static str, &'static str, usize);

fn find_func(name: &Template, offset: usize) -> Result<&'static dyn Func, TemplateError> {
    let name = match name.parts.as_slice() {
        [Part::Text(name)] => name.as_str(),
        _ => "",
    };
    func::find(name).ok_or_else(|| {
        let hint = crate::config::nearest(name, func::TABLE.iter().map(|func| func.name()));
        TemplateError::UnknownFunc { name: name.to_owned(), hint: hint.map(str::to_owned), offset }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> TemplateError {
        Template::compile(text).unwrap_err()
    }

    #[test]
    fn s177_an_unbalanced_bracket_is_reported_where_it_is_opened() {
        let unclosed = |opening, closing, offset| TemplateError::Unclosed { opening, closing, offset };
        assert_eq!(error("a${B"), unclosed("${", "}", 1));
        assert_eq!(error("${A${B}"), unclosed("${", "}", 0));
        assert_eq!(error("${CALLERID(num}"), unclosed("(", ")", 10));
        assert_eq!(error("$[1 + ${X} "), unclosed("$[", "]", 0));
        assert_eq!(error("$[${X] = 1]"), unclosed("${", "}", 2));
        assert_eq!(error("${V:1"), unclosed("${", "}", 0));
    }

    #[test]
    fn an_unknown_function_gets_a_hint() {
        let hint = Some("CALLERID".to_owned());
        assert_eq!(error("x${CALERID(num)}"), TemplateError::UnknownFunc { name: "CALERID".into(), hint, offset: 3 });
        assert_eq!(error("${CALLERID(num)x}"), TemplateError::AfterCall { offset: 15 });
        assert_eq!(error("${}"), TemplateError::NoName { offset: 0 });
    }

    #[test]
    fn nesting_beyond_reason_is_an_error_and_not_a_crash() {
        let deep = "${".repeat(100_000);
        assert!(matches!(error(&deep), TemplateError::TooDeep { offset: 30 }));
        assert!(matches!(error(&"$[".repeat(100_000)), TemplateError::TooDeep { .. }));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_template_reader_panic(text in "([${}\\[\\]():,a\"+ 1é]|CALLERID\\(num\\)|\\$\\{|\\$\\[){0,40}") {
            if let Err(error) = Template::compile(&text) {
                proptest::prop_assert!(error.offset() <= text.len());
            }
        }
    }
}
