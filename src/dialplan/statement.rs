//! One line of a context, taken apart: `exten`, `same`, `include`, and an application with its arguments. Above: `parse`.

use super::app;
use super::brackets;
use super::context::Step;
use super::draft::Priority;
use super::problem::ProblemKind;
use super::template::Template;
use crate::config::nearest;

const KEYWORDS: [&str; 7] = ["eswitch", "exten", "ignorepat", "include", "lswitch", "same", "switch"];
const EXTEN_FORM: &str = "NAME,PRIORITY,Application(arguments)";
const SAME_FORM: &str = "PRIORITY,Application(arguments)";

/// A mistake and the byte at which it is, of the value or of what the function was given.
pub(super) type Wrong = (usize, ProblemKind);

/// What a line says. `name` is `None` for `same`; texts come with the byte of the value at which they start.
pub(super) enum Statement<'a> {
    /// With its times.
    Include(&'a str),
    IgnorePattern(&'a str),
    /// Keyword and value.
    Switch(&'a str, &'a str),
    Hint {
        name: Option<&'a str>,
        devices: (&'a str, usize),
    },
    Step {
        name: Option<&'a str>,
        priority: (Priority, usize),
        call: (&'a str, usize),
    },
    /// Known, allowed, and without effect here: what it is.
    Ignored(&'static str),
}

impl<'a> Statement<'a> {
    pub(super) fn parse(key: &'a str, value: &'a str) -> Result<Self, Wrong> {
        let incomplete = |keyword, form| (0, ProblemKind::Incomplete { keyword, form });
        let is = |word: &str| key.eq_ignore_ascii_case(word);
        if is("exten") {
            let incomplete = || incomplete("exten", EXTEN_FORM);
            let (name, rest) = split_name(value).ok_or_else(incomplete)?;
            let rest_at = value.len() - rest.len();
            return Self::priority(Some(name.trim()), rest, rest_at).unwrap_or_else(|| Err(incomplete()));
        }
        if is("same") {
            return Self::priority(None, value, 0).unwrap_or_else(|| Err(incomplete("same", SAME_FORM)));
        }
        if is("include") {
            return if value.is_empty() { Err(incomplete("include", "CONTEXT")) } else { Ok(Self::Include(value)) };
        }
        if is("ignorepat") {
            return Ok(Self::IgnorePattern(value));
        }
        if is("autohints") {
            return Ok(Self::Ignored("autohints"));
        }
        if is("switch") || is("eswitch") || is("lswitch") {
            return Ok(Self::Switch(key, value));
        }
        Err((0, unknown_keyword(key, &KEYWORDS)))
    }

    /// `PRIORITY,Application(arguments)` or `hint,devices`; `None` when a part is missing.
    fn priority(name: Option<&'a str>, rest: &'a str, rest_at: usize) -> Option<Result<Self, Wrong>> {
        let (priority, call) = rest.split_once(',')?;
        let call_at = rest_at + rest.len() - call.trim_start().len();
        let call = call.trim_start();
        if call.is_empty() {
            return None;
        }
        let priority = priority.trim();
        if priority.eq_ignore_ascii_case("hint") {
            return Some(Ok(Self::Hint { name, devices: (call, call_at) }));
        }
        let bad = || (rest_at, ProblemKind::BadPriority(priority.to_owned()));
        let parsed = Priority::parse(priority).ok_or_else(bad);
        Some(parsed.map(|priority| Self::Step { name, priority: (priority, rest_at), call: (call, call_at) }))
    }

    /// Its step, for lines that belong nowhere but may have mistakes of their own.
    pub(super) fn step(&self) -> Result<Option<Step>, Wrong> {
        let Self::Step { call: (text, at), .. } = self else { return Ok(None) };
        call(text).map(Some).map_err(|(offset, kind)| (at + offset, kind))
    }
}

/// The name and what is behind the first comma outside a set.
fn split_name(value: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut ends = |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    // a set that is never closed is the pattern's mistake, to be told as such
    value.find(&mut ends).map_or_else(
        || value.split_once(','),
        |at| value.split_at_checked(at).map(|(name, rest)| (name, rest.get(1..).unwrap_or_default())),
    )
}

/// `Application(arguments)` or `Application`.
pub(super) fn call(text: &str) -> Result<Step, Wrong> {
    let Some((name, _)) = text.split_once('(') else {
        return match text.split_once(',') {
            Some((name, _)) => Err((0, ProblemKind::NoBrackets(name.trim().to_owned()))),
            None => step(text.trim(), ""),
        };
    };
    let open_at = name.len();
    let inside = text.get(open_at..).unwrap_or_default();
    let end = brackets::closing(inside).map_err(|(offset, kind)| (open_at + offset, kind))?;
    let (args, trailing) = (inside.get(1..end).unwrap_or_default(), inside.get(end + 1..).unwrap_or_default());
    if !trailing.trim().is_empty() {
        let blanks = trailing.len() - trailing.trim_start().len();
        return Err((open_at + end + 1 + blanks, ProblemKind::Trailing(trailing.trim().to_owned())));
    }
    step(name.trim(), args).map_err(|(offset, kind)| (if offset > 0 { open_at + offset } else { 0 }, kind))
}

/// An application and its arguments; offsets count from 1 at the first byte of the arguments, 0 is the application.
pub(super) fn step(name: &str, args: &str) -> Result<Step, Wrong> {
    let Some(app) = app::find(name) else {
        let hint = nearest(name, app::TABLE.iter().map(|app| app.name())).map(str::to_owned);
        return Err((0, ProblemKind::UnknownApp { name: name.to_owned(), hint }));
    };
    let written = format!("{name}({args})").into_boxed_str();
    let args = Template::compile(args).map_err(|error| (1 + error.offset(), ProblemKind::Template(error)))?;
    app.check(&args.piece()).map_err(|why| (0, ProblemKind::Arguments { app: app.name(), why }))?;
    Ok(Step { app, args, span: None, written })
}

pub(super) fn unknown_keyword(found: &str, known: &[&'static str]) -> ProblemKind {
    let hint = nearest(found, known.iter().copied()).map(str::to_owned);
    ProblemKind::UnknownKeyword { found: found.chars().take(40).collect(), hint }
}
