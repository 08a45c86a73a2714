//! Files taken apart into `[sections]` and their lines: includes are pasted in, templates and `(+)` are settled.
//! Above: `parse`. Below: `lines`, `include`. What Asterisk's `main/config.c` does before any line has a meaning.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::include::{Absence, Directive, Loader, files, plain};
use super::lines::{Line, lines};
use super::problem::{IncludeError, PlanError, ProblemKind, Span};
use crate::config::nearest;

/// Files within files, as in Asterisk.
const MAX_DEPTH: usize = 10;
/// Files in all: includes of includes can be many.
const MAX_FILES: usize = 10_000;
/// Lines that come from templates: templates of templates can be many more than are written.
const MAX_INHERITED: usize = 1_000_000;

/// `[name]` and its lines.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) kind: SectionKind,
    /// Which of the files that were asked for it is in, or in a file included there; from 0.
    pub(super) layer: usize,
    pub(super) entries: Vec<Rc<Entry>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectionKind {
    Plain,
    /// `(!)`: there only for others to inherit from.
    Template,
    /// Its header is wrong: its lines are read for their own mistakes.
    Broken,
}

/// `key => value` and where it is.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    file: Arc<Path>,
    line: Line,
    key_end: usize,
    value_at: usize,
}

impl Entry {
    pub(super) fn key(&self) -> &str {
        self.line.text.get(..self.key_end).unwrap_or_default()
    }

    pub(super) fn value(&self) -> &str {
        self.line.text.get(self.value_at..).unwrap_or_default()
    }

    /// The byte of the line at which the value starts.
    pub(super) fn value_at(&self) -> usize {
        self.value_at
    }

    /// The place of a byte of the line.
    pub(super) fn span(&self, offset: usize) -> Span {
        Span { file: self.file.clone(), line: self.line.number, column: self.line.column(offset) }
    }
}

/// Everything that was read.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) all: Vec<Section>,
    pub(super) problems: Vec<PlanError>,
    pub(super) warnings: Vec<PlanError>,
    /// All files, those included too, in the order in which they were first read.
    pub(super) files: Vec<PathBuf>,
    layer: usize,
    inherited: usize,
    pasted: usize,
}

/// A mistake and the byte of the line at which it is.
type Wrong = (usize, ProblemKind);

/// The file being read: its name, and those in which it is included.
struct Reading<'a> {
    file: Arc<Path>,
    within: Option<&'a Self>,
    loader: &'a dyn Loader,
}

impl Reading<'_> {
    fn depth(&self) -> usize {
        1 + self.within.map_or(0, Reading::depth)
    }

    fn holds(&self, path: &Path) -> bool {
        plain(&self.file) == plain(path) || self.within.is_some_and(|within| within.holds(path))
    }

    fn at(&self, line: &Line, offset: usize) -> Span {
        Span { file: self.file.clone(), line: line.number, column: line.column(offset) }
    }
}

impl Sections {
    /// Reads one of the files that were asked for.
    pub(super) fn read(&mut self, path: &Path, text: &str, loader: &dyn Loader) {
        let file = Arc::from(path);
        self.note(path);
        self.text(text, &Reading { file, within: None, loader }, None);
        self.layer += 1;
    }

    fn note(&mut self, path: &Path) {
        if !self.files.iter().any(|file| file == path) {
            self.files.push(path.to_owned());
        }
    }

    fn text(&mut self, text: &str, reading: &Reading<'_>, mut section: Option<usize>) {
        let (lines, unclosed) = lines(text);
        for line in lines {
            if let Err(problem) = self.line(line, reading, &mut section) {
                self.problems.push(*problem);
            }
        }
        if let Some((line, column)) = unclosed {
            let span = Span { file: reading.file.clone(), line, column };
            self.problems.push(PlanError { span, kind: ProblemKind::UnclosedComment });
        }
    }

    fn line(&mut self, line: Line, reading: &Reading<'_>, section: &mut Option<usize>) -> Result<(), Box<PlanError>> {
        let wrong = |line: &Line, (offset, kind)| Box::new(PlanError { span: reading.at(line, offset), kind });
        if line.text.starts_with('[') {
            let found = self.header(&line.text);
            *section = Some(match &found {
                Ok(index) => *index,
                Err(_) => self.push(String::new(), SectionKind::Broken),
            });
            return found.map(|_| ()).map_err(|error| wrong(&line, error));
        }
        if line.text.starts_with('#') {
            let pasted = self.include(&line.text, reading, *section);
            return pasted.map_err(|(offset, error)| wrong(&line, (offset, ProblemKind::Include(error))));
        }
        let Some((key_end, equals, value_at)) = assignment(&line.text) else {
            let start = line.text.chars().take(40).collect();
            return Err(wrong(&line, (0, ProblemKind::NoStatement(start))));
        };
        let Some(section) = section.and_then(|index| self.all.get_mut(index)) else {
            return Err(wrong(&line, (0, ProblemKind::OutsideContext)));
        };
        let entry = Entry { file: reading.file.clone(), line, key_end, value_at };
        match equals {
            Equals::Sets => section.entries.push(Rc::new(entry)),
            Equals::Appends => section.append(entry),
        }
        Ok(())
    }

    fn push(&mut self, name: String, kind: SectionKind) -> usize {
        self.all.push(Section { name, kind, layer: self.layer, entries: Vec::new() });
        self.all.len() - 1
    }

    /// `[name]`, `[name](!)`, `[name](template,…)`, `[name](+)`: the section whose lines follow.
    fn header(&mut self, text: &str) -> Result<usize, Wrong> {
        let Some((name, rest)) = text.get(1..).and_then(|inside| inside.split_once(']')) else {
            return Err((0, ProblemKind::UnclosedHeader));
        };
        if name.is_empty() {
            return Err((0, ProblemKind::NoName));
        }
        let rest_at = text.len() - rest.trim_start().len();
        let mut section = None;
        let mut kind = SectionKind::Plain;
        let mut entries = Vec::new();
        for (option, at) in options(rest.trim()).ok_or((rest_at, ProblemKind::HeaderOption(rest.trim().to_owned())))? {
            match option {
                "!" => kind = SectionKind::Template,
                "+" => section = Some(self.to_add_to(name)?),
                base => entries.extend(self.template(base).map_err(|kind| (rest_at + at, kind))?),
            }
        }
        // what is added to an earlier file's section still counts as this file's
        let here = section.filter(|index| self.all.get(*index).is_some_and(|section| section.layer == self.layer));
        let index = here.unwrap_or_else(|| self.push(name.to_owned(), SectionKind::Plain));
        if let Some(section) = self.all.get_mut(index) {
            section.entries.append(&mut entries);
            section.kind = if kind == SectionKind::Template { kind } else { section.kind };
        }
        Ok(index)
    }

    /// The first section of this name that is no template.
    fn to_add_to(&self, name: &str) -> Result<usize, Wrong> {
        let plain = || self.all.iter().enumerate().filter(|(_, section)| section.kind == SectionKind::Plain);
        let mut same = plain().filter(|(_, section)| section.name == name).map(|(index, _)| index).peekable();
        let first = same.peek().copied();
        let here = same.find(|index| self.all.get(*index).is_some_and(|section| section.layer == self.layer));
        here.or(first).ok_or_else(|| {
            let hint = nearest(name, plain().map(|(_, section)| section.name.as_str())).map(str::to_owned);
            (1, ProblemKind::NothingToAddTo { name: name.to_owned(), hint })
        })
    }

    /// The lines to inherit from the first section of this name.
    fn template(&mut self, name: &str) -> Result<Vec<Rc<Entry>>, ProblemKind> {
        let known = || self.all.iter().filter(|section| section.kind != SectionKind::Broken);
        let Some(base) = known().find(|section| section.name == name) else {
            let hint = nearest(name, known().map(|section| section.name.as_str())).map(str::to_owned);
            return Err(ProblemKind::UnknownTemplate { name: name.to_owned(), hint });
        };
        self.inherited += base.entries.len();
        if self.inherited > MAX_INHERITED {
            return Err(ProblemKind::TooManyInherited(MAX_INHERITED));
        }
        Ok(base.entries.clone())
    }

    /// Pastes files in. Afterwards lines belong again to the section they belonged to before.
    fn include(
        &mut self,
        line: &str,
        reading: &Reading<'_>,
        section: Option<usize>,
    ) -> Result<(), (usize, IncludeError)> {
        let Directive { absence, name: (name, name_at) } = Directive::parse(line)?;
        let wrong = |error| Err((name_at, error));
        if reading.depth() >= MAX_DEPTH {
            return wrong(IncludeError::TooDeep(MAX_DEPTH));
        }
        let folder = reading.file.parent().unwrap_or(Path::new(""));
        let paths = files(name, folder, reading.loader);
        if paths.is_empty() && absence == Absence::IsWrong {
            return wrong(IncludeError::NoMatch(name.to_owned()));
        }
        for path in paths {
            if reading.holds(&path) {
                return wrong(IncludeError::Circle(path));
            }
            self.pasted += 1;
            if self.pasted > MAX_FILES {
                return wrong(IncludeError::TooMany(MAX_FILES));
            }
            match reading.loader.read(&path) {
                Ok(bytes) => self.paste(&path, bytes, reading, section),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && absence == Absence::IsFine => {}
                Err(error) => return wrong(IncludeError::Unreadable { path, why: error.to_string() }),
            }
        }
        Ok(())
    }

    fn paste(&mut self, path: &Path, bytes: Vec<u8>, within: &Reading<'_>, section: Option<usize>) {
        self.note(path);
        let reading = Reading { file: Arc::from(path), within: Some(within), loader: within.loader };
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..valid).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let span = Span { file: reading.file.clone(), line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
            self.warnings.push(PlanError { span, kind: ProblemKind::NotUtf8 });
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        self.text(&text, &reading, section);
    }
}

impl Section {
    /// `key += more`: the last value of the key grows.
    fn append(&mut self, entry: Entry) {
        let Some(last) = self.entries.iter_mut().rev().find(|earlier| earlier.key() == entry.key()) else {
            self.entries.push(Rc::new(entry));
            return;
        };
        let mut grown = (**last).clone();
        grown.line.text.push_str(entry.value());
        *last = Rc::new(grown);
    }
}

/// What is between the brackets after `[name]`, each with its byte; `None` when it is not brackets.
fn options(rest: &str) -> Option<Vec<(&str, usize)>> {
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let mut at = 1;
    let inside = rest.strip_prefix('(')?.strip_suffix(')')?;
    let options = inside.split(',').map(|option| {
        let blanks = option.len() - option.trim_start().len();
        let found = (option.trim(), at + blanks);
        at += option.len() + 1;
        found
    });
    Some(options.filter(|(option, _)| !option.is_empty()).collect())
}

enum Equals {
    Sets,
    Appends,
}

/// `key => value`, `key = value` or `key += value`: the bytes at which the key ends and the value starts.
fn assignment(text: &str) -> Option<(usize, Equals, usize)> {
    let (key, value) = text.split_once('=')?;
    let (key, equals) = match key.strip_suffix('+') {
        Some(key) => (key, Equals::Appends),
        None => (key, Equals::Sets),
    };
    let value = value.strip_prefix('>').unwrap_or(value).trim_start();
    let key_end = key.trim_end().len();
    (key_end > 0).then_some((key_end, equals, text.len() - value.len()))
}
