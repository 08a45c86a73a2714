//! extensions.conf: parse, match, substitute, run.
//!
//! The way: `sections` takes files apart, `parse` their lines into `draft`, which becomes a [`Dialplan`]; `search` finds what
//! was dialled, [`exec`] runs a channel over its steps, each an [`app::App`] whose arguments are a `piece` of a `template`,
//! evaluated in a `vars::Scope`.

pub mod absent;
mod alone;
pub mod app;
mod args;
mod bits;
mod brackets;
mod changes;
mod codes;
mod command;
mod context;
mod draft;
mod env;
mod evaluate;
pub mod exec;
mod explain;
mod expr;
mod expr_error;
pub mod func;
mod growth;
mod include;
mod keypad;
mod lines;
mod math;
mod name;
mod number;
mod options;
mod parse;
mod pattern;
mod piece;
mod pin_guard;
mod posix;
mod posix_syntax;
mod problem;
mod program;
mod recorded;
mod risk;
mod say;
mod search;
mod sections;
mod settle;
pub mod show;
mod sought;
mod sounds;
pub mod spymap;
pub mod star_codes;
mod statement;
mod supervise;
mod talk;
mod template;
mod times;
mod tokens;
mod vars;

pub use alone::Alone;
pub use args::Args;
pub use codes::FeatureCode;
pub use context::{Dialplan, Extension, Hint, Step};
pub use env::Env;
pub use explain::{Explanation, Matched, Priority, Tried};
pub use expr_error::{ExprError, ExprErrorKind, Gives};
pub use include::{Disk, Given, Loader};
pub use pattern::PatternError;
pub use piece::Piece;
pub use posix_syntax::RegexError;
pub use problem::{IncludeError, PlanError, ProblemKind, Span};
pub use risk::Risk;
pub use search::{Found, Query};
pub use sounds::{SoundProblem, Sounds};
pub use template::{Template, TemplateError};
pub use times::{TimeRange, TimeRangeError};
pub use vars::{MAX_VALUE_BYTES, Scope, ValueWarning};

#[cfg(test)]
mod tests;
