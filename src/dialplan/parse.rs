//! Reads `extensions.conf` files into a [`Dialplan`]; every mistake of every file is collected. Below: `lines`, `draft`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::app;
use super::brackets;
use super::context::{Dialplan, Step};
use super::draft::{Draft, Priority};
use super::lines::{Line, lines};
use super::problem::{PlanError, ProblemKind, Span};
use super::template::Template;
use crate::config::nearest;

const KEYWORDS: [&str; 3] = ["exten", "include", "same"];
const EXTEN_FORM: &str = "NAME,PRIORITY,Application(arguments)";
const SAME_FORM: &str = "PRIORITY,Application(arguments)";
/// Keys of `[general]` that ask for what is done here anyway.
const GENERAL: [&str; 6] =
    ["autofallthrough", "clearglobalvars", "extenpatternmatchnew", "priorityjumping", "static", "writeprotect"];

impl Dialplan {
    /// Reads files in order. In a later file an extension replaces the one of an earlier file; everything else adds.
    ///
    /// # Errors
    /// All mistakes of all files, in their order.
    pub fn parse(files: &[(PathBuf, String)]) -> Result<Self, Vec<PlanError>> {
        let mut reader = Reader::default();
        for (path, text) in files {
            reader.file(Arc::from(path.as_path()), text);
        }
        let Reader { draft, mut problems, mut warnings, .. } = reader;
        let plan = draft.finish(&mut problems);
        if problems.is_empty() {
            warnings.sort_by(|a, b| a.span.cmp(&b.span));
            return Ok(Self { warnings, ..plan });
        }
        // within a file by line, files as given
        let order = |problem: &PlanError| {
            let file = files.iter().position(|(path, _)| path.as_path() == &*problem.span.file);
            (file, problem.span.line, problem.span.column)
        };
        problems.sort_by_key(order);
        Err(problems)
    }

    /// One step that is not in a file, as `pbx originate` gives it.
    ///
    /// # Errors
    /// The application is unknown or its arguments are wrong.
    pub fn application(&self, name: &str, args: &str) -> Result<Step, ProblemKind> {
        step(name, args, 0).map_err(|(_, kind)| kind)
    }
}

/// Where the lines being read belong.
#[derive(Default)]
enum Section {
    /// Before the first `[context]`.
    #[default]
    None,
    /// In one whose header is wrong: its lines are read for their own mistakes.
    Unknown,
    General,
    Globals,
    Context(String),
}

#[derive(Default)]
struct Reader {
    draft: Draft,
    section: Section,
    problems: Vec<PlanError>,
    warnings: Vec<PlanError>,
}

/// A mistake and the byte of the line at which it is.
type Wrong = (usize, ProblemKind);

impl Reader {
    fn file(&mut self, file: Arc<Path>, text: &str) {
        self.section = Section::None;
        self.draft.begin_file();
        let (lines, unclosed) = lines(text);
        for line in &lines {
            let at = |offset| Span { file: file.clone(), line: line.number, column: line.column(offset) };
            if let Err((offset, kind)) = self.line(line, &at) {
                self.problems.push(PlanError { span: at(offset), kind });
            }
        }
        if let Some((line, column)) = unclosed {
            self.problems.push(PlanError { span: Span { file, line, column }, kind: ProblemKind::UnclosedComment });
        }
    }

    fn line(&mut self, line: &Line, at: &dyn Fn(usize) -> Span) -> Result<(), Wrong> {
        let text = line.text.as_str();
        if text.starts_with('[') {
            self.section = Section::Unknown;
            self.section = self.header(text)?;
            return Ok(());
        }
        let Some((key, value, value_at)) = assignment(text) else {
            return Err((0, ProblemKind::NoStatement(text.chars().take(40).collect())));
        };
        match &self.section {
            Section::None => Err((0, ProblemKind::OutsideContext)),
            Section::General => {
                if !GENERAL.contains(&key) {
                    self.warnings.push(PlanError { span: at(0), kind: unknown_keyword(key, &GENERAL) });
                }
                Ok(())
            }
            Section::Globals => {
                let template = Template::compile(value)
                    .map_err(|error| (value_at + error.offset(), ProblemKind::Template(error)))?;
                self.warn_of_expressions(&template, &|offset| at(value_at + offset));
                self.draft.global(key.to_owned(), template);
                Ok(())
            }
            Section::Unknown => statement(key, value, value_at).map(|_| ()),
            Section::Context(context) => {
                let context = context.clone();
                match statement(key, value, value_at)? {
                    Statement::Include(name) => self.draft.include(&context, name, at(value_at)),
                    Statement::Step { name, priority, step: (offset, step) } => {
                        let step = Step { span: Some(at(offset)), ..step };
                        let call = text.get(offset..).unwrap_or_default();
                        let args_at = offset + call.find('(').map_or(0, |open| open + 1);
                        self.warn_of_expressions(&step.args, &|offset| at(args_at + offset));
                        self.draft
                            .step(&context, name.as_deref(), (priority, step), &at(value_at))
                            .map_err(|(offset, kind)| (value_at + offset, kind))?;
                    }
                    Statement::Ignored(what) => {
                        let kind = ProblemKind::Unsupported(what.to_owned());
                        self.warnings.push(PlanError { span: at(0), kind });
                    }
                }
                Ok(())
            }
        }
    }

    fn warn_of_expressions(&mut self, template: &Template, at: &dyn Fn(usize) -> Span) {
        for problem in template.problems() {
            let kind = ProblemKind::Expression(problem.clone());
            self.warnings.push(PlanError { span: at(problem.offset), kind });
        }
    }

    /// `[name]`, `[name](+)`
    fn header(&mut self, text: &str) -> Result<Section, Wrong> {
        let Some((name, rest)) = text.get(1..).and_then(|inside| inside.split_once(']')) else {
            return Err((0, ProblemKind::UnclosedHeader));
        };
        let rest_at = text.len() - rest.len();
        let adds = match rest.trim() {
            "" => false,
            "(+)" => true,
            other => {
                let option = other.trim_matches(['(', ')']).to_owned();
                return Err((rest_at, ProblemKind::HeaderOption(option)));
            }
        };
        match name {
            "" => Err((0, ProblemKind::NoName)),
            "general" => Ok(Section::General),
            "globals" => Ok(Section::Globals),
            _ if adds && !self.draft.has_context(name) => {
                let hint = nearest(name, self.draft.context_names()).map(str::to_owned);
                Err((1, ProblemKind::NothingToAddTo { name: name.to_owned(), hint }))
            }
            _ => {
                self.draft.context(name);
                Ok(Section::Context(name.to_owned()))
            }
        }
    }
}

/// `key => value` or `key = value`, with the byte at which the value starts.
fn assignment(text: &str) -> Option<(&str, &str, usize)> {
    let (key, value) = text.split_once('=')?;
    let value = value.strip_prefix('>').unwrap_or(value).trim_start();
    let key = key.trim_end();
    (!key.is_empty()).then_some((key, value, text.len() - value.len()))
}

enum Statement {
    Include(String),
    /// `name` is `None` for `same`; the step comes with the byte of the line at which it starts.
    Step {
        name: Option<String>,
        priority: Priority,
        step: (usize, Step),
    },
    /// Known, allowed, and without effect here: what it is.
    Ignored(&'static str),
}

fn statement(key: &str, value: &str, value_at: usize) -> Result<Statement, Wrong> {
    match key.to_ascii_lowercase().as_str() {
        "exten" => {
            let incomplete = || (value_at, ProblemKind::Incomplete { keyword: "exten", form: EXTEN_FORM });
            let (name, rest) = value.split_once(',').ok_or_else(incomplete)?;
            let rest_at = value_at + name.len() + 1;
            extension_step(Some(name.trim()), rest, rest_at).map_err(|wrong| wrong.unwrap_or_else(incomplete))
        }
        "same" => {
            let incomplete = || (value_at, ProblemKind::Incomplete { keyword: "same", form: SAME_FORM });
            extension_step(None, value, value_at).map_err(|wrong| wrong.unwrap_or_else(incomplete))
        }
        "include" if value.is_empty() => {
            Err((value_at, ProblemKind::Incomplete { keyword: "include", form: "CONTEXT" }))
        }
        "include" if value.contains([',', '|']) => {
            Err((value_at, ProblemKind::Unsupported("include at certain times".to_owned())))
        }
        "include" => Ok(Statement::Include(value.to_owned())),
        "ignorepat" => Ok(Statement::Ignored("ignorepat")),
        "switch" | "eswitch" | "lswitch" => Err((0, ProblemKind::Unsupported(key.to_owned()))),
        _ => Err((0, unknown_keyword(key, &KEYWORDS))),
    }
}

/// `PRIORITY,Application(arguments)`; the error is `None` when a part is missing.
fn extension_step(name: Option<&str>, rest: &str, rest_at: usize) -> Result<Statement, Option<Wrong>> {
    let (priority, call) = rest.split_once(',').ok_or(None)?;
    if priority.trim().eq_ignore_ascii_case("hint") {
        return Ok(Statement::Ignored("hint"));
    }
    let call_at = rest_at + priority.len() + 1;
    let blanks = call.len() - call.trim_start().len();
    let (call, call_at) = (call.trim_start(), call_at + blanks);
    if call.is_empty() {
        return Err(None);
    }
    let parsed = Priority::parse(priority.trim());
    let priority = parsed.ok_or_else(|| (rest_at, ProblemKind::BadPriority(priority.trim().to_owned())))?;
    let step = call_step(call, call_at)?;
    Ok(Statement::Step { name: name.map(str::to_owned), priority, step: (call_at, step) })
}

/// `Application(arguments)` or `Application`.
fn call_step(call: &str, call_at: usize) -> Result<Step, Wrong> {
    let Some((name, _)) = call.split_once('(') else {
        return match call.split_once(',') {
            Some((name, _)) => Err((call_at, ProblemKind::NoBrackets(name.trim().to_owned()))),
            None => step(call.trim(), "", call_at),
        };
    };
    let open_at = call_at + name.len();
    let inside = call.get(name.len()..).unwrap_or_default();
    let end = brackets::closing(inside).map_err(|(offset, kind)| (open_at + offset, kind))?;
    let (args, trailing) = (inside.get(1..end).unwrap_or_default(), inside.get(end + 1..).unwrap_or_default());
    if !trailing.trim().is_empty() {
        let blanks = trailing.len() - trailing.trim_start().len();
        return Err((open_at + end + 1 + blanks, ProblemKind::Trailing(trailing.trim().to_owned())));
    }
    step_at(name.trim(), (args, open_at + 1), call_at)
}

fn step(name: &str, args: &str, call_at: usize) -> Result<Step, Wrong> {
    step_at(name, (args, call_at), call_at)
}

fn step_at(name: &str, (args, args_at): (&str, usize), call_at: usize) -> Result<Step, Wrong> {
    let Some(app) = app::find(name) else {
        let hint = nearest(name, app::TABLE.iter().map(|app| app.name())).map(str::to_owned);
        return Err((call_at, ProblemKind::UnknownApp { name: name.to_owned(), hint }));
    };
    let args = Template::compile(args).map_err(|error| (args_at + error.offset(), ProblemKind::Template(error)))?;
    app.check(&args.piece()).map_err(|why| (call_at, ProblemKind::Arguments { app: app.name(), why }))?;
    Ok(Step { app, args, span: None })
}

fn unknown_keyword(found: &str, known: &[&'static str]) -> ProblemKind {
    let hint = nearest(found, known.iter().copied()).map(str::to_owned);
    ProblemKind::UnknownKeyword { found: found.chars().take(40).collect(), hint }
}
