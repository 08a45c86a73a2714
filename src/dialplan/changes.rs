//! What a reload changes: one line for each context and extension that comes, goes or differs.
//! Above: `pbx reload` prints the lines. Below: `context`.

use std::collections::BTreeMap;

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

    fn by_name(&self) -> BTreeMap<String, &Extension> {
        self.contexts.iter().flat_map(|(context, entries)| named(context, entries)).collect()
    }

    fn include_changes(&self, new: &Self) -> Vec<String> {
        let mut names: Vec<_> = self.contexts.keys().chain(new.contexts.keys()).collect();
        names.sort();
        names.dedup();
        let includes =
            |plan: &Self, name: &str| plan.contexts.get(name).map(|c| c.includes.clone()).unwrap_or_default();
        let differ = names.into_iter().filter(|name| includes(self, name) != includes(new, name));
        differ.map(|name| format!("dialplan {name}: includes changed")).collect()
    }
}

fn named<'a>(context: &str, entries: &'a Context) -> Vec<(String, &'a Extension)> {
    entries.extensions.iter().map(|extension| (format!("{context},{}", extension.name), extension)).collect()
}

/// Steps and labels are the same; where they are written does not count.
fn same(one: &Extension, other: &Extension) -> bool {
    one.labels == other.labels && format!("{:?}", one.steps) == format!("{:?}", other.steps)
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
