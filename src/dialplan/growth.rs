//! Whether digits that a caller types can become longer and still mean something in a context.
//! Above: `keypad`. Below: `context`, `pattern/grow`.

use std::collections::HashSet;

use super::context::{Context, Dialplan, Extension};
use super::pattern::grow::Growth;

impl Dialplan {
    /// Whether a longer text that begins with `typed` could be an extension with a priority 1: of the context or of what it
    /// includes. A pattern that ends in `!` and takes what there is ends the search in its context, as in Asterisk.
    pub fn may_grow(&self, context: &str, typed: &str) -> bool {
        let plain: String = typed.chars().filter(|c| *c != '-').collect();
        self.grows_in(context, &plain, &mut HashSet::new())
    }

    fn grows_in<'a>(&'a self, context: &str, typed: &str, seen: &mut HashSet<&'a str>) -> bool {
        let Some((context, entries)) = self.contexts.get_key_value(context) else { return false };
        if !seen.insert(context) {
            return false;
        }
        match entries.growth(typed) {
            Growth::MayGrow => true,
            Growth::Final => false,
            Growth::Complete => entries.includes.iter().any(|include| self.grows_in(include, typed, seen)),
        }
    }
}

impl Context {
    fn growth(&self, typed: &str) -> Growth {
        let begins = |index: &usize| self.extensions.get(*index).is_some_and(Extension::begins);
        let longer = |name: &str| name.len() > typed.len() && name.starts_with(typed);
        if self.literals.iter().any(|(name, index)| longer(name) && begins(index)) {
            return Growth::MayGrow;
        }
        self.patterns.growth(typed.as_bytes(), &begins)
    }
}

impl Extension {
    fn begins(&self) -> bool {
        self.step(1).is_some()
    }
}

#[cfg(test)]
mod tests {
    use crate::dialplan::Dialplan;

    fn plan(text: &str) -> Dialplan {
        Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    #[test]
    fn s172_a_menu_waits_only_where_a_longer_number_exists() {
        let plan = plan(
            "[menu]\ninclude => more\nexten => 1,1,NoOp()\nexten => 123,1,NoOp()\nexten => _2XX,1,NoOp()\n\
             exten => 345,2,NoOp()\nexten => s,1,NoOp()\n[more]\ninclude => menu\nexten => 4-567,1,NoOp()\n",
        );
        let waits = |typed: &str| plan.may_grow("menu", typed);
        assert!(waits("1") && waits("12") && !waits("123"));
        assert!(waits("2") && waits("29") && !waits("299"));
        assert!(waits("4") && waits("456"), "an included context counts, dashes do not");
        assert!(!waits("3"), "without priority 1 it is no extension");
        assert!(!waits("9") && !plan.may_grow("nowhere", "1"));
    }
}
