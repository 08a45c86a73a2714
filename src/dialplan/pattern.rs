//! Extension patterns: `_NXX`, sets, `.` and `!`, in the order in which Asterisk tries them (`ext_cmp_pattern_pos`).
//! Above: `context`. A [`PatternTree`] finds the first match without trying the patterns one by one.

pub(super) mod grow;

use std::cmp::{Ordering, Reverse};
use std::fmt;

/// Longest extension name in bytes, as in Asterisk.
pub(super) const MAX_NAME_BYTES: usize = 80;

/// A pattern, without its leading `_`: what each position accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern(Vec<Element>);

/// What one position of a pattern accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Element {
    /// One character of a set; a literal is a set of one.
    One(CharSet),
    /// `.`: one or more characters to the end.
    OneOrMore,
    /// `!`: zero or more characters to the end.
    ZeroOrMore,
}

/// A set of bytes. Byte 0 is the highest bit of the first word, so that comparing the words compares the sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct CharSet([u64; 4]);

/// Why a text is no pattern; offsets are bytes into the name, `_` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `[` without `]`.
    #[error("`[` is never closed")]
    UnclosedSet {
        /// Where it is opened.
        offset: usize,
    },
    /// `[9-2]`
    #[error("a range in `[ ]` runs backwards")]
    BackwardRange {
        /// Where it starts.
        offset: usize,
    },
    /// Something after `.` or `!`.
    #[error("nothing can follow `.` or `!`")]
    AfterWildcard {
        /// Where it stands.
        offset: usize,
    },
    /// `_` alone.
    #[error("matches nothing")]
    Empty,
}

impl PatternError {
    /// Where in the name it is wrong, in bytes.
    pub fn offset(self) -> usize {
        match self {
            Self::UnclosedSet { offset } | Self::BackwardRange { offset } | Self::AfterWildcard { offset } => offset,
            Self::Empty => 0,
        }
    }
}

impl Pattern {
    /// Reads a pattern with its leading `_`.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let bytes = text.as_bytes();
        let mut elements = Vec::new();
        let mut at = 1;
        while let Some(&byte) = bytes.get(at) {
            let start = at;
            at += 1;
            let element = match byte {
                b'-' => continue,
                b'.' => Element::OneOrMore,
                b'!' => Element::ZeroOrMore,
                b'N' | b'n' => Element::One(CharSet::range(b'2', b'9')),
                b'X' | b'x' => Element::One(CharSet::range(b'0', b'9')),
                b'Z' | b'z' => Element::One(CharSet::range(b'1', b'9')),
                b'[' => {
                    let set = bytes.get(at..).unwrap_or_default();
                    let end = set.iter().position(|byte| *byte == b']');
                    let end = end.ok_or(PatternError::UnclosedSet { offset: start })?;
                    let set = CharSet::parse(set.get(..end).unwrap_or_default(), at)?;
                    at += end + 1;
                    if set.count() == 0 {
                        continue;
                    }
                    Element::One(set)
                }
                literal => Element::One(CharSet::range(literal, literal)),
            };
            if matches!(elements.last(), Some(Element::OneOrMore | Element::ZeroOrMore)) {
                return Err(PatternError::AfterWildcard { offset: start });
            }
            elements.push(element);
        }
        if elements.is_empty() { Err(PatternError::Empty) } else { Ok(Self(elements)) }
    }

    /// Whether it accepts `dialled` (without `-`).
    pub(super) fn matches(&self, dialled: &[u8]) -> bool {
        self.fit(dialled).is_ok()
    }

    /// Accepts `dialled` (without `-`), or says what it expects where `dialled` is something else.
    pub(super) fn fit(&self, dialled: &[u8]) -> Result<(), Expected> {
        for (at, element) in self.0.iter().enumerate() {
            match (element, dialled.get(at)) {
                (Element::One(set), Some(byte)) if set.holds(*byte) => {}
                (Element::OneOrMore, Some(_)) | (Element::ZeroOrMore, _) => return Ok(()),
                (Element::OneOrMore, None) => return Err(Expected { position: at + 1, what: "anything".to_owned() }),
                (Element::One(set), _) => return Err(Expected { position: at + 1, what: set.to_string() }),
            }
        }
        if dialled.len() > self.0.len() {
            return Err(Expected { position: self.0.len() + 1, what: "the end".to_owned() });
        }
        Ok(())
    }
}

/// What a pattern expects where a number does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// From 1; `-` does not count. Behind the last character when the number is too short.
    pub(super) position: usize,
    /// `X`, `[1-3]`, a character, `anything` or `the end`.
    pub(super) what: String,
}

impl Ord for Pattern {
    /// The order of trying: position by position, smaller sets first, then `.`, `!`, the end.
    fn cmp(&self, other: &Self) -> Ordering {
        for (ours, theirs) in self.0.iter().zip(&other.0) {
            match ours.rank().cmp(&theirs.rank()) {
                Ordering::Equal => {}
                order => return order,
            }
        }
        other.0.len().cmp(&self.0.len())
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Element {
    /// Number of characters, lowest one, then the set that holds the lower characters; the wildcards come after every set.
    fn rank(&self) -> (u32, u8, Reverse<CharSet>) {
        match self {
            Self::One(set) => (set.count(), set.lowest(), Reverse(*set)),
            Self::OneOrMore => (257, 0, Reverse(CharSet::default())),
            Self::ZeroOrMore => (258, 0, Reverse(CharSet::default())),
        }
    }
}

impl CharSet {
    fn range(low: u8, high: u8) -> Self {
        let mut set = Self::default();
        for byte in low..=high {
            set.0[usize::from(byte / 64)] |= 1 << (63 - byte % 64);
        }
        set
    }

    /// The inside of `[ ]`; `offset` is where it starts in the name.
    fn parse(inside: &[u8], offset: usize) -> Result<Self, PatternError> {
        let mut set = Self::default();
        let mut at = 0;
        while let Some(&low) = inside.get(at) {
            let high = match (inside.get(at + 1), inside.get(at + 2)) {
                (Some(b'-'), Some(&high)) => high,
                _ => low,
            };
            if high < low {
                return Err(PatternError::BackwardRange { offset: offset + at });
            }
            at += if matches!((inside.get(at + 1), inside.get(at + 2)), (Some(b'-'), Some(_))) { 3 } else { 1 };
            let range = Self::range(low, high);
            set.0.iter_mut().zip(range.0).for_each(|(word, more)| *word |= more);
        }
        Ok(set)
    }

    fn holds(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] & (1 << (63 - byte % 64)) != 0
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    fn lowest(&self) -> u8 {
        let words = self.0.iter().enumerate();
        let lowest = words
            .filter(|(_, word)| **word != 0)
            .map(|(index, word)| u32::try_from(index).unwrap_or_default() * 64 + word.leading_zeros());
        lowest.min().and_then(|byte| u8::try_from(byte).ok()).unwrap_or_default()
    }
}

impl fmt::Display for CharSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = [("X", b'0'), ("Z", b'1'), ("N", b'2')];
        if let Some((class, low)) = classes.iter().find(|(_, low)| *self == Self::range(*low, b'9')) {
            return write!(f, "{class} ({}-9)", char::from(*low));
        }
        let one = self.count() == 1;
        f.write_str(if one { "`" } else { "[" })?;
        let mut at = 0_u16;
        while let Ok(byte) = u8::try_from(at) {
            let run = (byte..=u8::MAX).take_while(|byte| self.holds(*byte)).count();
            let last = byte.saturating_add(u8::try_from(run.saturating_sub(1)).unwrap_or(u8::MAX));
            match run {
                0 => {}
                1 => write!(f, "{}", byte.escape_ascii())?,
                2 => write!(f, "{}{}", byte.escape_ascii(), last.escape_ascii())?,
                _ => write!(f, "{}-{}", byte.escape_ascii(), last.escape_ascii())?,
            }
            at += u16::try_from(run.max(1)).unwrap_or(u16::MAX);
        }
        f.write_str(if one { "`" } else { "]" })
    }
}

/// Patterns as a tree of positions, the branches of each node in the order of trying: the first way down that fits is
/// the pattern that Asterisk's sorted list would give.
#[derive(Clone, Debug)]
pub(super) struct PatternTree<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// Sets of one character, by that character.
    literals: Vec<(u8, usize)>,
    /// Larger sets, smallest first.
    sets: Vec<(CharSet, usize)>,
    one_or_more: Option<T>,
    zero_or_more: Option<T>,
    end: Option<T>,
}

impl<T> Node<T> {
    fn new() -> Self {
        Self { literals: Vec::new(), sets: Vec::new(), one_or_more: None, zero_or_more: None, end: None }
    }
}

impl<T> Default for PatternTree<T> {
    fn default() -> Self {
        Self { nodes: vec![Node::new()] }
    }
}

impl<T> PatternTree<T> {
    /// Adds a pattern; an equal one is replaced.
    pub(super) fn insert(&mut self, pattern: &Pattern, value: T) {
        let mut node = 0;
        for element in &pattern.0 {
            match element {
                Element::One(set) => node = self.child(node, *set),
                Element::OneOrMore => return self.nodes[node].one_or_more = Some(value),
                Element::ZeroOrMore => return self.nodes[node].zero_or_more = Some(value),
            }
        }
        self.nodes[node].end = Some(value);
    }

    fn child(&mut self, node: usize, set: CharSet) -> usize {
        let next = self.nodes.len();
        let parent = &mut self.nodes[node];
        let existing = if set.count() == 1 {
            let found = parent.literals.binary_search_by_key(&set.lowest(), |(byte, _)| *byte);
            found
                .map(|index| parent.literals[index].1)
                .map_err(|index| parent.literals.insert(index, (set.lowest(), next)))
        } else {
            let rank = Element::One(set).rank();
            let found = parent.sets.binary_search_by_key(&rank, |(set, _)| Element::One(*set).rank());
            found.map(|index| parent.sets[index].1).map_err(|index| parent.sets.insert(index, (set, next)))
        };
        existing.unwrap_or_else(|()| {
            self.nodes.push(Node::new());
            next
        })
    }

    /// What `take` makes of the first pattern in the order of trying that accepts `dialled` (without `-`) and of which it
    /// makes anything.
    pub(super) fn find_map<'t, R>(&'t self, dialled: &[u8], take: &mut dyn FnMut(&'t T) -> Option<R>) -> Option<R> {
        self.descend(0, dialled, take)
    }

    /// The value of this very pattern.
    pub(super) fn get(&self, pattern: &Pattern) -> Option<&T> {
        let mut node = self.nodes.first()?;
        for element in &pattern.0 {
            match element {
                Element::One(set) => node = self.nodes.get(node.child(set)?)?,
                Element::OneOrMore => return node.one_or_more.as_ref(),
                Element::ZeroOrMore => return node.zero_or_more.as_ref(),
            }
        }
        node.end.as_ref()
    }

    /// Depth is bounded by the longest pattern ([`MAX_NAME_BYTES`]); each node is visited at most once.
    fn descend<'t, R>(&'t self, node: usize, rest: &[u8], take: &mut dyn FnMut(&'t T) -> Option<R>) -> Option<R> {
        let node = self.nodes.get(node)?;
        let Some((byte, after)) = rest.split_first() else {
            return [&node.zero_or_more, &node.end].into_iter().flatten().find_map(take);
        };
        let literal = node.literals.binary_search_by_key(byte, |(literal, _)| *literal).ok();
        if let Some((_, child)) = literal.and_then(|index| node.literals.get(index))
            && let Some(found) = self.descend(*child, after, take)
        {
            return Some(found);
        }
        for (_, child) in node.sets.iter().filter(|(set, _)| set.holds(*byte)) {
            if let Some(found) = self.descend(*child, after, take) {
                return Some(found);
            }
        }
        [&node.one_or_more, &node.zero_or_more].into_iter().flatten().find_map(take)
    }
}

impl<T> Node<T> {
    /// The node behind a set.
    fn child(&self, set: &CharSet) -> Option<usize> {
        if set.count() == 1 {
            let found = self.literals.binary_search_by_key(&set.lowest(), |(byte, _)| *byte).ok()?;
            return self.literals.get(found).map(|(_, child)| *child);
        }
        self.sets.iter().find(|(other, _)| other == set).map(|(_, child)| *child)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl<T> PatternTree<T> {
        fn find(&self, dialled: &[u8]) -> Option<&T> {
            self.find_map(dialled, &mut Some)
        }
    }

    /// One context in the order in which Asterisk 22 lists and tries it; the first two are literals.
    const SEARCH_ORDER: &str = include_str!("../../tests/data/dialplan/search-order.txt");
    /// Dialled texts and what Asterisk 22 finds for them there.
    const DIALLED: &str = include_str!("../../tests/data/dialplan/dialled.txt");
    /// Patterns without wildcards and a number that each matches.
    const LENGTHS: &str = include_str!("../../tests/data/dialplan/lengths.txt");

    fn listing() -> Vec<&'static str> {
        SEARCH_ORDER.lines().filter(|name| name.starts_with('_')).collect()
    }

    fn pairs(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
        text.lines().filter_map(|line| line.split_once(' '))
    }

    fn tree(patterns: &[&'static str]) -> PatternTree<&'static str> {
        let mut tree = PatternTree::default();
        for pattern in patterns {
            tree.insert(&Pattern::parse(pattern).unwrap(), *pattern);
        }
        tree
    }

    fn matches(pattern: &str, dialled: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(dialled.as_bytes())
    }

    #[test]
    fn patterns_sort_as_asterisk_lists_them() {
        let mut sorted = listing();
        sorted.reverse();
        sorted.sort_by_key(|pattern| Pattern::parse(pattern).unwrap());
        assert_eq!(sorted, listing());
    }

    #[test]
    fn the_leftmost_position_decides_which_pattern_wins() {
        let tree = tree(&listing());
        for (dialled, name) in pairs(DIALLED).filter(|(dialled, name)| name.starts_with('_') && !dialled.contains('-'))
        {
            assert_eq!(tree.find(dialled.as_bytes()), Some(&name), "{dialled}");
        }
        assert_eq!(tree.find(b""), Some(&"_!"));
    }

    #[test]
    fn s098_and_s174_a_pattern_without_wildcards_matches_only_its_length() {
        for (pattern, number) in pairs(LENGTHS) {
            assert!(matches(pattern, number), "{pattern}");
            assert!(!matches(pattern, &number[1..]) && !matches(pattern, &format!("{number}0")), "{pattern}");
        }
    }

    #[test]
    fn s098_the_area_code_cannot_begin_with_zero_or_one() {
        let (pattern, number) = pairs(LENGTHS).next().unwrap();
        assert_eq!(&number[..5], "*1234");
        for digit in ["0", "1"] {
            assert!(!matches(pattern, &format!("*123{digit}{}", &number[5..])), "{digit}");
        }
    }

    #[test]
    fn a_class_letter_in_lower_case_is_still_a_class() {
        assert!(!matches("_[n]ancy", "nancy"));
        assert!(matches("_[n]ancy", "na5cy"));
        assert!(matches("_[a-c-]", "-") && matches("_1[]2", "12"));
    }

    #[test]
    fn a_wrong_pattern_says_where() {
        assert_eq!(Pattern::parse("_1[23"), Err(PatternError::UnclosedSet { offset: 2 }));
        assert_eq!(Pattern::parse("_[9-2]"), Err(PatternError::BackwardRange { offset: 2 }));
        assert_eq!(Pattern::parse("_X.X"), Err(PatternError::AfterWildcard { offset: 3 }));
        assert_eq!(Pattern::parse("_"), Err(PatternError::Empty));
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_the_sorted_list_finds(
            patterns in prop::collection::vec("_([0-3XNZ]|\\[[0-4]{1,3}\\]|\\[1-3\\]){1,4}[.!]?", 0..40),
            dialled in "[0-5]{0,6}",
        ) {
            let mut list: Vec<Pattern> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
            let mut tree = PatternTree::default();
            list.iter().for_each(|pattern| tree.insert(pattern, pattern.clone()));
            list.sort();
            let first = list.iter().find(|pattern| pattern.matches(dialled.as_bytes()));
            prop_assert_eq!(tree.find(dialled.as_bytes()), first);
        }

        #[test]
        fn no_text_makes_the_pattern_reader_panic(text in "_.{0,40}", dialled in ".{0,20}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let mut tree = PatternTree::default();
                tree.insert(&pattern, ());
                prop_assert_eq!(tree.find(dialled.as_bytes()).is_some(), pattern.matches(dialled.as_bytes()));
            }
        }
    }
}
