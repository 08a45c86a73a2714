//! What is wrong with a dialplan file, and where: file, line, column. All problems of all files are reported at once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expr_error::ExprError;
use super::pattern::PatternError;
use super::template::TemplateError;

/// A spot in a dialplan file; lines and columns count from 1, columns in characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file as it was named to us.
    pub file: Arc<Path>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl Span {
    /// The file without its folders, as Asterisk shows it.
    pub fn file_name(&self) -> std::borrow::Cow<'_, str> {
        self.file.file_name().unwrap_or(self.file.as_os_str()).to_string_lossy()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One thing wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{span}: {kind}")]
pub struct PlanError {
    /// Where.
    pub span: Span,
    /// What.
    pub kind: ProblemKind,
}

/// What can be wrong with a dialplan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// Not a line of a dialplan.
    #[error("`{0}` is no line of a dialplan (write [context], exten =>, same =>, include => or NAME=value)")]
    NoStatement(String),
    /// `[name` without `]`, or something after it.
    #[error("`[` opened here is not closed by `]` at the end of the line")]
    UnclosedHeader,
    /// `[]`
    #[error("a context needs a name")]
    NoName,
    /// Something after `[name]` that is not in brackets.
    #[error("`{0}` after a [context] is not understood (write (!), (+) or (template))")]
    HeaderOption(String),
    /// `[name](template)` of one that is not there.
    #[error("there is no [{name}] above to inherit from{}", did_you_mean(.hint))]
    UnknownTemplate {
        /// As written.
        name: String,
        /// The nearest section.
        hint: Option<String>,
    },
    /// Templates of templates of templates.
    #[error("more than {0} lines come from templates")]
    TooManyInherited(usize),
    /// A line that begins with `#`.
    #[error("{0}")]
    Include(IncludeError),
    /// A file with bytes of another encoding.
    #[error("from here on there are bytes that are not UTF-8, read as `\u{FFFD}`")]
    NotUtf8,
    /// `[name](+)` of a context that is not there.
    #[error("there is no [{name}] above to add to{}", did_you_mean(.hint))]
    NothingToAddTo {
        /// As written.
        name: String,
        /// The nearest context.
        hint: Option<String>,
    },
    /// A line before the first `[context]`.
    #[error("this line is in no [context]")]
    OutsideContext,
    /// A block comment without end.
    #[error("the comment `;--` opened here is never closed by `--;`")]
    UnclosedComment,
    /// A keyword that is not one.
    #[error("unknown keyword `{found}`{}", did_you_mean(.hint))]
    UnknownKeyword {
        /// As written.
        found: String,
        /// The nearest keyword.
        hint: Option<String>,
    },
    /// A keyword of Asterisk's that does nothing here yet.
    #[error("`{0}` is not supported")]
    Unsupported(String),
    /// A line without all its parts.
    #[error("write {keyword} => {form}")]
    Incomplete {
        /// `exten`, `same` or `include`.
        keyword: &'static str,
        /// What it takes.
        form: &'static str,
    },
    /// An extension name nothing can match.
    #[error("extension `{name}`: {why}")]
    BadName {
        /// As written.
        name: String,
        /// Why it can never be dialled.
        why: &'static str,
    },
    /// A pattern.
    #[error("pattern `{pattern}`: {error}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        error: PatternError,
    },
    /// A priority.
    #[error("`{0}` is no priority (write a number from 1, n, n(label), n+5 or s)")]
    BadPriority(String),
    /// `n` or `s` with nothing before it.
    #[error("`{0}` needs a priority before it in this extension; begin with 1")]
    NothingBefore(String),
    /// `same` with no `exten` above.
    #[error("`same` needs an `exten` above it")]
    SameOfNothing,
    /// `n` that counts on from another extension.
    #[error("`{text}` here is priority {priority}: it counts on from {other} above")]
    CountsOn {
        /// As written.
        text: String,
        /// What it comes to.
        priority: u32,
        /// The extension of the line above.
        other: String,
    },
    /// A priority given twice.
    #[error("priority {priority} of {extension} is already at {first}")]
    Twice {
        /// The extension.
        extension: String,
        /// The priority.
        priority: u32,
        /// Where it was given first.
        first: Span,
    },
    /// A second hint of one extension.
    #[error("the hint of {extension} is already at {first}")]
    HintTwice {
        /// The extension.
        extension: String,
        /// Where it was given first.
        first: Span,
    },
    /// A label given twice in one extension.
    #[error("label `{label}` is already at {first}")]
    LabelTwice {
        /// The label.
        label: String,
        /// Where it was given first.
        first: Span,
    },
    /// An application nobody knows.
    #[error("unknown application `{name}`{}", did_you_mean(.hint))]
    UnknownApp {
        /// As written.
        name: String,
        /// The nearest application.
        hint: Option<String>,
    },
    /// Arguments without brackets around them.
    #[error("`{0}`: arguments go in brackets, as in {0}(arguments)")]
    NoBrackets(String),
    /// A bracket without partner.
    #[error("`{0}` opened here is never closed")]
    Unclosed(&'static str),
    /// A closing bracket too many.
    #[error("`{0}` closes nothing (write \\{0} for the character)")]
    Unopened(&'static str),
    /// Something after the closing bracket.
    #[error("`{0}` after the closing `)`")]
    Trailing(String),
    /// What an application says of its arguments.
    #[error("{app}: {why}")]
    Arguments {
        /// The application.
        app: &'static str,
        /// What is wrong.
        why: super::app::CheckError,
    },
    /// Something in a command that is worth a second look.
    #[error("{app}: {risk}")]
    Risk {
        /// The application that starts it.
        app: &'static str,
        /// What it is.
        risk: super::risk::Risk,
    },
    /// A substitution that is none.
    #[error("{0}")]
    Template(TemplateError),
    /// An expression that gives less than what was meant.
    #[error("{0}")]
    Expression(ExprError),
    /// The times of an include.
    #[error("include of [{name}]: {error}")]
    Times {
        /// The context.
        name: String,
        /// What is wrong with them.
        error: super::times::TimeRangeError,
    },
    /// The same include again.
    #[error("[{0}] is already included above")]
    IncludedTwice(String),
    /// `switch => …`
    #[error("`{0}` is not supported: what it would find is not found")]
    Switch(String),
    /// An application of Asterisk's that is not here.
    #[error("application `{name}` is not here ({why}): a call that reaches it ends")]
    AbsentApp {
        /// As written.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A function of Asterisk's that is not here.
    #[error("function `{name}` is not here ({why}): its value is empty")]
    AbsentFunc {
        /// As written.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A sound that is neither in the sounds folder nor built in.
    #[error("{app}: no sound `{name}` is built in or in the sounds folder")]
    NoSound {
        /// The application.
        app: &'static str,
        /// The name as written.
        name: String,
    },
    /// An included context that is not there.
    #[error("include of [{name}], which is nowhere{}", did_you_mean(.hint))]
    UnknownInclude {
        /// As written.
        name: String,
        /// The nearest context.
        hint: Option<String>,
    },
}

/// What can be wrong with a line that begins with `#`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncludeError {
    /// Neither `#include` nor `#tryinclude`.
    #[error("unknown directive `{0}` (write #include \"file\"; comments begin with `;`)")]
    Unknown(String),
    /// `#exec`
    #[error(
        "`#exec` runs a program and takes its output as dialplan: that is refused (run it before, and #include its output)"
    )]
    Exec,
    /// No file.
    #[error("write #include \"file\"")]
    NoName,
    /// A name with `*` or `?` that no file has.
    #[error("no file is named `{0}`")]
    NoMatch(String),
    /// A file that cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// A file that includes itself, perhaps through others.
    #[error("{} includes itself", .0.display())]
    Circle(PathBuf),
    /// Files in files in files.
    #[error("included deeper than {0} files")]
    TooDeep(usize),
    /// Includes of includes.
    #[error("more than {0} files are included")]
    TooMany(usize),
}

pub(super) fn did_you_mean(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default()
}
