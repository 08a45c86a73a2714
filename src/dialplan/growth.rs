//! Whether digits that a caller types can become longer and still mean something in a context.
//! Above: `keypad`. Below: `context`, `pattern/grow`.

use super::context::{Context, Dialplan, Group};
use super::name::without_dashes;
use super::pattern::grow::Growth;
use super::search::{MAX_DEPTH, Query};

impl Dialplan {
    /// Whether a longer text that begins with `typed` could be an extension with a priority 1: of the context or of what it
    /// includes. A pattern that ends in `!` and takes what there is ends the search in its context, as in Asterisk.
    pub fn grows(&self, query: &Query<'_>) -> bool {
        let plain = without_dashes(query.dialled);
        self.index(query.context).is_some_and(|index| self.grows_in(index, (query, &plain), &mut Vec::new()))
    }

    /// The same for a caller without number.
    pub fn may_grow(&self, context: &str, typed: &str) -> bool {
        self.grows(&Query::new(context, typed))
    }

    fn grows_in(&self, index: usize, (query, typed): (&Query<'_>, &str), seen: &mut Vec<usize>) -> bool {
        let Some(context) = self.contexts.get(index) else { return false };
        if seen.contains(&index) || seen.len() >= MAX_DEPTH {
            return false;
        }
        seen.push(index);
        match context.growth(query, typed) {
            Growth::MayGrow => true,
            Growth::Final => false,
            Growth::Complete => {
                let mut held = context.includes.iter().filter(|include| include.holds(query.at));
                held.any(|include| include.target.is_some_and(|target| self.grows_in(target, (query, typed), seen)))
            }
        }
    }
}

impl Context {
    fn growth(&self, query: &Query<'_>, typed: &str) -> Growth {
        let begins = |group: &Group| {
            let mut admitted = self.group(*group).iter().filter(|extension| extension.key.admits(query.caller));
            admitted.any(|extension| extension.step(1).is_some())
        };
        let longer = |name: &str| name.len() > typed.len() && name.starts_with(typed);
        if self.literals.iter().any(|(name, group)| longer(name) && begins(group)) {
            return Growth::MayGrow;
        }
        self.patterns.growth(typed.as_bytes(), &begins)
    }
}

#[cfg(test)]
mod tests {
    use crate::dialplan::{Dialplan, Query};

    fn plan(text: &str) -> Dialplan {
        Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    #[test]
    fn s172_a_menu_waits_only_where_a_longer_number_exists() {
        let plan = plan(
            "[menu]\ninclude => more\nexten => 1,1,NoOp()\nexten => 123,1,NoOp()\nexten => _2XX,1,NoOp()\n\
             exten => 345,2,NoOp()\nexten => s,1,NoOp()\n[more]\ninclude => menu\nexten => 4-567,1,NoOp()\n",
        );
        let waits = |typed: &str| plan.grows(&Query::new("menu", typed));
        assert!(waits("1") && waits("12") && !waits("123"));
        assert!(waits("2") && waits("29") && !waits("299"));
        assert!(waits("4") && waits("456"), "an included context counts, dashes do not");
        assert!(!waits("3"), "without priority 1 it is no extension");
        assert!(!waits("9") && !plan.grows(&Query::new("nowhere", "1")));
    }
}
