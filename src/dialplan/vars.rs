//! Values of variables and substitutions: `${NAME:offset:length}`, functions, `$[ ]`. Above: `piece`. Below: [`Scope`].

use std::sync::Arc;

use crate::call::Channel;
use crate::config::CallerIdText;

use super::context::Dialplan;
use super::env::Env;
use super::expr_error::ExprErrorKind;
use super::func::FuncError;
use super::posix_syntax::RegexError;
use super::settle::Ticket;
use super::template::{Part, Slice, Variable, What};

/// Longest value in bytes; a longer one is cut, and the call whose script made it is ended: it doubles a variable in a loop.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// What a script can look up and change while it is evaluated.
pub trait Scope {
    /// The value of a variable: channel built-ins, then the channel's, then globals.
    fn variable(&self, name: &str) -> Option<String>;
    /// Sets a channel variable; leading `_` or `__` in the name stay for inheritance.
    fn set_variable(&mut self, name: &str, value: String);
    /// The caller's name and number.
    fn caller(&self) -> CallerIdText;
    /// Changes the caller's name and number.
    fn set_caller(&mut self, caller: CallerIdText);
    /// Something evaluated to less than was asked for; the script goes on.
    fn warn(&mut self, warning: ValueWarning);
    /// What all scripts of the server share; `None` where there is no server.
    fn env(&self) -> Option<&Arc<Env>> {
        None
    }
    /// A variable of the server's environment.
    ///
    /// # Errors
    /// There is no server, scripts may not read the variable, or it is not set.
    fn environment(&self, name: &str) -> Result<String, FuncError> {
        self.env().ok_or(FuncError::NoCall)?.environment(name)
    }
    /// The plan the script runs on.
    fn plan(&self) -> Option<&Arc<Dialplan>> {
        None
    }
    /// The channel whose script it is; `None` in `[globals]` and `pbx eval`.
    fn channel(&mut self) -> Option<&mut Channel> {
        None
    }
    /// What a function that takes its time has given before the step began.
    fn settled(&self, _ticket: Ticket) -> Option<String> {
        None
    }
    /// Whatever is computed from now on may be made of a secret.
    fn note_secret(&self) {}
    /// Whether the variable's present value is text that an administrator wrote, nothing of it from outside.
    fn is_written(&self, _name: &str) -> bool {
        false
    }
}

/// What went wrong while a value was computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueWarning {
    /// `7 / 0`
    #[error("division by zero in `$[ ]`")]
    DivisionByZero,
    /// `abc + 1`
    #[error("`{0}` is not a number, in `$[ ]`")]
    NotANumber(String),
    /// A syntax error, of which the reading of the file warned too.
    #[error("in `$[ ]`: {0}")]
    Expression(ExprErrorKind),
    /// `what(ever)`
    #[error("`{0}` is no function, in `$[ ]`")]
    NoFunction(String),
    /// A regular expression that is none.
    #[error("`{pattern}` is no regular expression: {error}")]
    Pattern {
        /// As it was put together.
        pattern: String,
        /// Why.
        error: RegexError,
    },
    /// A function.
    #[error("{func}: {error}")]
    Func {
        /// Its name.
        func: &'static str,
        /// What it says.
        error: FuncError,
    },
    /// A value above `MAX_VALUE_BYTES`.
    #[error("a value was cut to {MAX_VALUE_BYTES} bytes")]
    Cut,
}

/// Appends the value of one part.
pub(super) fn append(part: &Part, scope: &mut dyn Scope, out: &mut String) {
    match part {
        Part::Text(text) | Part::Value(text) => out.push_str(text),
        Part::Variable(variable) => out.push_str(&variable_value(variable, scope)),
        Part::Expression(expression) => expression.append(scope, out),
    }
}

/// Cuts a value that is too long.
pub(super) fn limit(mut value: String, scope: &mut dyn Scope) -> String {
    if value.len() > MAX_VALUE_BYTES {
        let end = (0..=MAX_VALUE_BYTES).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
        value.truncate(end);
        scope.warn(ValueWarning::Cut);
    }
    value
}

/// The value of a `${…}`.
pub(super) fn variable_value(variable: &Variable, scope: &mut dyn Scope) -> String {
    let whole = match &variable.what {
        What::Named(name) => match name.parts() {
            [Part::Text(name)] => scope.variable(name),
            _ => {
                let name = name.piece().value(scope);
                scope.variable(&name)
            }
        }
        .unwrap_or_default(),
        What::Call(func, args) => settled(variable, scope).unwrap_or_else(|| {
            func.read(scope, args.piece()).unwrap_or_else(|error| {
                scope.warn(ValueWarning::Func { func: func.name(), error });
                String::new()
            })
        }),
    };
    match &variable.slice {
        None => whole,
        Some(slice) => substring(&whole, slice_bounds(slice, scope)),
    }
}

/// What was read before this step began.
fn settled(variable: &Variable, scope: &dyn Scope) -> Option<String> {
    scope.settled(variable.ticket?)
}

/// Offset and length as scanf's `%d:%d` would read them: a number that something follows is the last one read.
fn slice_bounds(slice: &Slice, scope: &mut dyn Scope) -> (i64, Option<i64>) {
    let offset_text = slice.offset.piece().value(scope);
    let (Some(offset), rest) = scan_number(&offset_text) else { return (0, None) };
    let length = match &slice.length {
        Some(length) if rest.is_empty() => scan_number(&length.piece().value(scope)).0,
        _ => None,
    };
    (offset, length)
}

/// The substring that `offset` or `offset:length` asks for.
pub(super) fn sliced(whole: &str, bounds: &str) -> String {
    let (Some(offset), rest) = scan_number(bounds) else { return whole.to_owned() };
    let length = rest.strip_prefix(':').and_then(|length| scan_number(length).0);
    substring(whole, (offset, length))
}

/// A leading number after blanks, and what follows it.
fn scan_number(text: &str) -> (Option<i64>, &str) {
    let text = text.trim_start();
    let digits_at = usize::from(text.starts_with(['-', '+']));
    let digits = text.bytes().skip(digits_at).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits_at + digits);
    let saturated = if number.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    ((digits > 0).then(|| number.parse().unwrap_or(saturated)), rest)
}

/// Characters of `whole` from `offset` (from the end when negative, clamped to the start), `length` many; a negative
/// length leaves so many off the end.
fn substring(whole: &str, (offset, length): (i64, Option<i64>)) -> String {
    let count = i64::try_from(whole.chars().count()).unwrap_or(i64::MAX);
    let start = if offset < 0 { count.saturating_add(offset).max(0) } else { offset.min(count) };
    let end = match length {
        None => count,
        Some(length) if length < 0 => count.saturating_add(length),
        Some(length) => start.saturating_add(length).min(count),
    };
    let skip = usize::try_from(start).unwrap_or(usize::MAX);
    let take = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
    whole.chars().skip(skip).take(take).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::dialplan::template::Template;

    /// A scope of nothing but variables.
    #[derive(Default)]
    pub(crate) struct Variables {
        pub(crate) all: HashMap<String, String>,
        pub(crate) caller: CallerIdText,
        pub(crate) warnings: Vec<ValueWarning>,
    }

    impl Variables {
        pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
            let all = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Self { all, ..Self::default() }
        }
    }

    impl Scope for Variables {
        fn variable(&self, name: &str) -> Option<String> {
            self.all.get(name).cloned()
        }

        fn set_variable(&mut self, name: &str, value: String) {
            self.all.insert(name.to_owned(), value);
        }

        fn caller(&self) -> CallerIdText {
            self.caller.clone()
        }

        fn set_caller(&mut self, caller: CallerIdText) {
            self.caller = caller;
        }

        fn warn(&mut self, warning: ValueWarning) {
            self.warnings.push(warning);
        }
    }

    fn value(text: &str) -> String {
        let variables = [
            ("V", "0123456789"),
            ("EXTEN", "*1234178575309"),
            ("IND", "V"),
            ("OFF", "2"),
            ("V1", "one"),
            ("N", "1"),
            ("U", "äöü"),
        ];
        Template::compile(text).unwrap().piece().value(&mut Variables::with(&variables))
    }

    #[test]
    fn substrings_are_what_asterisk_gives() {
        for (text, expected) in [
            ("${V:1:2}", "12"),
            ("${V:1}", "123456789"),
            ("${V:-3}", "789"),
            ("${V:-3:2}", "78"),
            ("${V:0:-1}", "012345678"),
            ("${V:2:-3}", "23456"),
            ("${V:-4:-1}", "678"),
            ("${V:3:-9}", ""),
            ("${V:20}", ""),
            ("${V:-20}", "0123456789"),
            ("${V:-20:3}", "012"),
            ("${V:0:0}", ""),
            ("${V:5:0}", ""),
            ("${V:8:5}", "89"),
            ("${V:0:99}", "0123456789"),
            ("${V:}", "0123456789"),
            ("${V:x}", "0123456789"),
            ("${V::3}", "0123456789"),
            ("${V:2x:3}", "23456789"),
            ("${V: 2 : 3 }", "23456789"),
            ("${V:${OFF}}", "23456789"),
            ("${V:99999999999999999999}", ""),
            ("${U:1:1}", "ö"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn s100_exten_without_its_prefix_is_the_number() {
        assert_eq!(value("${EXTEN:4}"), "4178575309");
    }

    #[test]
    fn s156_names_nest_and_a_value_is_not_substituted_again() {
        assert_eq!(value("${${IND}}"), "0123456789");
        assert_eq!(value("${V${NOPE}}"), "0123456789");
        assert_eq!(value("${V${N}}"), "one");
        let mut scope = Variables::with(&[("A", "${B}"), ("B", "secret")]);
        assert_eq!(Template::compile("${A}").unwrap().piece().value(&mut scope), "${B}");
    }

    #[test]
    fn a_dollar_alone_is_text_and_nothing_escapes_a_substitution() {
        assert_eq!(value("$5 $$ $"), "$5 $$ $");
        assert_eq!(value("\\${V:0:1}"), "\\0");
        assert_eq!(value("${unknown}|${v}"), "|");
    }

    #[test]
    fn a_value_too_long_is_cut_with_a_warning() {
        let mut scope = Variables::with(&[("A", &"ä".repeat(MAX_VALUE_BYTES / 2))]);
        let template = Template::compile("x${A}${A}").unwrap();
        assert!(template.piece().value(&mut scope).len() <= MAX_VALUE_BYTES);
        assert_eq!(scope.warnings, [ValueWarning::Cut]);
    }

    proptest::proptest! {
        #[test]
        fn no_slice_makes_substitution_panic(offset in "[-+ 0-9x]{0,22}", length in "[-+ 0-9x]{0,22}", v in "\\PC{0,12}") {
            let template = Template::compile(&format!("${{V:{offset}:{length}}}")).unwrap();
            template.piece().value(&mut Variables::with(&[("V", &v)]));
        }
    }
}
