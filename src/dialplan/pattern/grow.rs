//! Whether more digits could still mean something: what a menu asks after each key (Asterisk's "match more").
//! Above: `growth`. Below: the tree of `pattern`.

use super::{Node, PatternTree};

/// What the patterns of a context say about digits that are being typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialplan) enum Growth {
    /// No pattern needs more of them.
    Complete,
    /// A pattern that ends in `!` takes what there is; nothing that is tried later counts.
    Final,
    /// Some pattern accepts a longer text that begins so.
    MayGrow,
}

impl<T> PatternTree<T> {
    /// Asks the patterns for which `counts` holds, in the order of trying.
    pub(in crate::dialplan) fn growth(&self, typed: &[u8], counts: &dyn Fn(&T) -> bool) -> Growth {
        self.grow(0, typed, counts)
    }

    /// Depth is bounded by the longest pattern; each node is visited at most once.
    fn grow(&self, node: usize, rest: &[u8], counts: &dyn Fn(&T) -> bool) -> Growth {
        let Some(node) = self.nodes.get(node) else { return Growth::Complete };
        let below = match rest.split_first() {
            Some((byte, after)) => {
                let literal = node.literals.iter().filter(|(literal, _)| literal == byte).map(|(_, child)| *child);
                let sets = node.sets.iter().filter(|(set, _)| set.holds(*byte)).map(|(_, child)| *child);
                literal.chain(sets).map(|child| self.grow(child, after, counts)).find(|said| *said != Growth::Complete)
            }
            None => Self::children(node).any(|child| self.any_leaf(child, counts)).then_some(Growth::MayGrow),
        };
        let wildcard = || {
            if node.one_or_more.as_ref().is_some_and(counts) {
                Growth::MayGrow
            } else if node.zero_or_more.as_ref().is_some_and(counts) {
                Growth::Final
            } else {
                Growth::Complete
            }
        };
        below.unwrap_or_else(wildcard)
    }

    fn children(node: &Node<T>) -> impl Iterator<Item = usize> {
        node.literals.iter().map(|(_, child)| *child).chain(node.sets.iter().map(|(_, child)| *child))
    }

    /// Whether any pattern that counts leads through this node.
    fn any_leaf(&self, node: usize, counts: &dyn Fn(&T) -> bool) -> bool {
        let Some(node) = self.nodes.get(node) else { return false };
        let ends = [&node.one_or_more, &node.zero_or_more, &node.end];
        ends.into_iter().flatten().any(counts) || Self::children(node).any(|child| self.any_leaf(child, counts))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Element, Pattern};
    use super::*;

    fn growth(patterns: &[&str], typed: &str) -> Growth {
        let mut tree = PatternTree::default();
        patterns.iter().for_each(|text| tree.insert(&Pattern::parse(text).unwrap(), *text));
        tree.growth(typed.as_bytes(), &|_| true)
    }

    #[test]
    fn a_longer_pattern_waits_and_a_complete_one_does_not() {
        assert_eq!(growth(&["_1XX"], "1"), Growth::MayGrow);
        assert_eq!(growth(&["_1XX"], "123"), Growth::Complete);
        assert_eq!(growth(&["_1XX"], "2"), Growth::Complete);
        assert_eq!(growth(&["_X", "_XX"], "1"), Growth::MayGrow);
        assert_eq!(growth(&["_1."], "12345"), Growth::MayGrow, "after a dot anything may follow");
    }

    #[test]
    fn an_exclamation_mark_ends_the_typing_at_once_unless_something_before_it_waits() {
        assert_eq!(growth(&["_1!"], "1"), Growth::Final);
        assert_eq!(growth(&["_1!"], "12"), Growth::Final);
        assert_eq!(growth(&["_1!"], ""), Growth::MayGrow);
        assert_eq!(growth(&["_12X", "_1!"], "12"), Growth::MayGrow);
        assert_eq!(growth(&["_X.", "_X!"], "5"), Growth::MayGrow);
    }

    /// The second opinion: all patterns in their order, one after the other.
    fn listed(patterns: &[Pattern], typed: &[u8]) -> Growth {
        for pattern in patterns {
            let mut rest = typed;
            let said = pattern.0.iter().find_map(|element| match (element, rest.split_first()) {
                (Element::OneOrMore, _) => Some(Growth::MayGrow),

                (Element::ZeroOrMore, _) => Some(Growth::Final),
                (Element::One(_), None) => Some(Growth::MayGrow),
                (Element::One(set), Some((byte, after))) => {
                    rest = after;
                    (!set.holds(*byte)).then_some(Growth::Complete)
                }
            });
            match said {
                Some(Growth::MayGrow) => return Growth::MayGrow,
                Some(Growth::Final) => return Growth::Final,
                _ => {}
            }
        }
        Growth::Complete
    }

    proptest! {
        #[test]
        fn the_tree_says_what_the_sorted_list_says(
            patterns in prop::collection::vec("_([0-3XNZ]|\\[[0-4]{1,3}\\]|\\[1-3\\]){1,4}[.!]?", 0..20),
            typed in "[0-5]{0,5}",
        ) {
            let mut list: Vec<Pattern> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
            let mut tree = PatternTree::default();
            list.iter().for_each(|pattern| tree.insert(pattern, pattern.clone()));
            list.sort();
            prop_assert_eq!(tree.growth(typed.as_bytes(), &|_| true), listed(&list, typed.as_bytes()));
        }
    }
}
