//! A dialplan while its files are read: relative priorities, double definitions and overlays are settled here.
//! Above: `parse`. Makes `context`.

use std::collections::{BTreeMap, HashMap};

use super::context::{Context, Dialplan, Extension, Step};
use super::pattern::{MAX_NAME_BYTES, Pattern, PatternTree};
use super::problem::{PlanError, ProblemKind, Span};
use super::template::Template;
use crate::config::nearest;

#[derive(Default)]
pub(super) struct Draft {
    /// Number of the file being read.
    file: usize,
    contexts: HashMap<String, ContextDraft>,
    globals: Vec<(String, Template)>,
}

#[derive(Default)]
struct ContextDraft {
    extensions: Vec<ExtensionDraft>,
    by_key: HashMap<Key, usize>,
    includes: Vec<(String, Span)>,
    /// The extension that `same` continues.
    current: Option<usize>,
}

/// What makes two names the same extension.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Literal(String),
    Pattern(Pattern),
}

struct ExtensionDraft {
    name: String,
    key: Key,
    file: usize,
    steps: BTreeMap<u32, Step>,
    labels: HashMap<String, u32>,
    last: Option<u32>,
}

/// A priority as written.
pub(super) struct Priority {
    base: Base,
    label: Option<String>,
    text: String,
}

#[derive(Clone, Copy)]
enum Base {
    Number(u32),
    /// `n`, `n+5`: so many after the one before.
    Next(u32),
    /// `s`: the one before.
    Same,
}

impl Priority {
    /// `5`, `n`, `n(label)`, `n+5(label)`, `s`, `s+1`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, label) = match text.split_once('(') {
            Some((number, label)) => (number.trim(), Some(label.strip_suffix(')')?.trim().to_owned())),
            None => (text, None),
        };
        if label.as_deref() == Some("") {
            return None;
        }
        let (word, plus) = match number.split_once('+') {
            Some((word, plus)) => (word.trim(), plus.trim().parse().ok()?),
            None => (number, 0),
        };
        let base = match word {
            "n" | "N" | "next" => Base::Next(if plus == 0 { 1 } else { plus }),
            "s" | "S" | "same" if plus == 0 => Base::Same,
            "s" | "S" | "same" => Base::Next(plus),
            digits => Base::Number(digits.parse::<u32>().ok()?.checked_add(plus).filter(|priority| *priority > 0)?),
        };
        Some(Self { base, label, text: text.to_owned() })
    }
}

impl Draft {
    pub(super) fn begin_file(&mut self) {
        self.file += 1;
        self.contexts.values_mut().for_each(|context| context.current = None);
    }

    pub(super) fn has_context(&self, name: &str) -> bool {
        self.contexts.contains_key(name)
    }

    pub(super) fn context_names(&self) -> impl Iterator<Item = &str> {
        self.contexts.keys().map(String::as_str)
    }

    pub(super) fn context(&mut self, name: &str) {
        self.contexts.entry(name.to_owned()).or_default().current = None;
    }

    pub(super) fn global(&mut self, name: String, value: Template) {
        self.globals.push((name, value));
    }

    pub(super) fn include(&mut self, context: &str, name: String, span: Span) {
        self.contexts.entry(context.to_owned()).or_default().includes.push((name, span));
    }

    /// Adds a step to the extension `name`, or to the one above when there is no name. The error's offset is within the
    /// line's value.
    pub(super) fn step(
        &mut self,
        context: &str,
        name: Option<&str>,
        (priority, step): (Priority, Step),
        span: &Span,
    ) -> Result<(), (usize, ProblemKind)> {
        let file = self.file;
        let context = self.contexts.entry(context.to_owned()).or_default();
        let index = match name {
            Some(name) => context.extension(name, file)?,
            None => context.current.ok_or((0, ProblemKind::SameOfNothing))?,
        };
        context.current = Some(index);
        let Some(extension) = context.extensions.get_mut(index) else { return Ok(()) };
        extension.add(priority, step, span)
    }

    /// The finished dialplan; includes of contexts that are nowhere are added to the problems.
    pub(super) fn finish(self, problems: &mut Vec<PlanError>) -> Dialplan {
        for (name, span) in self.contexts.values().flat_map(|context| &context.includes) {
            if !self.contexts.contains_key(name) {
                let hint = nearest(name, self.context_names()).map(str::to_owned);
                let kind = ProblemKind::UnknownInclude { name: name.clone(), hint };
                problems.push(PlanError { span: span.clone(), kind });
            }
        }
        let contexts = self.contexts.into_iter().map(|(name, context)| (name, context.finish()));
        Dialplan { contexts: contexts.collect(), globals: self.globals, warnings: Vec::new() }
    }
}

impl ContextDraft {
    fn extension(&mut self, name: &str, file: usize) -> Result<usize, (usize, ProblemKind)> {
        let key = key(name)?;
        if let Some(&index) = self.by_key.get(&key) {
            if let Some(extension) = self.extensions.get_mut(index).filter(|extension| extension.file != file) {
                *extension = ExtensionDraft::new(name, key, file);
            }
            return Ok(index);
        }
        self.by_key.insert(key.clone(), self.extensions.len());
        self.extensions.push(ExtensionDraft::new(name, key, file));
        Ok(self.extensions.len() - 1)
    }

    fn finish(self) -> Context {
        let mut literals = HashMap::new();
        let mut patterns = PatternTree::default();
        for (index, extension) in self.extensions.iter().enumerate() {
            match &extension.key {
                Key::Literal(name) => {
                    literals.insert(name.clone(), index);
                }
                Key::Pattern(pattern) => patterns.insert(pattern, index),
            }
        }
        let extensions = self.extensions.into_iter();
        let extensions =
            extensions.map(|draft| Extension { name: draft.name, steps: draft.steps, labels: draft.labels }).collect();
        let includes = self.includes.into_iter().map(|(name, _)| name).collect();
        Context { extensions, literals, patterns, includes }
    }
}

fn key(name: &str) -> Result<Key, (usize, ProblemKind)> {
    let bad = |why| Err((0, ProblemKind::BadName { name: name.to_owned(), why }));
    if name.is_empty() {
        return bad("is empty");
    }
    if name.len() > MAX_NAME_BYTES {
        return bad("is longer than 80 bytes");
    }
    if name.contains("${") || name.contains("$[") {
        return bad("a name cannot hold a substitution");
    }
    if !name.starts_with('_') {
        return match name.split_once('/') {
            Some(_) => bad("matching the caller's number after `/` is not supported"),
            None => Ok(Key::Literal(name.chars().filter(|c| *c != '-').collect())),
        };
    }
    Pattern::parse(name)
        .map(Key::Pattern)
        .map_err(|error| (error.offset(), ProblemKind::Pattern { pattern: name.to_owned(), error }))
}

impl ExtensionDraft {
    fn new(name: &str, key: Key, file: usize) -> Self {
        Self { name: name.to_owned(), key, file, steps: BTreeMap::new(), labels: HashMap::new(), last: None }
    }

    fn add(&mut self, priority: Priority, step: Step, span: &Span) -> Result<(), (usize, ProblemKind)> {
        let before = self.last.ok_or_else(|| ProblemKind::NothingBefore(priority.text.clone()));
        let number = match priority.base {
            Base::Number(number) => number,
            Base::Next(by) => before.map_err(|kind| (0, kind))?.saturating_add(by),
            Base::Same => before.map_err(|kind| (0, kind))?,
        };
        self.last = Some(number);
        if let Some(label) = &priority.label
            && let Some(other) = self.labels.get(label).and_then(|priority| self.steps.get(priority))
        {
            let first = other.span.clone().unwrap_or_else(|| span.clone());
            return Err((0, ProblemKind::LabelTwice { label: label.clone(), first }));
        }
        if let Some(other) = self.steps.get(&number) {
            let first = other.span.clone().unwrap_or_else(|| span.clone());
            return Err((0, ProblemKind::Twice { extension: self.name.clone(), priority: number, first }));
        }
        self.labels.extend(priority.label.map(|label| (label, number)));
        self.steps.insert(number, step);
        Ok(())
    }
}
