//! A dialplan while its sections are read: relative priorities, double definitions and overlays are settled here.
//! Above: `parse`. Makes `context`.

use std::collections::HashMap;

use super::context::{Context, Dialplan, Extension, Group, Hint, Include, Step};
use super::name::{Key, Name, Written};
use super::pattern::PatternTree;
use super::problem::{PlanError, ProblemKind, Span};
use super::template::Template;
use super::times::TimeRange;
use crate::config::nearest;

#[derive(Default)]
pub(super) struct Draft {
    contexts: Vec<ContextDraft>,
    by_name: HashMap<String, usize>,
    pub(super) globals: Vec<(String, Template)>,
    at: Place,
}

/// Where the next line goes.
#[derive(Default)]
struct Place {
    /// Number of the file that was asked for, from 0.
    layer: usize,
    context: usize,
    /// The extension that `same` continues, and its name as written.
    extension: Option<(usize, String)>,
    /// The priority of the line above, and its extension: `n` counts on from there.
    last: Option<(u32, usize)>,
}

#[derive(Default)]
struct ContextDraft {
    name: String,
    extensions: Vec<ExtensionDraft>,
    by_key: HashMap<Key, usize>,
    includes: Vec<(String, Option<TimeRange>, Span)>,
    ignored: Vec<String>,
    switches: Vec<String>,
}

struct ExtensionDraft {
    layer: usize,
    made: Extension,
}

/// A priority as written.
pub(super) struct Priority {
    base: Base,
    plus: u32,
    label: Option<String>,
    text: String,
}

enum Base {
    Number(u32),
    /// `n`: one after the line above.
    Next,
    /// `s`: that of the line above.
    Same,
    /// That of a label in the same extension.
    Label(String),
}

impl Priority {
    /// `5`, `n`, `n(label)`, `n+5(label)`, `s`, `s+1`, `label+101`. What is added is added to all of them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, label) = match text.split_once('(') {
            Some((number, label)) => (number.trim(), Some(label.strip_suffix(')')?.trim().to_owned())),
            None => (text, None),
        };
        let (word, plus) = match number.split_once('+') {
            Some((word, plus)) => (word.trim(), plus.trim().parse().ok()?),
            None => (number, 0),
        };
        let base = match word {
            "n" | "N" | "next" => Base::Next,
            "s" | "S" | "same" => Base::Same,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Base::Number(digits.parse::<u32>().ok().filter(|priority| *priority > 0)?)
            }
            name => Base::Label(name.to_owned()),
        };
        Some(Self { base, plus, label: label.filter(|label| !label.is_empty()), text: text.to_owned() })
    }
}

impl Draft {
    /// The lines that follow belong to this context of this file.
    pub(super) fn section(&mut self, layer: usize, name: &str) {
        let context = self.by_name.get(name).copied().unwrap_or_else(|| {
            self.by_name.insert(name.to_owned(), self.contexts.len());
            self.contexts.push(ContextDraft { name: name.to_owned(), ..ContextDraft::default() });
            self.contexts.len() - 1
        });
        self.at = Place { layer, context, extension: None, last: None };
    }

    /// `exten`: the extension that this line and those with `same` are about. The error's offset is within the name.
    pub(super) fn extension(&mut self, name: &str) -> Result<(), (usize, ProblemKind)> {
        if self.at.extension.as_ref().is_some_and(|(_, current)| current == name) {
            return Ok(());
        }
        self.at.extension = None;
        let layer = self.at.layer;
        let Some(context) = self.contexts.get_mut(self.at.context) else { return Ok(()) };
        let index = context.extension(&Written::new(name), layer)?;
        self.at.extension = Some((index, name.to_owned()));
        Ok(())
    }

    /// The number of a priority of the current extension; the next `n` counts on from it. With it comes what is allowed
    /// but probably not meant.
    pub(super) fn number(&mut self, priority: &Priority) -> Result<(u32, Option<ProblemKind>), ProblemKind> {
        let Some((index, name)) = &self.at.extension else { return Err(ProblemKind::SameOfNothing) };
        let context = self.contexts.get(self.at.context);
        let made = |index: usize| context.and_then(|context| context.extensions.get(index)).map(|draft| &draft.made);
        let above = || self.at.last.ok_or_else(|| ProblemKind::NothingBefore(priority.text.clone()));
        let base = match &priority.base {
            Base::Number(number) => *number,
            Base::Next => above()?.0.saturating_add(1),
            Base::Same => above()?.0,
            Base::Label(label) => {
                let labelled = made(*index).and_then(|extension| extension.labelled(label));
                labelled.ok_or_else(|| ProblemKind::BadPriority(priority.text.clone()))?
            }
        };
        let number = base.saturating_add(priority.plus);
        let counts_on = match (&priority.base, self.at.last) {
            (Base::Next | Base::Same, Some((_, other))) if other != *index => {
                made(other).map(|other| ProblemKind::CountsOn {
                    text: format!("{} of {name}", priority.text),
                    priority: number,
                    other: other.name.clone(),
                })
            }
            _ => None,
        };
        self.at.last = Some((number, *index));
        Ok((number, counts_on))
    }

    /// Adds a step to the current extension.
    pub(super) fn step(&mut self, number: u32, priority: Priority, step: Step) -> Result<(), ProblemKind> {
        let Some(extension) = self.current() else { return Ok(()) };
        extension.add(number, priority.label, step)
    }

    /// Gives the current extension a hint.
    pub(super) fn hint(&mut self, hint: Hint) -> Result<(), ProblemKind> {
        let layer = self.at.layer;
        let Some(extension) = self.current() else { return Err(ProblemKind::SameOfNothing) };
        match &extension.made.hint {
            Some(first) if extension.layer == layer => {
                Err(ProblemKind::HintTwice { extension: extension.made.name.clone(), first: first.span.clone() })
            }
            _ => {
                extension.made.hint = Some(hint);
                Ok(())
            }
        }
    }

    /// Whether it is new: the same include twice is of no use.
    pub(super) fn include(&mut self, written: &str, times: Option<TimeRange>, span: Span) -> bool {
        let Some(context) = self.contexts.get_mut(self.at.context) else { return true };
        if context.includes.iter().any(|(name, ..)| name.eq_ignore_ascii_case(written)) {
            return false;
        }
        context.includes.push((written.to_owned(), times, span));
        true
    }

    pub(super) fn ignore(&mut self, pattern: String) {
        if let Some(context) = self.contexts.get_mut(self.at.context) {
            context.ignored.push(pattern);
        }
    }

    pub(super) fn switch(&mut self, written: &str) {
        if let Some(context) = self.contexts.get_mut(self.at.context) {
            context.switches.push(written.to_owned());
        }
    }

    fn current(&mut self) -> Option<&mut ExtensionDraft> {
        let (index, _) = self.at.extension.as_ref()?;
        self.contexts.get_mut(self.at.context)?.extensions.get_mut(*index)
    }

    /// The finished plan; includes of contexts that are nowhere are warned of.
    pub(super) fn finish(self, warnings: &mut Vec<PlanError>) -> Dialplan {
        let by_name = self.by_name;
        let finish = |context: ContextDraft| context.finish(&by_name, warnings);
        let contexts = self.contexts.into_iter().map(finish).collect();
        Dialplan { contexts, by_name, globals: self.globals, ..Dialplan::default() }
    }
}

impl ContextDraft {
    fn extension(&mut self, written: &Written, layer: usize) -> Result<usize, (usize, ProblemKind)> {
        let key = written.key()?;
        if let Some(&index) = self.by_key.get(&key) {
            if let Some(extension) = self.extensions.get_mut(index).filter(|extension| extension.layer != layer) {
                let hint = extension.made.hint.take();
                *extension = ExtensionDraft::new(written, key, layer);
                extension.made.hint = hint;
            }
            return Ok(index);
        }
        self.by_key.insert(key.clone(), self.extensions.len());
        self.extensions.push(ExtensionDraft::new(written, key, layer));
        Ok(self.extensions.len() - 1)
    }

    fn finish(self, known: &HashMap<String, usize>, warnings: &mut Vec<PlanError>) -> Context {
        let mut includes = Vec::new();
        for (written, times, span) in self.includes {
            let name = written.split([',', '|']).next().unwrap_or_default().trim();
            let target = known.get(name).copied();
            if target.is_none() {
                let hint = nearest(name, known.keys().map(String::as_str)).map(str::to_owned);
                warnings.push(PlanError { span, kind: ProblemKind::UnknownInclude { name: name.to_owned(), hint } });
            }
            includes.push(Include { written, target, times });
        }
        let mut extensions: Vec<Extension> = self.extensions.into_iter().map(|draft| draft.made).collect();
        // a line whose application is wrong leaves an extension without anything behind
        extensions.retain(|extension| !extension.steps.is_empty() || extension.hint.is_some());
        extensions.sort_by(|a, b| a.key.cmp(&b.key));
        let (literals, patterns) = index(&extensions);
        let Self { name, ignored, switches, .. } = self;
        Context { name, extensions, literals, patterns, includes, ignored, switches }
    }
}

/// Finds the groups of the same name among sorted extensions.
fn index(extensions: &[Extension]) -> (HashMap<String, Group>, PatternTree<Group>) {
    let mut literals = HashMap::new();
    let mut patterns = PatternTree::default();
    let mut first = 0;
    for neighbours in extensions.chunk_by(|a, b| a.key.name == b.key.name) {
        let group = Group { first, count: neighbours.len() };
        first += neighbours.len();
        match neighbours.first().map(|extension| &extension.key.name) {
            Some(Name::Literal(name)) => drop(literals.insert(name.clone(), group)),
            Some(Name::Pattern(pattern)) => patterns.insert(pattern, group),
            None => {}
        }
    }
    (literals, patterns)
}

impl ExtensionDraft {
    fn new(written: &Written, key: Key, layer: usize) -> Self {
        let Written { name, caller } = written.clone();
        Self { layer, made: Extension { name, caller, key, steps: Vec::new(), labels: Vec::new(), hint: None } }
    }

    fn add(&mut self, number: u32, label: Option<String>, step: Step) -> Result<(), ProblemKind> {
        let place = |step: &Step| step.span.clone();
        if let Some(label) = &label
            && let Some(first) = self.made.labelled(label).and_then(|priority| self.made.step(priority)).and_then(place)
        {
            return Err(ProblemKind::LabelTwice { label: label.clone(), first });
        }
        let steps = &mut self.made.steps;
        if steps.last().is_none_or(|(last, _)| *last < number) {
            steps.push((number, step));
        } else {
            match steps.binary_search_by_key(&number, |(priority, _)| *priority) {
                Err(index) => steps.insert(index, (number, step)),
                Ok(index) => {
                    let Some(first) = steps.get(index).and_then(|(_, step)| step.span.clone()) else { return Ok(()) };
                    return Err(ProblemKind::Twice { extension: self.made.name.clone(), priority: number, first });
                }
            }
        }
        self.made.labels.extend(label.map(|label| (label, number)));
        Ok(())
    }
}
