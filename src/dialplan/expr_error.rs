//! What can be wrong with an expression `$[ ]`, and what value it leaves. Above: `problem` puts it in its file. Below: `expr`,
//! `tokens` find it.

use std::fmt;

use super::expr::MAX_DEPTH;
use super::posix_syntax::RegexError;
use super::problem::did_you_mean;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in `$[ ]`: {kind}{gives}")]
pub struct ExprError {
    /// Byte at which.
    pub offset: usize,
    /// What.
    pub kind: ExprErrorKind,
    /// What value it leaves.
    pub gives: Gives,
}

impl ExprError {
    /// One that leaves the rest of the expression as it is.
    pub(super) fn harmless(offset: usize, kind: ExprErrorKind) -> Self {
        Self { offset, kind, gives: Gives::Itself }
    }
}

/// The value of an expression with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// It is computed as if there were no error.
    Itself,
    /// Nothing, for it begins with the error.
    Nothing,
    /// `0`
    Zero,
    /// The value of what stands before the error.
    Before,
}

impl fmt::Display for Gives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Itself => "",
            Self::Nothing => "; the whole gives an empty value",
            Self::Zero => "; the whole gives 0",
            Self::Before => "; only what stands before this counts",
        })
    }
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
    /// `,` outside of the arguments of a function.
    #[error("`,` outside of a function (put text with commas in \" \")")]
    Comma,
    /// `)` without `(`.
    #[error("`)` without `(`")]
    Unopened,
    /// `(` without `)`.
    #[error("`(` opened here is never closed")]
    Unclosed,
    /// `"` without `"`.
    #[error("`\"` opened here is never closed and is left out")]
    UnclosedQuote,
    /// A character that is part of nothing.
    #[error("`{0}` means nothing here and is left out (put text in \" \")")]
    Meaningless(char),
    /// `?` without `::`.
    #[error("`?` needs `::` after its first value")]
    NoAlternative,
    /// `::` without `?`.
    #[error("`::` without `?`")]
    NoCondition,
    /// A name before `(` that is no function's.
    #[error("`{name}` before `(` is no function, and gives 0{}", did_you_mean(.hint))]
    NoFunction {
        /// As written.
        name: String,
        /// The nearest function.
        hint: Option<String>,
    },
    /// A number of arguments.
    #[error("{name} takes {takes}, and gives 0 with another number of arguments")]
    Arguments {
        /// The function.
        name: &'static str,
        /// How many.
        takes: usize,
    },
    /// What a function says of its arguments.
    #[error("{func}: {why}")]
    FuncArguments {
        /// The function.
        func: &'static str,
        /// What is wrong.
        why: super::app::CheckError,
    },
    /// A regular expression that is none.
    #[error("`{pattern}` is no regular expression: {error}")]
    Pattern {
        /// As written.
        pattern: String,
        /// Why.
        error: RegexError,
    },
    /// Too deep.
    #[error("nested deeper than {MAX_DEPTH} brackets")]
    TooDeep,
}
