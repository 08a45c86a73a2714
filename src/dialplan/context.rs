//! The dialplan as it is used: contexts, extensions, steps, and the search for what a dialled text means.
//! Above: `exec`. Below: `pattern`. Made by `parse`, never changed afterwards.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::app::App;
use super::pattern::PatternTree;
use super::problem::{PlanError, Span};
use super::template::Template;

/// All of a dialplan.
#[derive(Clone, Debug, Default)]
pub struct Dialplan {
    pub(super) contexts: HashMap<String, Context>,
    pub(super) globals: Vec<(String, Template)>,
    pub(super) warnings: Vec<PlanError>,
}

/// `[name]` and what is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    pub(super) extensions: Vec<Extension>,
    /// Extensions without wildcards by their name without `-`.
    pub(super) literals: HashMap<String, usize>,
    pub(super) patterns: PatternTree<usize>,
    pub(super) includes: Vec<String>,
}

/// A name or pattern and its steps.
#[derive(Clone, Debug)]
pub struct Extension {
    pub(super) name: String,
    pub(super) steps: BTreeMap<u32, Step>,
    pub(super) labels: HashMap<String, u32>,
}

/// One priority: an application and its arguments.
#[derive(Clone)]
pub struct Step {
    pub(super) app: &'static dyn App,
    pub(super) args: Template,
    pub(super) span: Option<Span>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:?})", self.app.name(), self.args)
    }
}

impl Dialplan {
    /// What `dialled` means in a context: its literal extensions, its patterns in their order, then its includes, depth
    /// first. The whole extension is chosen at once; its priorities are never completed from another one.
    pub fn find(&self, context: &str, dialled: &str) -> Option<&Extension> {
        let plain: String = dialled.chars().filter(|c| *c != '-').collect();
        self.find_in(context, &plain, &mut HashSet::new())
    }

    fn find_in<'a>(&'a self, context: &str, plain: &str, seen: &mut HashSet<&'a str>) -> Option<&'a Extension> {
        let (context, entries) = self.contexts.get_key_value(context)?;
        if let Some(extension) = entries.own(plain) {
            return Some(extension);
        }
        if entries.includes.is_empty() || !seen.insert(context) {
            return None;
        }
        entries.includes.iter().find_map(|include| self.find_in(include, plain, seen))
    }

    /// Whether the extension is there and has a priority 1.
    pub fn begins_at(&self, context: &str, dialled: &str) -> bool {
        self.find(context, dialled).is_some_and(|extension| extension.steps.contains_key(&1))
    }

    /// Whether there is a context of this name.
    pub fn has_context(&self, name: &str) -> bool {
        self.contexts.contains_key(name)
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> &[PlanError] {
        &self.warnings
    }
}

impl Context {
    fn own(&self, plain: &str) -> Option<&Extension> {
        let index = self.literals.get(plain).or_else(|| self.patterns.find(plain.as_bytes()))?;
        self.extensions.get(*index)
    }
}

impl Extension {
    /// As written, `_` included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The step at a priority.
    pub fn step(&self, priority: u32) -> Option<&Step> {
        self.steps.get(&priority)
    }

    /// The priority that has this label.
    pub fn labelled(&self, label: &str) -> Option<u32> {
        self.labels.get(label).copied()
    }
}

#[cfg(test)]
mod tests {
    use crate::dialplan::Dialplan;

    fn plan(text: &str) -> Dialplan {
        Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    fn found(plan: &Dialplan, dialled: &str) -> Option<String> {
        plan.find("main", dialled).map(|extension| extension.name().to_owned())
    }

    #[test]
    fn dialled_texts_find_what_asterisk_finds() {
        let names = include_str!("../../tests/data/dialplan/search-order.txt");
        let lines: String = names.lines().rev().map(|name| format!("exten => {name},1,NoOp()\n")).collect();
        let plan = plan(&format!("[main]\n{lines}"));
        let dialled = include_str!("../../tests/data/dialplan/dialled.txt");
        for (dialled, name) in dialled.lines().filter_map(|line| line.split_once(' ')) {
            assert_eq!(found(&plan, dialled).as_deref(), Some(name), "{dialled}");
        }
    }

    #[test]
    fn own_patterns_come_before_included_literals_and_includes_go_depth_first() {
        let plan = plan(
            "[main]\ninclude => a\ninclude => b\nexten => _1X,1,NoOp()\n[a]\ninclude => deep\nexten => 12,1,NoOp()\n\
             [deep]\ninclude => main\nexten => 20,1,NoOp(deep)\nexten => _3X,1,NoOp()\n[b]\nexten => 20,1,NoOp(b)\nexten => 30,1,NoOp()\n",
        );
        assert_eq!(found(&plan, "12").as_deref(), Some("_1X"));
        assert_eq!(found(&plan, "30").as_deref(), Some("_3X"));
        assert_eq!(found(&plan, "99"), None, "an include loop ends");
        assert_eq!(plan.find("nowhere", "12").map(|_| ()), None);
    }

    #[test]
    fn a_missing_priority_is_not_taken_from_a_wider_pattern() {
        let plan = plan("[main]\nexten => 100,1,NoOp()\nexten => _X.,1,NoOp()\n same => n,Hangup()\n");
        assert!(plan.find("main", "100").unwrap().step(2).is_none());
        assert!(plan.begins_at("main", "100") && !plan.begins_at("main", "x"));
    }
}
