//! What an extension is called: a literal or a pattern, for all callers or for those after `/`. Above: `draft`, `search`.

use std::cmp::Ordering;

use super::pattern::{MAX_NAME_BYTES, Pattern};
use super::problem::ProblemKind;

/// What makes two entries of a context the same extension; their order is the order of trying.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: Name,
    /// `None`: whoever calls.
    pub(super) caller: Option<Name>,
}

/// Texts without their `-`; literals come before patterns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Name {
    Literal(String),
    Pattern(Pattern),
}

/// A name as written, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Without blanks.
    pub(super) name: String,
    /// What stands after `/`, without the characters that only make a number readable.
    pub(super) caller: Option<String>,
}

impl Ord for Key {
    /// With a caller before without.
    fn cmp(&self, other: &Self) -> Ordering {
        let callers = || match (&self.caller, &other.caller) {
            (Some(ours), Some(theirs)) => ours.cmp(theirs),
            (ours, theirs) => theirs.is_some().cmp(&ours.is_some()),
        };
        self.name.cmp(&other.name).then_with(callers)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Key {
    /// Whether it is meant for this caller; no number is the empty text.
    pub(super) fn admits(&self, caller: &str) -> bool {
        let plain = || without_dashes(caller);
        match &self.caller {
            None => true,
            Some(Name::Literal(number)) => *number == *plain(),
            // without a number only `name/` matches, however wide the pattern is
            Some(Name::Pattern(pattern)) => !caller.is_empty() && pattern.matches(plain().as_bytes()),
        }
    }
}

impl Written {
    /// `name` or `name/caller`.
    pub(super) fn new(text: &str) -> Self {
        let (name, caller) = match text.split_once('/') {
            Some((name, caller)) => (name, Some(shrunk(caller))),
            None => (text, None),
        };
        Self { name: without_blanks(name), caller }
    }

    /// The error comes with the byte of the name.
    pub(super) fn key(&self) -> Result<Key, (usize, ProblemKind)> {
        let caller = self.caller.as_deref().map(Name::parse).transpose();
        let caller = caller.map_err(|(_, kind)| (self.name.len(), kind))?;
        if self.name.is_empty() {
            return Err((0, ProblemKind::BadName { name: self.name.clone(), why: "is empty" }));
        }
        Ok(Key { name: Name::parse(&self.name)?, caller })
    }
}

impl Name {
    fn parse(text: &str) -> Result<Self, (usize, ProblemKind)> {
        if text.len() > MAX_NAME_BYTES {
            return Err((0, ProblemKind::BadName { name: text.to_owned(), why: "is longer than 80 bytes" }));
        }
        if !text.starts_with('_') {
            return Ok(Self::Literal(without_dashes(text).into_owned()));
        }
        let wrong =
            |error: super::PatternError| (error.offset(), ProblemKind::Pattern { pattern: text.to_owned(), error });
        Pattern::parse(text).map(Self::Pattern).map_err(wrong)
    }
}

/// `-` only makes a number readable.
pub(super) fn without_dashes(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('-') { text.chars().filter(|c| *c != '-').collect() } else { text.into() }
}

/// Blanks outside the sets of a pattern.
fn without_blanks(name: &str) -> String {
    let mut in_set = false;
    let pattern = name.starts_with('_');
    let keeps = |c: &char| {
        match c {
            '[' => in_set = pattern,
            ']' => in_set = false,
            _ => {}
        }
        *c != ' ' || in_set
    };
    name.chars().filter(keeps).collect()
}

/// A caller's number without brackets, blanks, and outside sets `-` and dots that are not the last character.
fn shrunk(caller: &str) -> String {
    let mut depth = 0_i32;
    let mut kept = String::new();
    let mut chars = caller.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        let goes = match c {
            '(' | ')' | ' ' => true,
            '-' => depth == 0,
            '.' => chars.peek().is_some(),
            _ => false,
        };
        if !goes {
            kept.push(c);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Written::new(text).key().unwrap()
    }

    #[test]
    fn entries_for_a_caller_come_before_those_for_all() {
        let mut names =
            ["_X.", "100", "100/_2X.", "_X./", "100/", "_X./_1.", "100/5-5", "200/7"].map(|name| (key(name), name));
        names.sort();
        assert_eq!(
            names.map(|(_, name)| name),
            ["100/", "100/5-5", "100/_2X.", "100", "200/7", "_X./", "_X./_1.", "_X."]
        );
    }

    #[test]
    fn a_caller_without_number_fits_only_the_empty_one() {
        assert!(key("1/").admits("") && !key("1/").admits("5"));
        assert!(!key("1/_!").admits("") && key("1/_!").admits("5"));
        assert!(key("1/(555) 12-34").admits("5551234") && key("1/5551234").admits("555-1234"));
        assert!(key("1").admits("") && key("1").admits("5"));
    }

    #[test]
    fn blanks_and_dashes_do_not_make_another_extension() {
        assert_eq!(key("55-512"), key("55 512"));
        assert_eq!(Written::new("1 00/2 0-0").name, "100");
        assert_eq!(Written::new("_[a b]c d").name, "_[a b]cd");
        assert_ne!(key("100"), key("100/"));
    }
}
