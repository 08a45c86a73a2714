//! The dialplan as it is used: contexts, extensions, steps. Above: `search` looks things up in it, `exec` runs it.
//! Made by `parse`, never changed afterwards.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::app::App;
use super::name::Key;
use super::pattern::PatternTree;
use super::piece::Piece;
use super::problem::{PlanError, Span};
use super::template::Template;
use super::times::TimeRange;

/// All of a dialplan.
#[derive(Clone, Debug, Default)]
pub struct Dialplan {
    /// In the order in which they first appear.
    pub(super) contexts: Vec<Context>,
    pub(super) by_name: HashMap<String, usize>,
    pub(super) globals: Vec<(String, Template)>,
    pub(super) warnings: Vec<PlanError>,
    pub(super) files: Vec<PathBuf>,
}

/// `[name]` and what is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    pub(super) name: String,
    /// In the order in which they are tried.
    pub(super) extensions: Vec<Extension>,
    /// Extensions without wildcards by their name without `-`.
    pub(super) literals: HashMap<String, Group>,
    pub(super) patterns: PatternTree<Group>,
    pub(super) includes: Vec<Include>,
    /// `ignorepat`: what may be dialled without ending the dial tone.
    pub(super) ignored: Vec<String>,
    /// `switch`, `eswitch`, `lswitch` as written: kept, and never searched.
    pub(super) switches: Vec<String>,
}

/// Neighbours among a context's extensions: the same name for one caller after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) first: usize,
    pub(super) count: usize,
}

/// `include => context[,times]`
#[derive(Clone, Debug)]
pub(super) struct Include {
    /// As written, with its times.
    pub(super) written: String,
    /// Among the contexts; `None` when it is nowhere.
    pub(super) target: Option<usize>,
    pub(super) times: Option<TimeRange>,
}

impl Include {
    pub(super) fn holds(&self, at: Option<Timestamp>) -> bool {
        self.times.as_ref().is_none_or(|times| times.contains_moment(at.unwrap_or_else(Timestamp::now)))
    }
}

/// A name or pattern, perhaps for certain callers only, and its steps.
#[derive(Clone, Debug)]
pub struct Extension {
    pub(super) name: String,
    /// What was written after `/`.
    pub(super) caller: Option<String>,
    pub(super) key: Key,
    /// By priority.
    pub(super) steps: Vec<(u32, Step)>,
    pub(super) labels: Vec<(String, u32)>,
    pub(super) hint: Option<Hint>,
}

/// One priority: an application and its arguments.
#[derive(Clone)]
pub struct Step {
    pub(super) app: &'static dyn App,
    pub(super) args: Template,
    pub(super) span: Option<Span>,
    /// `App(arguments)` as in the file.
    pub(super) written: Box<str>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written)
    }
}

/// `exten => 100,hint,SIP/100&SIP/101`: the devices whose state is the extension's.
#[derive(Clone, Debug)]
pub struct Hint {
    pub(super) devices: Template,
    pub(super) written: Box<str>,
    pub(super) span: Span,
}

impl Hint {
    /// The devices, to be split at `&`; what follows a comma are presence providers.
    pub fn devices(&self) -> Piece<'_> {
        self.devices.piece()
    }
}

impl Dialplan {
    /// Whether there is a context of this name.
    pub fn has_context(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The contexts' names in the order in which they first appear.
    pub fn context_names(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(|context| context.name.as_str())
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> &[PlanError] {
        &self.warnings
    }

    /// The files it was read from, included ones too.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub(super) fn context(&self, name: &str) -> Option<&Context> {
        self.contexts.get(*self.by_name.get(name)?)
    }
}

impl Context {
    pub(super) fn group(&self, group: Group) -> &[Extension] {
        self.extensions.get(group.first..group.first + group.count).unwrap_or_default()
    }
}

impl Extension {
    /// As written, `_` included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As written, with what stands after `/`.
    pub fn written_name(&self) -> String {
        match &self.caller {
            Some(caller) => format!("{}/{caller}", self.name),
            None => self.name.clone(),
        }
    }

    /// The step at a priority.
    pub fn step(&self, priority: u32) -> Option<&Step> {
        // most are numbered from 1 without a gap
        let guess = usize::try_from(priority).ok()?.checked_sub(1)?;
        match self.steps.get(guess) {
            Some((number, step)) if *number == priority => Some(step),
            _ => {
                let index = self.steps.binary_search_by_key(&priority, |(number, _)| *number).ok()?;
                self.steps.get(index).map(|(_, step)| step)
            }
        }
    }

    /// The priorities that have a step, ascending.
    pub fn priorities(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.steps.iter().map(|(priority, _)| *priority)
    }

    /// The priority that has this label.
    pub fn labelled(&self, label: &str) -> Option<u32> {
        self.labels.iter().find(|(name, _)| name == label).map(|(_, priority)| *priority)
    }

    /// Whose state is its state.
    pub fn hint(&self) -> Option<&Hint> {
        self.hint.as_ref()
    }
}
