//! What a reload changes: one line for each context and extension that comes, goes or differs.
//! Above: `pbx reload` prints the lines. Below: `context`.

use std::collections::BTreeMap;
use std::fmt;

use super::context::{Context, Dialplan, Extension};

impl Dialplan {
    /// What is different in `new`, by context and extension.
    pub fn changes_to(&self, new: &Self) -> Vec<String> {
        let (before, after) = (self.by_name(), new.by_name());
        let mut lines = Vec::new();
        for (name, extension) in &before {
            match after.get(name) {
                None => lines.push(format!("dialplan {name}: removed")),
                Some(now) if !same(extension, now) => lines.push(format!("dialplan {name}: changed")),
                Some(_) => {}
            }
        }
        let added = after.keys().filter(|name| !before.contains_key(*name));
        lines.extend(added.map(|name| format!("dialplan {name}: added")));
        lines.extend(self.include_changes(new));
        lines
    }

    fn by_name(&self) -> BTreeMap<Name<'_>, &Extension> {
        self.contexts.iter().flat_map(named).collect()
    }

    fn include_changes(&self, new: &Self) -> Vec<String> {
        let mut names: Vec<_> = self.context_names().chain(new.context_names()).collect();
        names.sort();
        names.dedup();
        let includes = |plan: &Self, name: &str| -> Vec<String> {
            let includes = plan.context(name).map(|context| context.includes.as_slice()).unwrap_or_default();
            includes.iter().map(|include| include.written.clone()).collect()
        };
        let differ = names.into_iter().filter(|name| includes(self, name) != includes(new, name));
        differ.map(|name| format!("dialplan {name}: includes changed")).collect()
    }
}

/// Context, extension, and what is written after its `/`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(&'a str, &'a str, Option<&'a str>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(context, extension, caller) = self;
        write!(f, "{context},{extension}")?;
        caller.map_or(Ok(()), |caller| write!(f, "/{caller}"))
    }
}

fn named(context: &Context) -> impl Iterator<Item = (Name<'_>, &Extension)> {
    let extensions = context.extensions.iter();
    extensions.map(|extension| (Name(&context.name, &extension.name, extension.caller.as_deref()), extension))
}

/// Steps, labels and hint are the same; where they are written does not count.
fn same(one: &Extension, other: &Extension) -> bool {
    let steps = |extension: &Extension| -> Vec<_> {
        extension.steps.iter().map(|(priority, step)| (*priority, step.written.clone())).collect()
    };
    let hint = |extension: &Extension| extension.hint.as_ref().map(|hint| hint.written.clone());
    one.labels == other.labels && hint(one) == hint(other) && steps(one) == steps(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Dialplan {
        Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    #[test]
    fn each_extension_that_differs_is_named_and_no_other() {
        let old = plan("[a]\nexten => 1,1,Answer()\nexten => 2,1,Answer()\nexten => 3,1,Answer()\n");
        let new = plan(
            "[a]\n\n; moved down\nexten => 1,1,Answer()\nexten => 2,1,Hangup()\nexten => 4,1,Answer()\n[b]\nexten => 1,1,Answer()\n",
        );
        assert_eq!(
            old.changes_to(&new),
            ["dialplan a,2: changed", "dialplan a,3: removed", "dialplan a,4: added", "dialplan b,1: added"]
        );
        assert!(new.changes_to(&new).is_empty());
    }

    #[test]
    fn an_include_that_comes_or_goes_is_told() {
        let old = plan("[a]\ninclude => b\n[b]\nexten => 1,1,Answer()\n");
        let new = plan("[a]\n[b]\nexten => 1,1,Answer()\n");
        assert_eq!(old.changes_to(&new), ["dialplan a: includes changed"]);
    }
}
