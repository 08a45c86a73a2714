//! Reads `extensions.conf` files into a [`Dialplan`]; every mistake of every file is collected.
//! Below: `sections` takes files apart, `statement` their lines, `draft` puts them together.

use std::collections::HashMap;
use std::path::PathBuf;

use super::absent;
use super::context::{Dialplan, Hint, Step};
use super::draft::Draft;
use super::include::{Given, Loader};
use super::problem::{PlanError, ProblemKind, Span};
use super::sections::{Entry, Section, SectionKind, Sections};
use super::statement::{self, Statement, Wrong};
use super::template::Template;
use super::times::TimeRange;
use super::vars::{Scope, ValueWarning};
use crate::config::CallerIdText;

/// Keys of `[general]` that ask for what is done here anyway, or for what changes nothing.
const GENERAL: [&str; 9] = [
    "autofallthrough",
    "clearglobalvars",
    "extenpatternmatchnew",
    "lockmacro",
    "overrideswitch",
    "priorityjumping",
    "static",
    "userscontext",
    "writeprotect",
];

impl Dialplan {
    /// Reads files that include no others. In a later file an extension replaces the one of an earlier file; everything
    /// else adds.
    ///
    /// # Errors
    /// All mistakes of all files, in their order.
    pub fn parse(files: &[(PathBuf, String)]) -> Result<Self, Vec<PlanError>> {
        Self::load(files, &Given(&[]))
    }

    /// Reads files, and through `loader` those that they `#include`; these are as if pasted in.
    ///
    /// # Errors
    /// All mistakes of all files, in their order.
    pub fn load(files: &[(PathBuf, String)], loader: &dyn Loader) -> Result<Self, Vec<PlanError>> {
        let mut sections = Sections::default();
        for (path, text) in files {
            sections.read(path, text, loader);
        }
        let Sections { all, problems, warnings, files, .. } = sections;
        let mut reader = Reader { problems, warnings, ..Reader::default() };
        // names of extensions may hold any of them
        all.iter().filter(|section| is_globals(section)).for_each(|section| reader.globals(section));
        all.iter().filter(|section| !is_globals(section)).for_each(|section| reader.section(section));
        let Reader { draft, mut problems, mut warnings, .. } = reader;
        let plan = draft.finish(&mut warnings);
        let ranks: HashMap<_, _> = files.iter().enumerate().map(|(rank, path)| (path.as_path(), rank)).collect();
        let order =
            |problem: &PlanError| (ranks.get(&*problem.span.file).copied(), problem.span.line, problem.span.column);
        for list in [&mut problems, &mut warnings] {
            list.sort_by_key(order);
            // a template's line is wrong wherever it is inherited
            list.dedup();
        }
        if problems.is_empty() { Ok(Self { warnings, files, ..plan }) } else { Err(problems) }
    }

    /// One step that is not in a file, as `pbx originate` gives it.
    ///
    /// # Errors
    /// The application is unknown or its arguments are wrong.
    pub fn application(&self, name: &str, args: &str) -> Result<Step, ProblemKind> {
        statement::step(name, args).map_err(|(_, kind)| kind)
    }
}

fn is_globals(section: &Section) -> bool {
    section.kind == SectionKind::Plain && section.name.eq_ignore_ascii_case("globals")
}

#[derive(Default)]
struct Reader {
    draft: Draft,
    globals: Globals,
    problems: Vec<PlanError>,
    warnings: Vec<PlanError>,
}

impl Reader {
    fn globals(&mut self, section: &Section) {
        for entry in &section.entries {
            match Template::compile(entry.value()) {
                Ok(template) => {
                    let value = template.piece().value(&mut self.globals);
                    self.globals.0.insert(entry.key().to_owned(), value);
                    self.warn_of_absent(entry, (entry.value(), 0));
                    self.warn_of_expressions(&template, &|offset| entry.span(entry.value_at() + offset));
                    self.draft.globals.push((entry.key().to_owned(), template));
                }
                Err(error) => self.wrong(entry, (entry.value_at() + error.offset(), ProblemKind::Template(error))),
            }
        }
    }

    fn section(&mut self, section: &Section) {
        let context = section.kind == SectionKind::Plain;
        if context && section.name.eq_ignore_ascii_case("general") {
            for entry in section.entries.iter().filter(|entry| !GENERAL.contains(&entry.key())) {
                let kind = statement::unknown_keyword(entry.key(), &GENERAL);
                self.warnings.push(PlanError { span: entry.span(0), kind });
            }
            return;
        }
        if context {
            self.draft.section(section.layer, &section.name);
        }
        for entry in &section.entries {
            let read = Statement::parse(entry.key(), entry.value());
            let done = match read {
                Ok(statement) if context => self.statement(entry, statement),
                Ok(statement) => statement.step().map(|_| ()),
                Err(wrong) => Err(wrong),
            };
            if let Err((offset, kind)) = done {
                // a keyword's own mistake is at the start of the line
                let key = matches!(kind, ProblemKind::UnknownKeyword { .. });
                self.wrong(entry, (if key { 0 } else { entry.value_at() + offset }, kind));
            }
        }
    }

    fn wrong(&mut self, entry: &Entry, (offset, kind): Wrong) {
        self.problems.push(PlanError { span: entry.span(offset), kind });
    }

    fn warn(&mut self, span: Span, kind: ProblemKind) {
        self.warnings.push(PlanError { span, kind });
    }

    /// Puts a line of a context into the draft. Offsets of errors are within the value.
    fn statement(&mut self, entry: &Entry, statement: Statement<'_>) -> Result<(), Wrong> {
        match statement {
            Statement::Include(written) => self.include(entry, written)?,
            Statement::IgnorePattern(pattern) => {
                let pattern = self.substituted(pattern)?;
                self.draft.ignore(pattern);
            }
            Statement::Switch(keyword, written) => {
                self.warn(entry.span(0), ProblemKind::Switch(keyword.to_owned()));
                self.draft.switch(written);
            }
            Statement::Ignored(what) => self.warn(entry.span(0), ProblemKind::Unsupported(what.to_owned())),
            Statement::Hint { name, devices: (devices, at) } => {
                self.extension(name)?;
                let compiled =
                    Template::compile(devices).map_err(|error| (at + error.offset(), ProblemKind::Template(error)))?;
                let span = entry.span(entry.value_at() + at);
                let hint = Hint { devices: compiled, written: devices.into(), span };
                self.draft.hint(hint).map_err(|kind| (0, kind))?;
            }
            Statement::Step { name, priority: (priority, priority_at), call: (call, call_at) } => {
                self.extension(name)?;
                // its number counts for the next line even when its application is wrong
                let (number, counts_on) = self.draft.number(&priority).map_err(|kind| match kind {
                    ProblemKind::BadPriority(_) => (priority_at, kind),
                    kind => (0, kind),
                })?;
                if let Some(kind) = counts_on {
                    self.warn(entry.span(entry.value_at() + priority_at), kind);
                }
                let step = statement::call(call).map_err(|(offset, kind)| (call_at + offset, kind))?;
                let step = Step { span: Some(entry.span(entry.value_at() + call_at)), ..step };
                self.warn_of_absent_app(&step);
                self.warn_of_risks(&step);
                self.warn_of_absent(entry, (call, call_at));
                let args_at = entry.value_at() + call_at + call.find('(').map_or(0, |open| open + 1);
                self.warn_of_expressions(&step.args, &|offset| entry.span(args_at + offset));
                self.draft.step(number, priority, step).map_err(|kind| (0, kind))?;
            }
        }
        Ok(())
    }

    /// `exten` names an extension; `same` stays with the one above.
    fn extension(&mut self, name: Option<&str>) -> Result<(), Wrong> {
        let Some(name) = name else { return Ok(()) };
        if !name.contains('$') {
            return self.draft.extension(name);
        }
        let name = self.substituted(name)?;
        self.draft.extension(&name).map_err(|(_, kind)| (0, kind))
    }

    fn include(&mut self, entry: &Entry, written: &str) -> Result<(), Wrong> {
        let written = self.substituted(written)?;
        let (name, times) = match written.split_once([',', '|']) {
            Some((name, times)) => (name.trim(), Some(times)),
            None => (written.as_str(), None),
        };
        let wrong = |error| {
            let times_at = written.len() - times.map_or(0, str::len);
            (times_at, ProblemKind::Times { name: name.to_owned(), error })
        };
        let range = times.map(TimeRange::parse).transpose().map_err(wrong)?;
        if !self.draft.include(&written, range, entry.span(entry.value_at())) {
            self.warn(entry.span(entry.value_at()), ProblemKind::IncludedTwice(written.clone()));
        }
        Ok(())
    }

    /// With the values that `[globals]` has at this time.
    fn substituted(&mut self, text: &str) -> Result<String, Wrong> {
        if !text.contains('$') {
            return Ok(text.to_owned());
        }
        let template = Template::compile(text).map_err(|error| (error.offset(), ProblemKind::Template(error)))?;
        Ok(template.piece().value(&mut self.globals))
    }

    fn warn_of_expressions(&mut self, template: &Template, at: &dyn Fn(usize) -> Span) {
        for problem in template.problems() {
            self.warn(at(problem.offset), ProblemKind::Expression(problem.clone()));
        }
    }

    fn warn_of_absent_app(&mut self, step: &Step) {
        let (Some(why), Some(span)) = (absent::why_app(step.app.name()), step.span.clone()) else { return };
        self.warn(span, ProblemKind::AbsentApp { name: step.app.name().to_owned(), why });
    }

    fn warn_of_risks(&mut self, step: &Step) {
        let Some(span) = &step.span else { return };
        for risk in step.app.risks(&step.args.piece()) {
            self.warn(span.clone(), ProblemKind::Risk { app: step.app.name(), risk });
        }
    }

    /// A text and the byte of the value at which it starts.
    fn warn_of_absent(&mut self, entry: &Entry, (text, at): (&str, usize)) {
        for (name, why, offset) in absent::functions_in(text) {
            let span = entry.span(entry.value_at() + at + offset);
            self.warn(span, ProblemKind::AbsentFunc { name: name.to_owned(), why });
        }
    }
}

/// The scope in which names of extensions are substituted: the file's `[globals]`.
#[derive(Default)]
struct Globals(HashMap<String, String>);

impl Scope for Globals {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn set_variable(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    fn caller(&self) -> CallerIdText {
        CallerIdText::default()
    }

    fn set_caller(&mut self, _caller: CallerIdText) {}

    fn warn(&mut self, warning: ValueWarning) {
        tracing::debug!(%warning, "while reading a dialplan");
    }
}
